"""The forge: a client for the part of Forgejo's API that Muster needs.

Gitea speaks the same API.
"""

from muster.forge.client import Forge
from muster.forge.credentials import Administrator, Basic, Token
from muster.forge.errors import (
    ForbiddenError,
    ForgeError,
    ForgeUnreachableError,
    NotFoundError,
    UnauthorizedError,
)
from muster.forge.minting import minting_auth, minting_way
from muster.forge.records import AccessToken, Repository, User, normalise_scopes

__all__ = [
    "AccessToken",
    "Administrator",
    "Basic",
    "ForbiddenError",
    "Forge",
    "ForgeError",
    "ForgeUnreachableError",
    "NotFoundError",
    "Repository",
    "Token",
    "UnauthorizedError",
    "User",
    "minting_auth",
    "minting_way",
    "normalise_scopes",
]
