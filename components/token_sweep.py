"""The end of every token of ours that is no longer in service."""

from collections.abc import Container
from contextlib import suppress

import pulumi
from pulumi.dynamic import CreateResult, Resource, UpdateResult

from components.provider import ForgeProvider, Props
from muster.credentials import is_ours, new_password
from muster.forge import CannotMintError, NotFoundError, SecondFactorError, UnauthorizedError


class TokenSweepProvider(ForgeProvider):
    """Revokes the tokens of ours on an account, all but the one that is kept.

    In a run that rotates, the engine asks the live token only for `check` and `create`. So the
    old token, and what a killed engine left, is revoked here: after the container was swapped,
    and on destroy before everything else, while the password is still the current one.
    """

    replace_on = ("user",)
    update_on = ("forge", "forge_ca", "kept", "password", "mark")

    def create(self, props: Props) -> CreateResult:
        """Revoke what is not kept."""
        self._sweep(props, keep={props["kept"]})
        return CreateResult(f"{props['user']}-sweep", props)

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Revoke what is no longer kept, also where somebody made it by hand and named it."""
        self._sweep(news, keep={news["kept"]}, retired={olds["kept"]})
        return UpdateResult({**olds, **news})

    def delete(self, _id: str, props: Props) -> None:
        """Revoke the kept token too: the agent is being fired.

        Where only the bot user's own password revokes, and it is not what is recorded, or its
        login is prohibited, it gets another one first: nobody needs it any more.
        """
        user = self.account(props)
        if user is None:
            return
        try:
            self._sweep(props, keep=())
        except UnauthorizedError:
            password = new_password()
            self.forge(props).edit_user(
                user.login,
                login_name=user.login_name,
                source_id=user.source_id,
                password=password,
                prohibit_login=False,
            )
            self._sweep({**props, "password": password}, keep=())

    def _sweep(self, props: Props, keep: Container[int], retired: Container[int] = ()) -> None:
        """Revoke tokens, unless this forge lets nobody do that: the preflight warns of it.

        Of an agent that is fired, barring the account ends the tokens.
        """
        try:
            forge = self.minting_forge(props)
            listed = forge.tokens(props["user"])
        except (CannotMintError, SecondFactorError):
            return
        for token in listed:
            ours = is_ours(token.name) or token.id in retired
            if ours and token.id not in keep:
                with suppress(NotFoundError):
                    forge.revoke_token(props["user"], token.id)


class TokenSweep(Resource, module="forgejo", name="TokenSweep"):
    """Holds that of Muster's tokens on an account only the one in service works."""

    def __init__(
        self,
        name: str,
        *,
        forge: pulumi.Input[str],
        user: pulumi.Input[str],
        mark: pulumi.Input[str],
        password: pulumi.Input[str],
        kept: pulumi.Input[int],
        forge_ca: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the sweep; it has to depend on whatever uses the kept token.

        Args:
            name: the resource's name.
            forge: the forge's URL, as seen from where Pulumi runs.
            forge_ca: the file with the certificates of the forge's private CA.
            user: the account's name.
            mark: the account's mark.
            password: the account's current password, by which strict forges revoke.
            kept: the id of the token in service.
            opts: the resource's options.
        """
        super().__init__(
            TokenSweepProvider(),
            name,
            {
                "forge": forge,
                "forge_ca": forge_ca,
                "user": user,
                "mark": mark,
                "password": password,
                "kept": kept,
            },
            opts,
        )
