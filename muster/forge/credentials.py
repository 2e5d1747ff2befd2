"""Who speaks to the forge."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from muster.forge.errors import ForgeError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Basic:
    """A name and a password; each use costs the forge a password hash, about 0.1 s."""

    user: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Basic {self._encoded}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self._encoded, self.password)

    @property
    def _encoded(self) -> str:
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Token:
    """An access token.

    Raises:
        ForgeError: It holds what no token holds, a line's end perhaps.
    """

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no header can hold: HTTP libraries quote it in their errors."""
        if not re.fullmatch(r"[!-~]+", self.token):
            raise ForgeError("an access token is one word of printable characters")

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        return f"token {self.token}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self.token,)


@dataclass(frozen=True)
class Administrator:
    """The forge administrator's credentials: name and password, a token (PAT), or both.

    Raises:
        ForgeError: Neither is complete.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    pat: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what could not speak to a forge."""
        _ = self.api

    @property
    def basic(self) -> Basic | None:
        """Name and password, where both are known."""
        return Basic(self.user, self.password) if self.user and self.password else None

    @property
    def api(self) -> Basic | Token:
        """What ordinary calls use: the PAT where there is one, for it costs the forge no hash."""
        auth = Token(self.pat) if self.pat else self.basic
        if auth is None:
            raise ForgeError("an administrator needs name and password, or a PAT")
        return auth

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """Read `FORGE_ADMIN_USER` with `FORGE_ADMIN_PASS`, `FORGE_ADMIN_PAT`, or all three.

        Returns:
            None where none of them is set.

        Raises:
            ForgeError: Half of the pair is set; the message names the missing variable.
        """
        user = environ.get("FORGE_ADMIN_USER") or None
        password = environ.get("FORGE_ADMIN_PASS") or None
        pat = environ.get("FORGE_ADMIN_PAT", "").strip() or None
        if user and not password:
            raise ForgeError("FORGE_ADMIN_USER is set, FORGE_ADMIN_PASS is not")
        if password and not user:
            raise ForgeError("FORGE_ADMIN_PASS is set, FORGE_ADMIN_USER is not")
        return cls(user, password, pat) if user or pat else None
