"""Keeps the keys of endpoints in the stack's configuration, and tests them first."""

import getpass
import json
import sys
from dataclasses import dataclass

import typer

from muster import docker, keys, rules
from muster.cli.screen import Screen
from muster.cli.session import Session
from muster.docker import DockerError
from muster.doctor import endpoints, probe
from muster.doctor.findings import NotAskedError
from muster.doctor.probe import Question
from muster.endpoint import ANTHROPIC, Endpoint
from muster.errors import MusterError
from muster.printable import one_line
from muster.roster import Agent, Roster


@dataclass(frozen=True)
class Target:
    """Whose key it is.

    Attributes:
        name: the agent's name, or the endpoint's URL.
        url: the endpoint; None is the Anthropic API.
        agents: the agents that use the key.
    """

    name: str
    url: str | None
    agents: list[Agent]


def read(screen: Screen) -> str:
    """Read a key: from a terminal without showing it, else the first line of standard input.

    Raises:
        typer.BadParameter: there is none, or it is not one line of ASCII without spaces.
    """
    text = getpass.getpass("Key (not shown): ") if screen.terminal else sys.stdin.readline()
    key = text.strip()
    if not key:
        raise typer.BadParameter("standard input is empty: muster key NAME < key.txt")
    # HTTP libraries quote a header that they refuse.
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise typer.BadParameter("a key is one line of ASCII without spaces; nothing was changed")
    return key


def keep(session: Session, target: str, key: str) -> None:
    """Test a key at its endpoint, store it, and report what comes next.

    Raises:
        MusterError: there is no such agent, or the endpoint refuses the key; nothing was changed.
    """
    found = _target(session, target)
    doubt = _doubt(session, found, key)
    with session.alone():
        session.engine.keep_secret(keys.place(found.name), key)
    tested = "it was accepted there" if doubt is None else f"it was not tested: {doubt}"
    session.screen.say(
        f"Stored the key of {found.name} in stack {session.stack}; {tested}. "
        f"To remove it: muster key {target} --remove"
    )
    _report(session, found, is_tested=doubt is None)


def remove(session: Session, target: str) -> None:
    """Remove a stored key.

    Raises:
        MusterError: there is no such agent, or no key is stored for it.
    """
    found = _target(session, target, fired=True)
    with session.alone():
        configured = session.engine.configuration()
        own = json.loads(configured.get("keys") or "{}")
        is_there = found.name in own or (found.name == ANTHROPIC and keys.CONFIGURED in configured)
        if not is_there:
            raise MusterError(f"stack {session.stack} has no key of {found.name}")
        session.engine.forget(keys.place(found.name))
    session.screen.say(f"Removed the key of {found.name} from stack {session.stack}.")
    _report(session, found, is_tested=None)


def _report(session: Session, found: Target, *, is_tested: bool | None) -> None:
    names = [agent.name for agent in found.agents]
    if names:
        session.screen.say(f"muster up brings that to {', '.join(names)}.")
    session.screen.report(
        {"stack": session.stack, "target": found.name, "tested": is_tested, "agents": names}
    )


def _target(session: Session, target: str, *, fired: bool = False) -> Target:
    roster = session.roster()
    if "://" in target:
        return _endpoint(roster, target)
    if fired and target not in roster.agents:
        return Target(target, None, [])
    [agent] = session.agents([target])
    return Target(agent.name, agent.base_url, [agent])


def _endpoint(roster: Roster, target: str) -> Target:
    url = None
    if not _is_anthropic(target):
        try:
            url = rules.endpoint_url(target)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    users = [agent for agent in roster.agents.values() if agent.base_url == url]
    return Target(url or ANTHROPIC, url, users)


def _is_anthropic(target: str) -> bool:
    try:
        return rules.without_appended(rules.url(target)) == ANTHROPIC
    except ValueError:
        return False


def _doubt(session: Session, target: Target, key: str) -> str | None:
    """Test a key from inside the agents' network; return why that is not possible.

    Raises:
        MusterError: the endpoint refuses it.
    """
    roster = session.roster()
    way = endpoints.way(roster, [*target.agents, roster.muster][0])
    mine, none = (Question(target.url, each, None, way=way) for each in (key, ""))
    try:
        with docker.engine(roster.muster.docker_host) as client:
            place = probe.Place(client, roster, session.stack)
            view = probe.view(place, target.agents, [], [mine, none])
    except (DockerError, NotAskedError) as error:
        return str(error)
    with_key, without = (view.endpoints[each][0] for each in (mine, none))
    if with_key.refused:
        raise MusterError(
            f"{target.url or ANTHROPIC} refused the key (HTTP {with_key.status}): nothing was "
            "changed"
        )
    return judged(with_key, without)


def judged(with_key: Endpoint, without: Endpoint) -> str | None:
    """Return why answers with and without a key that is not refused prove nothing about it."""
    if with_key.error is not None:
        return one_line(with_key.error)
    if not without.refused:
        return "the endpoint also answers without a key; muster doctor --ask-model uses it"
    return None
