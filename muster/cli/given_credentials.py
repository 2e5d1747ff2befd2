"""Tests credentials that somebody made by hand before anything is stored or changed."""

from dataclasses import replace

from muster import project
from muster.cli.session import Session
from muster.doctor import hired
from muster.errors import MusterError
from muster.forge import (
    Basic,
    CannotMintError,
    Forge,
    ForgeError,
    SecondFactorError,
    Token,
    UnauthorizedError,
    minting_auth,
)
from muster.given_token import GivenToken
from muster.project import Given
from muster.roster import Agent


def prove_token(session: Session, agent: Agent, secret: str) -> None:
    """Test at the forge an access token that is to be an agent's.

    Where only the bot user's own password lists tokens, and Muster has not set it yet, only whether
    the token works is tested; the update tests the rest.

    Raises:
        MusterError: the token is refused, or an update would be; nothing was changed.
    """
    settings = session.settings()
    given = {**settings.given, agent.name: Given(token=secret)}
    found = project.inspect(replace(settings, given=given))
    url, who = settings.forge_url, settings.administrator
    known = hired.read(session.engine.state(secrets=True)).hired.get(agent.name)
    bot = Basic(agent.forge_user, known.password or "" if known else "")
    token = GivenToken(
        url,
        agent.forge_user,
        secret,
        found.repositories_of(agent),
        lambda: Forge(url, minting_auth(url, who, bot)),
    )
    try:
        if known is None and _lists_by_password(token):
            Forge(url, Token(secret)).whoami_if_shown()
        else:
            token.prove()
    except ForgeError as error:
        raise MusterError(f"{error.message}. Nothing was changed") from None


def _lists_by_password(token: GivenToken) -> bool:
    try:
        token.minting().tokens(token.user)
    except (CannotMintError, SecondFactorError):
        return False
    except UnauthorizedError:
        return True
    return False
