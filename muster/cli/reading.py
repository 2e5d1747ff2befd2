"""Shows an agent's log and its transcript, to people or as the lines are."""

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from rich.text import Text

from muster import agent_container, docker
from muster.cli.durations import moment
from muster.cli.log_view import LogView
from muster.cli.session import Session
from muster.cli.transcript import Transcript
from muster.printable import printable_json


class View(Protocol):
    """Turns lines into what people see."""

    def shown(self, line: str) -> Iterator[Text]:
        """Return what is shown of a line."""


def log(session: Session, name: str, *, since: str | None, follow: bool) -> None:
    """Print an agent's log, until it ends or Ctrl-C.

    Raises:
        MusterError: the agent or its container does not exist.
    """
    begin = moment(since) if since else None
    [agent] = session.agents([name])
    roster = session.roster()
    with docker.engine(roster.muster.docker_host) as client:
        container = agent_container.find(client, roster.name, agent)
        lines = agent_container.log_lines(container, since=begin, follow=follow)
        try:
            _show(session, lines, LogView())
        except KeyboardInterrupt:
            return


def transcript(session: Session, name: str) -> None:
    """Print the transcript of an agent's last session.

    Raises:
        MusterError: the agent, its container or the transcript does not exist.
    """
    [agent] = session.agents([name])
    roster = session.roster()
    with docker.engine(roster.muster.docker_host) as client:
        container = agent_container.find(client, roster.name, agent)
        lines = agent_container.file_lines(container, agent_container.TRANSCRIPT)
        try:
            _show(session, lines, Transcript())
        except agent_container.NoFileError:
            raise docker.DockerError(
                f"{name} has no session yet: muster logs {name} shows what it did"
            ) from None


def _show(session: Session, lines: Iterable[str], view: View) -> None:
    for line in lines:
        if session.screen.as_json:
            sys.stdout.write(f"{printable_json(line)}\n")
            sys.stdout.flush()
        else:
            for text in view.shown(line):
                session.screen.console.print(text)
