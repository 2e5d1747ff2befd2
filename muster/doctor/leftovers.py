"""What is left at the forge and in Docker of agents that are gone, or of runs that were killed.

All of it is listed first, and the state read afterwards: what an update makes meanwhile then stands
in the state, or among what it has begun and not ended.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import docker.errors
from docker.models.containers import Container

from muster.accounts import agent_of, crew_words, mark_of
from muster.credentials import is_ours, new_password
from muster.docker import DockerError
from muster.doctor.findings import (
    CALLS_AT_ONCE,
    Finding,
    NotAskedError,
    not_asked,
    well,
    wrong,
)
from muster.doctor.hired import Hired, State
from muster.doctor.probe import PROBE
from muster.doctor.subject import Subject
from muster.forge import (
    AccessToken,
    Basic,
    CannotMintError,
    Forge,
    NotFoundError,
    UnauthorizedError,
    User,
    minting_auth,
)
from muster.names import AGENT_LABEL, labels

_Judge = Callable[[State], Iterator[Finding]]
"""Tells what of a list is left over, by the state."""


def strays(subject: Subject) -> Iterator[Finding]:
    """Look for tokens, containers and accounts of ours that no agent has."""
    judges = [_listed(subject, look) for look in (_tokens, _containers, _accounts)]
    state = subject.state_now.get()()
    if state.unfinished:
        raise NotAskedError("an update has begun and not ended, or was killed")
    for judge in judges:
        yield from judge(state)


def _listed(subject: Subject, look: Callable[[Subject], _Judge]) -> _Judge:
    try:
        return look(subject)
    except NotAskedError as error:
        why = f"{look.__name__.strip('_')} that nobody has: {error}"
        return lambda _: iter([not_asked(why)])


def _tokens(subject: Subject) -> _Judge:
    """List the tokens of those who are hired."""
    hired = subject.state.get().hired
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        asked = pool.map(partial(_listed_of, subject), hired.values())
        lists = dict(zip(hired, asked, strict=True))

    def judge(state: State) -> Iterator[Finding]:
        found = [
            finding
            for agent in lists
            if agent in state.hired
            for finding in _judged(subject, agent, state.hired[agent], lists[agent])
        ]
        yield from found
        if not found:
            yield well(f"no tokens of ours but those in service, {len(lists)} bot users asked")

    return judge


def _listed_of(subject: Subject, bot: Hired) -> list[AccessToken] | None:
    """List a bot user's tokens; None where its password is needed for that, and another."""
    try:
        return _minting(subject, bot).tokens(bot.user)
    except CannotMintError as error:
        raise NotAskedError(str(error)) from None
    except NotFoundError:
        return []  # told where access is asked for
    except UnauthorizedError:
        return None


def _judged(
    subject: Subject, agent: str, hired: Hired, listed: list[AccessToken] | None
) -> Iterator[Finding]:
    """Tell which tokens of a bot user are not in service."""
    if listed is None:
        # The check of access reports why: a password set by hand, or a barred login.
        yield not_asked(
            f'the tokens of agent "{agent}": the forge does not take the password of {hired.user}'
        )
    for token in listed or ():
        what = f'agent "{agent}": token {token.name} (…{token.last_eight}) of {hired.user}'
        if token.id in hired.replaced:
            yield wrong(f"{what} was replaced, and not revoked yet", subject.muster("up"))
        elif is_ours(token.name) and token.id != hired.token_id:
            yield wrong(
                f"{what} works, and is not in service",
                subject.muster("doctor", "--fix"),
                partial(_revoke, _minting(subject, hired), hired.user, token),
            )


def _minting(subject: Subject, bot: Hired) -> Forge:
    url, who = subject.forge_url.get(), subject.administrator.get()
    return Forge(url, minting_auth(url, who, Basic(bot.user, bot.password or "")))


def _revoke(forge: Forge, user: str, token: AccessToken) -> None:
    with suppress(NotFoundError):
        forge.revoke_token(user, token.id)


def _containers(subject: Subject) -> _Judge:
    """List the containers and volumes with our labels."""
    client, roster, stack = subject.client.get(), subject.roster.get(), subject.stack.get()
    ours = [f"{key}={value}" for key, value in labels(stack, roster.name).items()]
    containers = client.containers.list(all=True, filters={"label": ours}, ignore_removed=True)
    volumes = client.volumes.list(filters={"label": ours})

    def judge(state: State) -> Iterator[Finding]:
        known = roster.agents.keys() | state.agents
        found = [each for each in containers if _is_stray(each, known)]
        for each in found:
            agent = each.labels[AGENT_LABEL]
            yield wrong(
                f"container {each.name} ({each.status}) is labelled as ours, and there is no "
                f"agent {agent}, in the roster or hired",
                subject.muster("doctor", "--fix"),
                partial(_remove, each),
            )
        kept = [
            str(volume.name)
            for volume in volumes
            if (agent := volume.attrs["Labels"].get(AGENT_LABEL)) and agent not in known
        ]
        if not found:
            yield well(f"no containers without an agent{_kept(kept)}")

    return judge


def _is_stray(container: Container, known: frozenset[str] | set[str]) -> bool:
    agent = container.labels.get(AGENT_LABEL)
    if agent == PROBE:
        return bool(container.status != "running")
    return agent is not None and agent not in known


def _remove(container: Container) -> None:
    try:
        with suppress(docker.errors.NotFound):
            container.remove(force=True)
    except docker.errors.APIError as error:
        raise DockerError(f"{container.name}: {error.explanation}") from None


def _kept(volumes: list[str]) -> str:
    return f"; volumes of fired agents, kept: {', '.join(sorted(volumes))}" if volumes else ""


def _accounts(subject: Subject) -> _Judge:
    """List the accounts with this stack's mark; firing leaves them, barred."""
    roster = subject.roster.get()
    marked = mark_of(subject.stack.get(), roster.name, "")
    found_by = crew_words(roster.name)
    listed = [
        user
        for user in subject.as_administrator().users(found_by)
        if user.login_name.startswith(marked)
    ]

    def judge(state: State) -> Iterator[Finding]:
        known = {agent.forge_user.lower() for agent in roster.agents.values()}
        known |= {each.user.lower() for each in state.hired.values()}
        found = [
            user for user in listed if not user.prohibit_login and user.login.lower() not in known
        ]
        for user in found:
            yield wrong(
                f"bot user {user.login} may log in, and no agent has it any more: it was made for "
                f"{agent_of(user.login_name)}",
                subject.muster("doctor", "--fix"),
                partial(_bar, subject, user),
            )
        if not found:
            yield well("no accounts with this stack's mark without an agent, but barred ones")

    return judge


def _bar(subject: Subject, user: User) -> None:
    """Revoke an account's tokens of ours and bar it, as firing does."""
    forge, mark, source = subject.as_administrator(), user.login_name, user.source_id
    password = new_password()
    forge.edit_user(user.login, login_name=mark, source_id=source, password=password)
    minting = _minting(subject, Hired(user.login, password=password))
    for token in minting.tokens(user.login):
        if is_ours(token.name):
            _revoke(minting, user.login, token)
    forge.edit_user(user.login, login_name=mark, source_id=source, prohibit_login=True)
