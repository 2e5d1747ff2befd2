"""What a bot user's account is like, and which accounts are ours.

The mark is the account's `login_name`: only administrators can set it, Forgejo 7.0 and Gitea 1.26
keep it for local accounts, and logging in works all the same. It has to be sent again in every
PATCH. The full name tells people the same.
"""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from muster.forge import Forge, User
from muster.forge.transport import PAGE

RESTRICTIONS: dict[str, Any] = {
    "active": True,
    "admin": False,
    "allow_create_organization": False,
    "allow_git_hook": False,
    "allow_import_local": False,
    "max_repo_creation": 0,
    "prohibit_login": False,
    "restricted": True,
}
"""What an administrator's PATCH sets on every bot user."""

STANDING = {"active": True, "is_admin": False, "prohibit_login": False, "restricted": True}
"""The part of it that the forge reports, by which drift is found."""

PURGE_VARIABLE = "MUSTER_PURGE"
"""Bot users, comma-separated, that firing removes with all their issues and pull requests."""

EMAIL_DOMAIN = "muster.invalid"
"""Of bot users' addresses, unless the roster says otherwise; no mail reaches it (RFC 2606)."""

_MARK = "muster:"


def to_purge(environment: Mapping[str, str]) -> set[str]:
    """Return the bot users that `PURGE_VARIABLE` names, in lower case."""
    return set(environment.get(PURGE_VARIABLE, "").lower().replace(" ", "").split(","))


def mark_of(stack: str, project: str, agent: str) -> str:
    """Return the mark of an agent's account."""
    return f"{_MARK}{stack}/{project}/{agent}"


def is_mark(login_name: str) -> bool:
    """Tell whether an account's `login_name` is a mark, of whichever agent."""
    return login_name.startswith(_MARK)


def project_of(login_name: str, stack: str, agent: str) -> str | None:
    """Return the project of a mark of this stack's and agent's; None for any other."""
    start, end = f"{_MARK}{stack}/", f"/{agent}"
    if login_name.startswith(start) and login_name.endswith(end):
        return login_name[len(start) : -len(end)]
    return None


def agent_of(mark: str) -> str:
    """Return the agent that a mark names."""
    return mark.rsplit("/", 1)[-1]


def full_name_of(project: str, agent: str) -> str:
    """Return the name that people see beside the account's work."""
    return f"{agent} {crew_words(project)}"


def crew_words(project: str) -> str:
    """Return how the full names of a project's bot users end: what a forge is searched for."""
    return f"(agent of {project}, by Muster)"


def email_of(forge_user: str, domain: str = EMAIL_DOMAIN) -> str:
    """Return an address that is unique at the forge."""
    return f"{forge_user.lower()}@{domain}"


def accounts(forge: Forge, names: Collection[str]) -> tuple[dict[str, User], bool]:
    """Return the accounts of these names that exist, by name in lower case.

    For administrators. A forge lists 50 accounts a call, so listing them costs a crew less than
    asking for each; but a forge with many more is not read to its end.

    Returns:
        The accounts, and whether organizations are among them: a forge that is asked for a name
        shows those too.
    """
    most = max(PAGE, 2 * len(names))
    listed = list(islice(forge.users(), most)) if names else []
    if len(listed) < most:
        return {user.login.lower(): user for user in listed}, False
    asked = (forge.user(name) for name in names)
    return {user.login.lower(): user for user in asked if user}, True


def standing_of(user: User) -> dict[str, bool]:
    """Return what `STANDING` speaks of, as the account has it."""
    return {field: bool(getattr(user, field)) for field in STANDING}


def refusal(user: User, *, mark: str, adopt: bool) -> str | None:
    """Say why an existing account must not become this agent's, or None where it may."""
    name = user.login
    if user.login_name == mark:
        return None
    if is_mark(user.login_name):
        other = user.login_name.removeprefix(_MARK)
        return (
            f"bot user {name} belongs to another agent ({other}), and no account is handed on: "
            "choose another forge_user; or if the stack, the project or the agent was renamed, "
            "take the old name back"
        )
    if user.is_admin:
        return f"user {name} is an administrator of the forge: choose another forge_user"
    if user.source_id:
        return (
            f"user {name} logs in through an authentication source of the forge, "
            "so its password is not Muster's to set: choose another forge_user"
        )
    if not adopt:
        return (
            f"user {name} exists and Muster did not make it: choose another forge_user, "
            "or set adopt = true to take the account over"
        )
    return None
