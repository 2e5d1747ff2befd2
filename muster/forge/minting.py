"""Whose credentials mint and revoke a bot user's tokens.

What a forge takes for it differs:

- a PAT at the administrators' path: Forgejo from 16.0 on;
- a PAT as the password of HTTP Basic: Gitea, and Forgejo before 11.0.4 and 12.0.2;
- an administrator's name and password: every version, if no second factor is asked for;
- the bot user's own current password: every version.

A forge with `ENABLE_BASIC_AUTHENTICATION = false` takes no passwords at its API, so there only a
PAT mints.

Which one works is found by asking, once per process and administrator, in this order: the first
two cost the forge no password hash. Asking changes nothing at the forge. Whether it requires a
second factor of its users shows by no call: it refuses a bot user's first one then.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

from muster.forge import versions
from muster.forge.client import Forge
from muster.forge.credentials import Administrator, Basic, Token
from muster.forge.errors import ForbiddenError, SecondFactorError, UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND_FACTOR = (
    "whether the forge requires a second factor of all its users, and so refuses bot users, cannot "
    "be checked before the first one exists"
)

REQUIRED_SECOND_FACTOR = (
    "the forge requires a second factor of all its users, which a bot user does not have: set "
    "GLOBAL_TWO_FACTOR_REQUIREMENT = admin (Forgejo), or do not set TWO_FACTOR_AUTH = enforced "
    "(Gitea). Or create the bot user by hand with a second factor, set adopt = true, and give its "
    "access token with muster rotate NAME --token-from-stdin"
)

_one_at_a_time = threading.Lock()


class CannotMintError(UnauthorizedError):
    """The forge mints and revokes no bot user's tokens by any credentials that are at hand."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"forge {url} mints no tokens for bot users: it takes no passwords at its API "
            "(ENABLE_BASIC_AUTHENTICATION = false), and FORGE_ADMIN_PAT is not set, or not enough "
            "there. Gitea and Forgejo mint by an administrator's PAT, except Forgejo 11.0.4 to 15",
        )


def minting_auth(url: str, administrator: Administrator, bot: Basic) -> Basic | Token:
    """Return the credentials with which a client lists, mints and revokes this bot user's tokens.

    Args:
        url: The forge.
        administrator: Preferred wherever the forge takes its credentials for minting.
        bot: The bot user with its current password, for all other forges.

    Raises:
        CannotMintError: The forge takes neither.
    """
    return _administrators_way(url, administrator) or bot


def minting_way(url: str, administrator: Administrator) -> str:
    """Say whose credentials mint and revoke tokens at this forge.

    Raises:
        CannotMintError: Nobody's that are at hand.
        ForgeError: The forge does not answer, or does not take the credentials at all.
    """
    auth = _administrators_way(url, administrator)
    if auth is None:
        return "each bot user's own password"
    if isinstance(auth, Token):
        return "the administrator's PAT, at the administrators' path"
    if auth == administrator.basic:
        return "the administrator's password"
    return "the administrator's PAT, as a password"


def may_require_second_factor(url: str, administrator: Administrator, repo: str) -> bool:
    """Tell whether the forge may require a second factor of all its users, for all that is known.

    It does not if a password alone gets an administrator to the repository. No other call shows it.

    Raises:
        ForgeError: The forge does not answer.
    """
    if administrator.basic is None:
        return True
    try:
        return Forge(url, administrator.basic).repository(repo) is None
    except (UnauthorizedError, ForbiddenError):
        return True


def takes_password(url: str, bot: Basic) -> bool | None:
    """Tell whether an account that may log in has this password; None if the forge does not tell.

    Raises:
        ForgeError: The forge does not answer.
    """
    try:
        Forge(url, bot).whoami()
    except SecondFactorError:
        return None
    except UnauthorizedError:
        return False if Forge(url, None).takes_passwords() else None
    except ForbiddenError:  # it took the password, and wants more, e.g. a second factor
        return True
    return True


def limits_tokens(url: str, administrator: Administrator) -> bool:
    """Tell whether the forge can limit tokens to repositories; asked once per process.

    Raises:
        ForgeError: The forge does not answer, or does not take the credentials at all.
    """
    with _one_at_a_time:
        return _limits_tokens(url, administrator)


@functools.cache
def _limits_tokens(url: str, administrator: Administrator) -> bool:
    return versions.limits_tokens(Forge(url, administrator.api).version())


def _administrators_way(url: str, administrator: Administrator) -> Basic | Token | None:
    with _one_at_a_time:
        return _asked(url, administrator)


@functools.cache
def _asked(url: str, administrator: Administrator) -> Basic | Token | None:
    for user, auth in _ways(url, administrator):
        if Forge(url, auth).may_mint(user):
            return auth
    if not Forge(url, None).takes_passwords():
        raise CannotMintError(url)
    return None


def _ways(url: str, administrator: Administrator) -> Iterator[tuple[str, Basic | Token]]:
    if administrator.pat:
        token = Token(administrator.pat)
        owner = Forge(url, token).whoami().login
        yield owner, token
        yield owner, Basic(owner, administrator.pat)
    if administrator.basic:
        yield administrator.basic.user, administrator.basic
