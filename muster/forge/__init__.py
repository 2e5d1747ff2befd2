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
    SecondFactorError,
    UnauthorizedError,
)
from muster.forge.minting import (
    REQUIRED_SECOND_FACTOR,
    SECOND_FACTOR,
    CannotMintError,
    limits_tokens,
    may_require_second_factor,
    minting_auth,
    minting_way,
    takes_password,
)
from muster.forge.records import AccessToken, Repository, User, normalise_scopes
from muster.forge.session import trust
from muster.forge.versions import reserves_more_names
from muster.forge.work import WorkForge
from muster.forge.work_records import (
    Comment,
    Issue,
    Pull,
    Review,
    ReviewComment,
    Status,
    Statuses,
)

__all__ = [
    "REQUIRED_SECOND_FACTOR",
    "SECOND_FACTOR",
    "AccessToken",
    "Administrator",
    "Basic",
    "CannotMintError",
    "Comment",
    "ForbiddenError",
    "Forge",
    "ForgeError",
    "ForgeUnreachableError",
    "Issue",
    "NotFoundError",
    "Pull",
    "Repository",
    "Review",
    "ReviewComment",
    "SecondFactorError",
    "Status",
    "Statuses",
    "Token",
    "UnauthorizedError",
    "User",
    "WorkForge",
    "limits_tokens",
    "may_require_second_factor",
    "minting_auth",
    "minting_way",
    "normalise_scopes",
    "reserves_more_names",
    "takes_password",
    "trust",
]
