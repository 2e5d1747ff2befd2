"""Where the forge administrator's credentials come from."""

from collections.abc import Callable, Mapping

from muster.errors import MusterError
from muster.forge import Administrator, ForgeError

CONFIGURATION = {
    "FORGE_ADMIN_USER": "forgeAdminUser",
    "FORGE_ADMIN_PASS": "forgeAdminPass",
    "FORGE_ADMIN_PAT": "forgeAdminPat",
}
"""The environment's variables, and the stack configuration's keys that stand in for them."""


class AdministratorMissingError(MusterError):
    """Neither the environment nor the stack configuration names an administrator."""

    def __init__(self) -> None:
        super().__init__(
            "no credentials of the forge's administrator: set FORGE_ADMIN_USER and "
            "FORGE_ADMIN_PASS, or FORGE_ADMIN_PAT, in the environment, or keep them in the stack: "
            "pulumi config set forgeAdminUser NAME; pulumi config set --secret forgeAdminPass"
        )


def find(
    environment: Mapping[str, str], configuration: Callable[[str], str | None]
) -> Administrator:
    """Return the administrator's credentials: the environment's, else the stack configuration's.

    Raises:
        AdministratorMissingError: where neither holds any.
        ForgeError: where one of user and password is set without the other.
    """
    found = Administrator.from_environment(environment) or _configured(configuration)
    if found is None:
        raise AdministratorMissingError
    return found


def _configured(configuration: Callable[[str], str | None]) -> Administrator | None:
    values = {
        variable: value
        for variable, key in CONFIGURATION.items()
        if (value := configuration(key)) is not None
    }
    try:
        return Administrator.from_environment(values)
    except ForgeError as error:
        message = error.message
        for variable, key in CONFIGURATION.items():
            message = message.replace(variable, key)
        raise ForgeError(f"in the stack's configuration {message}") from None
