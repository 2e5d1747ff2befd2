"""How the crew does, on a screen."""

import os
import time
from datetime import UTC, datetime

from rich.console import Group
from rich.live import Live
from rich.text import Text

from muster import administrator, docker, local_forge, project, status
from muster.cli.session import Session
from muster.cli.status_table import table
from muster.errors import MusterError
from muster.forge import Administrator
from muster.roster import Roster
from muster.status import AgentStatus

PAUSE = 3.0
"""Seconds between two looks."""


class Look:
    """Looks at a stack's crew, once or again and again."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def once(self) -> None:
        """Print a row an agent."""
        rows, unseen = self._rows()
        now = datetime.now(UTC)
        screen = self._session.screen
        screen.report(
            {
                "stack": self._session.stack,
                "agents": [row.report(now) for row in rows],
                "unseen": unseen,
            }
        )
        if not screen.as_json:
            screen.show(table(rows, now))
            for reason in unseen:
                screen.say(f"warning: {reason}", "yellow")

    def watch(self) -> None:
        """Print the rows in place, until Ctrl-C."""
        screen = self._session.screen
        try:
            with Live(console=screen.console, auto_refresh=False) as live:
                while True:
                    rows, unseen = self._rows()
                    warnings = [Text(f"warning: {reason}", "yellow") for reason in unseen]
                    live.update(Group(table(rows, datetime.now(UTC)), *warnings), refresh=True)
                    time.sleep(PAUSE)
        except KeyboardInterrupt:
            return

    def _rows(self) -> tuple[list[AgentStatus], list[str]]:
        session = self._session
        state = session.engine.state()
        roster = session.roster()
        return status.look(roster, session.stack, state, self._forge(roster))

    def _forge(self, roster: Roster) -> tuple[str, Administrator] | str:
        """Return the forge and its administrator, or why it is not asked."""
        configuration = self._session.engine.configuration()
        try:
            who = administrator.find(os.environ, configuration.get)
            if not roster.muster.local_forge:
                return str(roster.forge_url), who
            port = project.port(configuration.get("forgePort"))
            with docker.engine(roster.muster.docker_host) as client:
                ports = docker.published_ports(client, local_forge.container_name(roster.name))
        except MusterError as error:
            return f"the forge was not asked: {error}"
        # Whoever else has that port must not be shown the administrator's password.
        return (local_forge.url(port), who) if port in ports else "the local forge does not run"
