"""How the crew does, on a screen."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

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

PIPE_WIDTH = 80
"""Characters of a line where no terminal has a width."""


@dataclass(frozen=True)
class _Seen:
    """A look: the roster, the forge's URL, the rows, and why something could not be asked."""

    roster: Roster
    forge_url: str
    rows: list[AgentStatus]
    unseen: list[str]


class Look:
    """Looks at a stack's crew, once or again and again.

    Args:
        session: the command's session.
        wide: whether to show every column.
    """

    def __init__(self, session: Session, *, wide: bool) -> None:
        self._session, self._wide = session, wide

    def once(self) -> bool:
        """Print a row an agent.

        Returns:
            Whether everything could be asked and is as the roster wants it.
        """
        seen = self._seen()
        now = datetime.now(UTC)
        screen = self._session.screen
        as_wanted = not seen.unseen and all(row.as_wanted for row in seen.rows)
        screen.report(
            {
                "stack": self._session.stack,
                "project": seen.roster.name,
                "repository": seen.roster.repo,
                "forge": seen.forge_url,
                "as_wanted": as_wanted,
                "agents": [row.report(now) for row in seen.rows],
                "unseen": seen.unseen,
            }
        )
        if not screen.as_json:
            screen.show(self._shown(seen, now), self._width)
        return as_wanted

    def watch(self) -> None:
        """Print the rows in place, until Ctrl-C."""
        with Live(console=self._session.screen.console, auto_refresh=False) as live:
            while True:
                live.update(self._shown(self._seen(), datetime.now(UTC)), refresh=True)
                time.sleep(PAUSE)

    @property
    def _width(self) -> int | None:
        console = self._session.screen.console
        if self._wide:
            return None
        return console.width if console.is_terminal else PIPE_WIDTH

    def _shown(self, seen: _Seen, now: datetime) -> Group:
        roster = seen.roster
        place = Text(f"{roster.name}: {roster.repo} at {seen.forge_url}", "bold")
        warnings = [Text(f"warning: {reason}", "yellow") for reason in seen.unseen]
        return Group(place, table(seen.rows, now, self._width), *warnings)

    def _seen(self) -> _Seen:
        session = self._session
        state = session.engine.state()
        roster = session.roster()
        configuration = session.engine.configuration()
        url = project.forge_url(roster, project.port(configuration.get("forgePort")))
        forge = self._forge(roster, url, configuration)
        return _Seen(roster, url, *status.look(roster, session.stack, state, forge))

    def _forge(
        self, roster: Roster, url: str, configuration: Mapping[str, str]
    ) -> tuple[str, Administrator] | str:
        """Return the forge and its administrator, or why it is not asked."""
        try:
            who = administrator.find(os.environ, configuration.get)
            if not roster.muster.local_forge:
                return url, who
            with docker.engine(roster.muster.docker_host) as client:
                ports = docker.published_ports(client, local_forge.container_name(roster.name))
        except MusterError as error:
            return f"the forge was not asked: {error}"
        # Whoever else has that port must not be shown the administrator's password.
        return (url, who) if urlsplit(url).port in ports else "the local forge does not run"
