"""The bot user's access token."""

import dataclasses
import hashlib

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource

from components.bot_password import expired
from components.provider import ForgeProvider, Props
from muster.credentials import TOKEN_SCOPES, new_token_name, same_scopes, timestamp
from muster.forge import AccessToken as MintedToken
from muster.forge import (
    Forge,
    ForgeError,
    NotFoundError,
    Token,
    UnauthorizedError,
    normalise_scopes,
)


class AccessTokenProvider(ForgeProvider):
    """Mints, proves, watches and revokes access tokens; never changes one in place.

    Where a token is given, the password rotates without it, and is what strict forges revoke by.
    """

    replace_on = ("user",)
    update_on = ("forge", "password")  # recorded only: the token stays the same

    def create(self, props: Props) -> CreateResult:
        """Mint a token, or take the one that was given; prove it either way.

        Raises:
            ForgeError: the forge does not mint, or the token does not work.
        """
        token = self._given(props) if props.get("given") else self._minted(props)
        outs = {
            **props,
            "token_id": token.id,
            "token": token.secret,
            "last_eight": token.last_eight,
            "granted": sorted(token.scopes),
            "issued_at": timestamp(),
        }
        return CreateResult(f"{props['user']}-{token.id}", outs)

    def _minted(self, props: Props) -> MintedToken:
        """Mint a token and prove it; one that does not work is revoked again."""
        minting = self.minting_forge(props)
        minted = minting.mint_token(props["user"], new_token_name(), props["scopes"])
        try:
            Forge(self.address(props), Token(str(minted.secret))).whoami()
        except ForgeError as error:
            minting.revoke_token(props["user"], minted.id)
            raise _unusable(
                error,
                f"the new token of {props['user']} does not work and was revoked; "
                f"the old one stays in service. The forge says: {error.message}",
            ) from None
        return minted

    def _given(self, props: Props) -> MintedToken:
        """Prove a token that somebody made by hand: whose it is, and what it may do."""
        user, secret = props["user"], props["given"]
        way_on = (
            f"The old token stays in service. Give another (muster rotate, --token-from-stdin), or "
            f"have one minted: remove muster:given of {user}'s agent from the stack's configuration"
        )
        try:
            owner = Forge(self.address(props), Token(secret)).whoami().login
        except ForgeError as error:
            message = f"the token that was given for {user} does not work: {error.message}"
            raise _unusable(error, f"{message}. {way_on}") from None
        mine = self.minting_forge(props).tokens(user) if owner.lower() == user.lower() else []
        found = next((each for each in mine if each.last_eight == secret[-8:]), None)
        if found is None:
            raise ForgeError(
                "GET", "/user", 200, f"the token that was given for {user} is {owner}'s. {way_on}"
            )
        if not same_scopes(found.scopes, normalise_scopes(props["scopes"])):
            raise ForgeError(
                "GET",
                f"/users/{user}/tokens",
                200,
                f"the token that was given for {user} has the scopes "
                f"{', '.join(sorted(found.scopes))}: it has to have {', '.join(props['scopes'])}, "
                f"no fewer and no more. {way_on}",
            )
        return dataclasses.replace(found, secret=secret)

    def outdated(self, olds: Props, news: Props) -> list[str]:
        """Name the age limit where the token has passed it, and scopes that it does not have."""
        changed = [] if same_scopes(olds["granted"], news["scopes"]) else ["scopes"]
        return expired(olds, news) + changed

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the token as the forge lists it; gone with its account.

        Strict forges list tokens by the bot user's own password. That of a barred user does not
        work until an update has mended the account, and the recorded one is outdated where a
        rotation set another and then found no token: there the token itself is asked.
        """
        user = self.forge(props).user(props["user"])
        if user is None:
            return ReadResult(None, {})
        if user.prohibit_login:
            return ReadResult(id_, props)
        try:
            listed = self.minting_forge(props).tokens(props["user"])
        except UnauthorizedError:
            return ReadResult(id_, props) if self._works(props) else ReadResult(None, {})
        for token in listed:
            if token.id == props["token_id"]:
                return ReadResult(id_, {**props, "granted": sorted(token.scopes)})
        return ReadResult(None, {})

    def _works(self, props: Props) -> bool:
        """Tell by the token itself whether it works."""
        try:
            Forge(self.address(props), Token(props["token"])).whoami()
        except UnauthorizedError:
            return False
        return True

    def delete(self, _id: str, props: Props) -> None:
        """Revoke the token, unless its own secret shows that it is gone already."""
        try:
            Forge(self.address(props), Token(props["token"])).whoami()
        except UnauthorizedError:
            return
        except ForgeError as error:
            if error.status is None:
                raise
        try:
            # The engine's numbers are floating-point: 7.0 would be taken for a token's name.
            self.minting_forge(props).revoke_token(props["user"], int(props["token_id"]))
        except NotFoundError:
            return


def _trigger(
    rotation: int, password_id: pulumi.Input[str], given: str | None
) -> list[pulumi.Input[int | str]]:
    """Return what has to change for another token.

    A token that is given stays as long as it is: put in its own place, it would be revoked as the
    old one. A secret trigger never fires, so a digest stands for it.
    """
    if given is None:
        return [rotation, password_id]
    return [hashlib.sha256(given.encode()).hexdigest()[:16]]


def _unusable(error: ForgeError, message: str) -> ForgeError:
    return ForgeError(error.method, error.path, error.status, message)


class AccessToken(Resource, module="forgejo", name="AccessToken"):
    """A token of least privilege, under a name that no other token of the account has.

    Replaced together with the password, when it is older than `max_age_days`, and when its scopes
    were changed at the forge.
    """

    token_id: pulumi.Output[int]
    token: pulumi.Output[str]
    last_eight: pulumi.Output[str]
    issued_at: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        forge: pulumi.Input[str],
        user: pulumi.Input[str],
        password: pulumi.Input[str],
        password_id: pulumi.Input[str],
        rotation: int,
        max_age_days: int | None,
        given: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the token.

        Args:
            name: the resource's name.
            forge: the forge's URL, as seen from where Pulumi runs.
            user: the account's name.
            password: the account's current password, by which strict forges mint.
            password_id: another password, another token.
            rotation: another number, another token.
            max_age_days: an older token is replaced.
            given: a token made by hand, used in place of a minted one as long as it is given.
            opts: the resource's options.
        """
        super().__init__(
            AccessTokenProvider(),
            name,
            {
                "forge": forge,
                "user": user,
                "password": password,
                "scopes": list(TOKEN_SCOPES),
                "max_age_days": max_age_days if given is None else None,
                "given": None if given is None else pulumi.Output.secret(given),
                "token_id": None,
                "token": None,
                "last_eight": None,
                "granted": None,
                "issued_at": None,
            },
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(
                    additional_secret_outputs=["token"],
                    replacement_trigger=_trigger(rotation, password_id, given),
                ),
                opts,
            ),
        )
