"""What the forge tells of users, repositories and tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

_CATEGORIES = (
    "activitypub",
    "admin",
    "issue",
    "misc",
    "notification",
    "organization",
    "package",
    "repository",
    "user",
)


def normalise_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes as a forge lists them, ready to be compared.

    `write:x` includes `read:x`; every `write:` together is `all`; `repository` includes Forgejo's
    `actions`. The rules stand in `models/auth/access_token_scope.go` of Gitea and Forgejo.
    """
    everything = {f"write:{category}" for category in _CATEGORIES}
    granted = set(filter(None, scopes))
    if "all" in granted:
        granted |= everything
    granted -= {scope.replace("write:", "read:") for scope in granted if "write:" in scope}
    if "write:repository" in granted:
        granted -= {"write:actions", "read:actions"}
    elif "read:repository" in granted:
        granted -= {"read:actions"}
    if everything <= granted:
        granted = granted - everything | {"all"}
    return frozenset(granted)


def in_utc(time: str) -> str:
    """Return a time, which a forge tells in its own zone, as everybody would."""
    return datetime.fromisoformat(time).astimezone(UTC).isoformat()


@dataclass(frozen=True)
class User:
    """An account. What only administrators may see is empty for others."""

    id: int
    login: str
    login_name: str
    source_id: int
    full_name: str
    email: str
    created_at: str
    active: bool
    is_admin: bool
    prohibit_login: bool
    restricted: bool

    @classmethod
    def named(cls, login: str, email: str) -> Self:
        """Return an account that the forge does not show, with what is known of it."""
        return cls(
            id=0,
            login=login,
            login_name="",
            source_id=0,
            full_name="",
            email=email,
            created_at="",
            active=True,
            is_admin=False,
            prohibit_login=False,
            restricted=True,
        )

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Read what the forge told."""
        return cls(
            id=told["id"],
            login=told["login"],
            login_name=told.get("login_name", ""),
            source_id=told.get("source_id", 0),
            full_name=told.get("full_name", ""),
            email=told.get("email", ""),
            created_at=in_utc(told["created"]),
            active=told.get("active", False),
            is_admin=told.get("is_admin", False),
            prohibit_login=told.get("prohibit_login", False),
            restricted=told.get("restricted", False),
        )


@dataclass(frozen=True)
class Repository:
    """A repository; `full_name` is `owner/name`, `may_push` is about the caller."""

    id: int
    full_name: str
    default_branch: str
    private: bool
    archived: bool
    empty: bool
    may_push: bool

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Read what the forge told."""
        return cls(
            id=told["id"],
            full_name=told["full_name"],
            default_branch=told["default_branch"],
            private=told["private"],
            archived=told["archived"],
            empty=told["empty"],
            may_push=told.get("permissions", {}).get("push", False),
        )


@dataclass(frozen=True)
class AccessToken:
    """A token; its secret is known only right after minting.

    `scopes` is None where the forge does not tell them, and `repositories` where the token is not
    limited to some.
    """

    id: int
    name: str
    scopes: frozenset[str] | None
    last_eight: str
    secret: str | None = field(default=None, repr=False)
    repositories: tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Read what the forge told."""
        limit = told.get("repositories")
        return cls(
            id=told["id"],
            name=told["name"],
            scopes=None if told.get("scopes") is None else normalise_scopes(told["scopes"]),
            last_eight=told.get("token_last_eight", ""),
            secret=told.get("sha1") or None,
            repositories=None if limit is None else tuple(each["full_name"] for each in limit),
        )
