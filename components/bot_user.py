"""The agent's account at the forge."""

import os
from collections.abc import Mapping

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from components.provider import ForgeProvider, Props, differs
from muster.accounts import RESTRICTIONS, STANDING, is_mark, refusal, standing_of, to_purge
from muster.credentials import new_password
from muster.forge import Forge, ForgeError, User


class BotUserProvider(ForgeProvider):
    """Creates, takes back, mends and deactivates bot users."""

    replace_on = ("user",)
    update_on = ("forge", "forge_ca", "mark", "full_name")
    delete_before_replace = True

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        """Compare the inputs; where the forge's address is another, see that the forge is not.

        Raises:
            ForgeError: at the new address is another forge.
        """
        if differs(olds["forge"], news["forge"]):
            self._follow(olds, news)
        return super().diff(id_, olds, news)

    def _follow(self, olds: Props, news: Props) -> None:
        """Make sure of the account at the forge's new address.

        A preview may find nobody there: a local forge gets its new port in the update.
        """
        url = self.address(news)
        if not Forge(url, None).answers():
            return
        user = self.forge(news).user(olds["user"])
        if user is None or (user.id, user.created_at) != (olds["user_id"], olds["created_at"]):
            raise ForgeError(
                f"bot user {olds['user']} of {olds['forge']} is not at {url}, so that is another "
                "forge, and a crew does not move between forges: fire it at the old one, by pulumi "
                "destroy with that forge's administrator, then pulumi up hires it at the new one. "
                "If the old forge no longer exists, see docs/troubleshoot.md",
            )
        self.has_moved(olds, url)

    def create(self, props: Props) -> CreateResult:
        """Create the account, or take it back where it carries this agent's mark.

        Nobody knows the password that the account is born with, and `BotPassword` sets the real
        one together with the restrictions that a forge does not take at birth.

        Raises:
            ForgeError: the name is reserved, or taken by an account that is not ours.
        """
        forge = self.forge(props)
        name = props["user"]
        try:
            user = forge.create_user(
                name,
                email=props["email"],
                password=new_password(),
                login_name=props["mark"],
                full_name=props["full_name"],
            )
        except ForgeError as error:
            existing = forge.user(name)
            if existing is None:
                raise _advised(error) from None
            if reason := refusal(existing, mark=props["mark"], adopt=props["adopt"]):
                raise ForgeError(reason, call=error.call, status=error.status) from None
            user = existing
            self._mend(user, props)
        return CreateResult(user.login, _outputs(user, props, STANDING))

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        """Set what the account should be, whatever was done to it by hand."""
        user = self.forge(news).user(id_)
        if user is None:
            raise ForgeError(
                "the bot user is gone: pulumi up --refresh", call=f"GET /users/{id_}", status=404
            )
        self._mend(user, news)
        return UpdateResult({**olds, **_outputs(user, news, STANDING)})

    def _mend(self, user: User, props: Props) -> None:
        self.forge(props).edit_user(
            user.login,
            login_name=props["mark"],
            source_id=user.source_id,
            full_name=props["full_name"],
            **RESTRICTIONS,
        )

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the account as it is; gone where the forge says 404, or its mark another's."""
        user = self.account(props)
        if user is None:
            return ReadResult(None, {})
        inputs = {
            "forge": props["forge"],
            "forge_ca": props.get("forge_ca"),
            "user": props["user"],
            "mark": user.login_name if is_mark(user.login_name) else None,  # None: set it again
            "full_name": user.full_name,
            "adopt": props["adopt"],
            "email": props.get("email"),
        }
        return ReadResult(id_, _outputs(user, inputs, standing_of(user)), inputs)

    def drift(self, olds: Props) -> bool:
        """Tell whether the account is barred, or has rights that a bot user must not have."""
        return bool(olds["standing"] != STANDING)

    def delete(self, id_: str, props: Props) -> None:
        """Deactivate the account; its issues, pull requests and comments stay.

        It is purged, with all that it opened, only where `MUSTER_PURGE` names it.
        """
        user = self.account(props)
        if user is None:
            return
        if id_.lower() in to_purge(os.environ):
            self.forge(props).purge_user(id_)
            return
        self.forge(props).edit_user(
            id_,
            login_name=user.login_name,
            source_id=user.source_id,
            password=new_password(),
            prohibit_login=True,
        )


def _advised(error: ForgeError) -> ForgeError:
    """Add to a forge's refusal what can be done in the roster."""
    if "reserved" in error.message:
        advice = "choose another forge_user"
    elif "email" in error.message.lower().replace("-", ""):
        advice = "set email_domain under [muster] to a domain that this forge accepts"
    else:
        return error
    return ForgeError(error.message, call=error.call, status=error.status, advice=advice)


def _outputs(user: User, inputs: Props, standing: Mapping[str, bool]) -> Props:
    """Return what is recorded of an account; id and birth tell it from every other forge's."""
    return {**inputs, "user_id": user.id, "created_at": user.created_at, "standing": standing}


class BotUser(Resource, module="forgejo", name="BotUser"):
    """A Forgejo account that belongs to one agent.

    Replaced when the name changes; deleting it deactivates the account.
    """

    user: pulumi.Output[str]
    mark: pulumi.Output[str]
    user_id: pulumi.Output[int]
    created_at: pulumi.Output[str]
    standing: pulumi.Output[dict[str, bool]]

    def __init__(
        self,
        name: str,
        *,
        forge: pulumi.Input[str],
        user: str,
        mark: str,
        full_name: str,
        email: str,
        adopt: bool,
        forge_ca: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the account.

        Args:
            name: the resource's name.
            forge: the forge's URL, as seen from where Pulumi runs.
            forge_ca: the file with the certificates of the forge's private CA.
            user: the account's name.
            mark: what tells the account to be this agent's.
            full_name: what people see.
            email: the address of an account that is made; an existing one keeps its own.
            adopt: take over an account of that name that Muster did not make.
            opts: the resource's options.
        """
        super().__init__(
            BotUserProvider(),
            name,
            {
                "forge": forge,
                "forge_ca": forge_ca,
                "user": user,
                "mark": mark,
                "full_name": full_name,
                "email": email,
                "adopt": adopt,
                "user_id": None,
                "created_at": None,
                "standing": None,
            },
            pulumi.ResourceOptions.merge(pulumi.ResourceOptions(delete_before_replace=True), opts),
        )
