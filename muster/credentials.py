"""What credentials are made of: passwords, token names, ages."""

import secrets
import string
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

PASSWORD_LENGTH = 40
"""Characters; forges limit a password to 72 bytes where they hash with bcrypt."""

TOKEN_PREFIX = "muster-"  # noqa: S105
"""What the names of Muster's tokens begin with; others on the account are left alone."""

TOKEN_SCOPES = ("read:user", "write:issue", "write:repository")
"""The least an agent needs: push, pull requests, issues, and to know who it is."""

_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.:+=@%^~")


def new_password() -> str:
    """Return a random password that holds all four character classes.

    Its special characters are those that a `.env` file holds in single quotes as they are.
    """
    drawn = [secrets.choice(characters) for characters in _CLASSES]
    drawn += [secrets.choice("".join(_CLASSES)) for _ in range(PASSWORD_LENGTH - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def new_token_name() -> str:
    """Return a token name that no other token of the account has: duplicates are refused."""
    return f"{TOKEN_PREFIX}{secrets.token_hex(8)}"


def is_ours(token_name: str) -> bool:
    """Tell whether Muster minted the token of this name."""
    return token_name.startswith(TOKEN_PREFIX)


def timestamp() -> str:
    """Return the present as ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_older_than(issued_at: str, days: int | None) -> bool:
    """Tell whether credentials issued at a `timestamp()` are older than so many days.

    Without a limit nothing is too old.
    """
    if days is None:
        return False
    return datetime.now(UTC) - datetime.fromisoformat(issued_at) > timedelta(days=days)


def limited_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the scopes that a token may have which is limited to repositories.

    Forgejo 15 takes none but those for repositories and issues there (services/authz).
    """
    return [scope for scope in scopes if scope.endswith((":issue", ":repository"))]


def same_scopes(some: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether two lists of normalised scopes grant the same."""
    return set(some) == set(others)
