"""Whose credentials mint and revoke a bot user's tokens.

What a forge takes for it differs:

- a PAT as the password of HTTP Basic: Gitea, and Forgejo before 11.0.4 and 12.0.2;
- a PAT at the administrators' path: Forgejo from 16.0 on;
- an administrator's name and password: every version, if no second factor is asked for;
- the bot user's own current password: every version.

Which one works is found by asking, once per process and administrator, in this order: the first
two cost the forge no password hash. Asking changes nothing at the forge. The last one is at hand
wherever the administrator may set that password, so there is always a way.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

from muster.forge.client import Forge
from muster.forge.credentials import Administrator, Basic, Token

if TYPE_CHECKING:
    from collections.abc import Iterator

_one_at_a_time = threading.Lock()


def minting_auth(url: str, administrator: Administrator, bot: Basic) -> Basic | Token:
    """Return the credentials with which a client lists, mints and revokes this bot user's tokens.

    Args:
        url: The forge.
        administrator: Preferred wherever the forge takes its credentials for minting.
        bot: The bot user with its current password, for all other forges.
    """
    return _administrators_way(url, administrator) or bot


def minting_way(url: str, administrator: Administrator) -> str:
    """Say whose credentials mint and revoke tokens at this forge.

    Raises:
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


def _administrators_way(url: str, administrator: Administrator) -> Basic | Token | None:
    with _one_at_a_time:
        return _asked(url, administrator)


@functools.cache
def _asked(url: str, administrator: Administrator) -> Basic | Token | None:
    for user, auth in _ways(url, administrator):
        if Forge(url, auth).may_mint(user):
            return auth
    return None


def _ways(url: str, administrator: Administrator) -> Iterator[tuple[str, Basic | Token]]:
    if administrator.pat:
        token = Token(administrator.pat)
        owner = Forge(url, token).whoami().login
        yield owner, Basic(owner, administrator.pat)
        yield owner, token
    if administrator.basic:
        yield administrator.basic.user, administrator.basic
