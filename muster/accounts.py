"""What a bot user's account is like, and which accounts are ours.

The mark is the account's `login_name`: only administrators can set it, Forgejo 7.0 and Gitea 1.26
keep it for local accounts, and logging in works all the same. It has to be sent again in every
PATCH. The full name tells people the same.
"""

from collections.abc import Mapping
from typing import Any

from muster.forge import User

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

_MARK = "muster:"


def to_purge(environment: Mapping[str, str]) -> set[str]:
    """Return the bot users that `PURGE_VARIABLE` names, in lower case."""
    return set(environment.get(PURGE_VARIABLE, "").lower().replace(" ", "").split(","))


def mark_of(stack: str, project: str, agent: str) -> str:
    """Return the mark of an agent's account."""
    return f"{_MARK}{stack}/{project}/{agent}"


def agent_of(mark: str) -> str:
    """Return the agent that a mark names."""
    return mark.rsplit("/", 1)[-1]


def full_name_of(project: str, agent: str) -> str:
    """Return the name that people see beside the account's work."""
    return f"{agent} (agent of {project}, by Muster)"


def email_of(forge_user: str) -> str:
    """Return an address that is unique at the forge and that no mail reaches (RFC 2606)."""
    return f"{forge_user.lower()}@muster.invalid"


def standing_of(user: User) -> dict[str, bool]:
    """Return what `STANDING` speaks of, as the account has it."""
    return {field: bool(getattr(user, field)) for field in STANDING}


def refusal(user: User, *, mark: str, adopt: bool) -> str | None:
    """Say why an existing account must not become this agent's, or None where it may."""
    name = user.login
    if user.login_name == mark:
        return None
    if user.login_name.startswith(_MARK):
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
