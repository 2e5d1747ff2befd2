"""The bot user's password."""

import secrets

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource

from components.provider import ForgeProvider, Props
from muster.accounts import RESTRICTIONS, is_mark
from muster.credentials import is_older_than, new_password, timestamp
from muster.forge import Basic, takes_password


class BotPasswordProvider(ForgeProvider):
    """Sets passwords; there is nothing to delete, since the next one supersedes it."""

    replace_on = ("user",)
    update_on = (
        "forge",
        "forge_ca",
        "mark",
    )  # recorded only: `BotUser` sees to them, the password stays

    def create(self, props: Props) -> CreateResult:
        """Set a password, and in the same call the restrictions of every bot user."""
        password = props.get("given") or new_password()
        self.forge(props).edit_user(
            props["user"],
            login_name=props["mark"],
            source_id=0,
            password=password,
            **RESTRICTIONS,
        )
        outs = {**props, "password": password, "issued_at": timestamp()}
        return CreateResult(f"{props['user']}-{secrets.token_hex(4)}", outs)

    def outdated(self, olds: Props, news: Props) -> list[str]:
        """Name the age limit if the password has passed it, and a password that does not work."""
        return expired(olds, news) + ([] if olds.get("works", True) else ["password"])

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report what is recorded, and whether the forge takes it; gone with its account.

        A forge tells nobody a password, so it is asked with this one: somebody may have set
        another by hand, which works until the next one.
        """
        user = self.forge(props).user(props["user"])
        if user is None or (is_mark(user.login_name) and user.login_name != props["mark"]):
            return ReadResult(None, {})
        if user.prohibit_login or not user.active:  # no password works until `BotUser` is updated
            return ReadResult(id_, props)
        kept = {key: value for key, value in props.items() if key != "works"}
        bot = Basic(props["user"], props["password"])
        works = takes_password(self.address(props), bot) is not False
        return ReadResult(id_, kept if works else {**kept, "works": False})


def expired(olds: Props, news: Props) -> list[str]:
    """Name the input that limits the age of credentials, where those recorded have passed it."""
    limit = news.get("max_age_days")
    return ["max_age_days"] if is_older_than(olds["issued_at"], limit) else []


class BotPassword(Resource, module="forgejo", name="BotPassword"):
    """The bot user's password: 40 random characters of all four classes, or the one given.

    Replaced when `rotation` changes and when it is older than `max_age_days`.
    """

    password: pulumi.Output[str]
    issued_at: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        forge: pulumi.Input[str],
        user: pulumi.Input[str],
        mark: pulumi.Input[str],
        rotation: int,
        max_age_days: int | None,
        given: str | None = None,
        forge_ca: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the password.

        Args:
            name: the resource's name.
            forge: the forge's URL, as seen from where Pulumi runs.
            forge_ca: the file with the certificates of the forge's private CA.
            user: the account's name.
            mark: the account's mark, which a forge wants again with every change.
            rotation: another number, another password.
            max_age_days: an older password is replaced.
            given: a password chosen by hand, to be set in place of a random one.
            opts: the resource's options.
        """
        super().__init__(
            BotPasswordProvider(),
            name,
            {
                "forge": forge,
                "forge_ca": forge_ca,
                "user": user,
                "mark": mark,
                "max_age_days": max_age_days,
                "given": None if given is None else pulumi.Output.secret(given),
                "password": None,
                "issued_at": None,
            },
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(
                    additional_secret_outputs=["password"], replacement_trigger=rotation
                ),
                opts,
            ),
        )
