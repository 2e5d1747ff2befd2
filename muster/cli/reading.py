"""Shows agents' logs and transcripts, to people or as the lines are."""

import re
import sys
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from muster import agent_container, disinto_agents, docker, kept_log
from muster.cli.log_lines import LogLines
from muster.cli.log_view import LogView
from muster.cli.screen import Screen
from muster.cli.session import Session
from muster.cli.transcript import Transcript
from muster.errors import MusterError
from muster.printable import printable_json


@dataclass(frozen=True)
class Wanted:
    """Which lines of logs are shown.

    Attributes:
        since: those from this time on; None shows all.
        tail: so many of those that there are; None shows all.
        pattern: those in which it is found; None shows all.
        follow: whether to show those that come, too.
    """

    since: datetime | None = None
    tail: int | None = None
    pattern: re.Pattern[str] | None = None
    follow: bool = False


def log(session: Session, names: list[str] | None, wanted: Wanted) -> None:
    """Print the logs of some agents or the whole crew, until they end or Ctrl-C.

    Raises:
        MusterError: an agent does not exist, or has no container.
    """
    agents = session.agents(names)
    roster = session.roster()
    with docker.engine(roster.muster.docker_host) as client:
        containers, kept = {}, {}
        for agent in agents:
            try:
                containers[agent.name] = agent_container.find(client, roster.name, agent)
                kept[agent.name] = kept_log.of_container(containers[agent.name])
            except docker.DockerError:
                kept[agent.name] = kept_log.of_volume(
                    client, roster.name, session.stack, agent.name
                )
                if not kept[agent.name] and (names or len(agents) == 1):
                    raise
        if not containers and not any(kept.values()):
            raise docker.DockerError("no agent has a container: muster up creates them")
        for agent in agents:
            if disinto_agents.runs(agent) and wanted.pattern is None:
                session.screen.say(disinto_agents.other_logs(roster, agent), "dim")
        lines = LogLines(containers, kept, wanted.since)
        if session.screen.as_json:
            _raw(lines, wanted)
        else:
            _read(session.screen, lines, list(kept), wanted)


def _raw(lines: LogLines, wanted: Wanted) -> None:
    def fits(line: str) -> bool:
        return wanted.pattern is None or wanted.pattern.search(line) is not None

    masked = (printable_json(logged.line) for logged in lines.written())
    for line in deque(filter(fits, masked), wanted.tail):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    for logged in lines.coming() if wanted.follow else ():
        if fits(line := printable_json(logged.line)):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


def _read(screen: Screen, lines: LogLines, agents: list[str], wanted: Wanted) -> None:
    view = LogView(agents, wanted.pattern)
    entries = (view.entry(logged.line, logged.agent) for logged in lines.written())
    for entry in deque((each for each in entries if each is not None), wanted.tail):
        for text in view.dated(entry):
            screen.console.print(text)
    for logged in lines.coming() if wanted.follow else ():
        for text in view.shown(logged.line, logged.agent):
            screen.console.print(text)


def transcript(session: Session, name: str) -> None:
    """Print the transcript of an agent's last session.

    Raises:
        MusterError: the agent, its container or the transcript does not exist.
    """
    [agent] = session.agents([name])
    roster = session.roster()
    if disinto_agents.runs(agent):
        raise MusterError(disinto_agents.no_transcript(roster, agent))
    with docker.engine(roster.muster.docker_host) as client:
        container = agent_container.find(client, roster.name, agent)
        view = Transcript()
        try:
            for line in agent_container.file_lines(container, agent_container.TRANSCRIPT):
                if session.screen.as_json:
                    sys.stdout.write(f"{printable_json(line)}\n")
                    continue
                for text in view.shown(line):
                    session.screen.console.print(text)
        except agent_container.NoFileError:
            raise docker.DockerError(
                f"{name} has no session yet: muster logs {name} shows what it did"
            ) from None
