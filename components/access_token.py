"""The bot user's access token."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource

from components.bot_password import expired
from components.provider import ForgeProvider, Props
from muster import given_token
from muster.credentials import (
    TOKEN_SCOPES,
    limited_scopes,
    new_token_name,
    same_scopes,
    timestamp,
)
from muster.forge import AccessToken as MintedToken
from muster.forge import (
    CannotMintError,
    Forge,
    ForgeError,
    NotFoundError,
    SecondFactorError,
    Token,
    UnauthorizedError,
    limits_tokens,
)
from muster.given_token import GivenToken, granted_scopes, same_repositories


class AccessTokenProvider(ForgeProvider):
    """Mints, proves, watches and revokes access tokens; never changes one in place.

    Where a token is given, the password rotates without it, and is what strict forges revoke by.
    """

    replace_on = ("user",)
    update_on = ("forge", "forge_ca", "password")  # recorded only: the token stays the same

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
            "granted": granted_scopes(token, props["scopes"]),
            "limited_to": _limit(token),
            "issued_at": timestamp(),
        }
        return CreateResult(f"{props['user']}-{token.id}", outs)

    def _minted(self, props: Props) -> MintedToken:
        """Mint a token and prove it; one that does not work is revoked again."""
        minting = self.minting_forge(props)
        minted = self._least(props, minting)
        try:
            given_token.show(self.address(props), minted, props["repositories"])
        except ForgeError as error:
            minting.revoke_token(props["user"], minted.id)
            raise _unusable(
                error,
                f"the new token of {props['user']} does not work and was revoked; "
                f"the old one stays in service. The forge says: {error.message}",
            ) from None
        return minted

    def _least(self, props: Props, minting: Forge) -> MintedToken:
        """Mint a token that is limited to the agent's repositories, if the forge can do that."""
        user, scopes = props["user"], props["scopes"]
        if limits_tokens(self.address(props), self.administrator()):
            limited = minting.mint_token(
                user, new_token_name(), limited_scopes(scopes), props["repositories"]
            )
            if limited.repositories is not None:
                return limited
            minting.revoke_token(user, limited.id)
        return minting.mint_token(user, new_token_name(), scopes)

    def _given(self, props: Props) -> MintedToken:
        """Prove a token that somebody made by hand."""
        user = props["user"]
        given = GivenToken(
            self.address(props),
            user,
            props["given"],
            props["repositories"],
            lambda: self.minting_forge(props),
        )
        try:
            return given.prove()
        except ForgeError as error:
            raise _unusable(
                error,
                f"{error.message}. The old token stays in service. Give another (muster rotate, "
                "--token-from-stdin), or have one minted: muster rotate without a token, which "
                f"removes muster:given of {user}'s agent from the stack's configuration",
            ) from None

    def outdated(self, olds: Props, news: Props) -> list[str]:
        """Name the age limit where the token has passed it, and scopes that it does not have.

        A token that is not limited to repositories stays: its forge could not do that.
        """
        limit = olds.get("limited_to")
        wanted = news["scopes"] if limit is None else limited_scopes(news["scopes"])
        changed = [] if same_scopes(olds["granted"], wanted) else ["scopes"]
        if limit is not None and not same_repositories(limit, news["repositories"]):
            changed.append("repositories")
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
                granted = granted_scopes(token, props["granted"])
                return ReadResult(id_, {**props, "granted": granted})
        return ReadResult(None, {})

    def _works(self, props: Props) -> bool:
        """Tell by the token itself whether it works."""
        try:
            Forge(self.address(props), Token(props["token"])).whoami_if_shown()
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
        # The engine's numbers are floating-point: 7.0 would be taken for a token's name.
        with suppress(NotFoundError, CannotMintError, SecondFactorError):
            self.minting_forge(props).revoke_token(props["user"], int(props["token_id"]))


def _limit(token: MintedToken) -> list[str] | None:
    """Return the repositories that a token is limited to, None if it is not."""
    return None if token.repositories is None else sorted(token.repositories)


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
    return ForgeError(message, call=error.call, status=error.status)


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
        repositories: Sequence[str],
        rotation: int,
        max_age_days: int | None,
        given: str | None = None,
        forge_ca: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the token.

        Args:
            name: the resource's name.
            forge: the forge's URL, as seen from where Pulumi runs.
            forge_ca: the file with the certificates of the forge's private CA.
            user: the account's name.
            password: the account's current password, by which strict forges mint.
            password_id: another password, another token.
            repositories: each `owner/name` that the token is for; a forge that can limits it to
                them, and the account has to see them before.
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
                "forge_ca": forge_ca,
                "user": user,
                "password": password,
                "scopes": list(TOKEN_SCOPES),
                "repositories": list(repositories),
                "max_age_days": max_age_days if given is None else None,
                "given": None if given is None else pulumi.Output.secret(given),
                "token_id": None,
                "token": None,
                "last_eight": None,
                "granted": None,
                "limited_to": None,
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
