"""The bot user's access token."""

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource

from components.bot_password import expired
from components.provider import ForgeProvider, Props
from muster.credentials import TOKEN_SCOPES, new_token_name, same_scopes, timestamp
from muster.forge import Forge, ForgeError, NotFoundError, Token, UnauthorizedError


class AccessTokenProvider(ForgeProvider):
    """Mints, proves, watches and revokes access tokens; never changes one in place."""

    replace_on = ("forge", "user")

    def create(self, props: Props) -> CreateResult:
        """Mint a token and prove it; one that does not work is revoked again.

        Raises:
            ForgeError: the forge does not mint, or the minted token does not work.
        """
        minting = self.minting_forge(props)
        minted = minting.mint_token(props["user"], new_token_name(), props["scopes"])
        secret = str(minted.secret)
        try:
            Forge(props["forge"], Token(secret)).whoami()
        except ForgeError as error:
            minting.revoke_token(props["user"], minted.id)
            raise ForgeError(
                error.method,
                error.path,
                error.status,
                f"the new token of {props['user']} does not work and was revoked; "
                f"the old one stays in service. The forge says: {error.message}",
            ) from None
        outs = {
            **props,
            "token_id": minted.id,
            "token": secret,
            "last_eight": minted.last_eight,
            "granted": sorted(minted.scopes),
            "issued_at": timestamp(),
        }
        return CreateResult(f"{props['user']}-{minted.id}", outs)

    def outdated(self, olds: Props, news: Props) -> list[str]:
        """Name the age limit where the token has passed it, and scopes that it does not have."""
        changed = [] if same_scopes(olds["granted"], news["scopes"]) else ["scopes"]
        return expired(olds, news) + changed

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the token as the forge lists it; gone with its account.

        A barred user's own password, by which strict forges list tokens, does not work until an
        update has mended the account.
        """
        user = self.forge(props).user(props["user"])
        if user is None:
            return ReadResult(None, {})
        if user.prohibit_login:
            return ReadResult(id_, props)
        for token in self.minting_forge(props).tokens(props["user"]):
            if token.id == props["token_id"]:
                return ReadResult(id_, {**props, "granted": sorted(token.scopes)})
        return ReadResult(None, {})

    def delete(self, _id: str, props: Props) -> None:
        """Revoke the token, unless its own secret shows that it is gone already."""
        try:
            Forge(props["forge"], Token(props["token"])).whoami()
        except UnauthorizedError:
            return
        except ForgeError as error:
            if error.status is None:
                raise
        try:
            self.minting_forge(props).revoke_token(props["user"], props["token_id"])
        except NotFoundError:
            return


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
                "max_age_days": max_age_days,
                "token_id": None,
                "token": None,
                "last_eight": None,
                "granted": None,
                "issued_at": None,
            },
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(
                    additional_secret_outputs=["token"],
                    replacement_trigger=[rotation, password_id],
                ),
                opts,
            ),
        )
