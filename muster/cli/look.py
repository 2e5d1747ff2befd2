"""How the crew does, on a screen."""

import os
import time
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from muster import administrator, docker, local_forge, project, status
from muster.cli.session import Session
from muster.errors import MusterError
from muster.forge import Administrator
from muster.roster import Roster
from muster.status import AgentStatus

PAUSE = 3.0
"""Seconds between two looks."""

TITLES = (
    "AGENT",
    "WANTED",
    "ACTUAL",
    "HEALTH",
    "LAST CYCLE",
    "ENDPOINT",
    "CREDENTIALS",
    "IMAGE",
    "DRIFT",
)


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
            screen.show(_table(rows, now))
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
                    live.update(Group(_table(rows, datetime.now(UTC)), *warnings), refresh=True)
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


def _table(rows: list[AgentStatus], now: datetime) -> RenderableType:
    if not rows:
        return Text("The crew has nobody yet: muster hire NAME ROLE …")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in TITLES:
        table.add_column(title, overflow="fold")
    for row in rows:
        matches = row.wanted == row.actual or (row.wanted == "stopped" and row.actual == "none")
        table.add_row(
            row.name,
            row.wanted,
            Text(row.actual, "" if matches else "red"),
            Text(row.health or "-", _COLOURS.get(row.health or "", "")),
            _cycle(row, now),
            _endpoint(row),
            _credentials(row, now),
            (row.image or "-").removeprefix("sha256:")[:12],
            Text("see below" if row.drift else "-", "yellow" if row.drift else ""),
        )
    drift = [Text(f"{row.name}: {each}", "yellow") for row in rows for each in row.drift]
    return Group(table, *drift)


_COLOURS = {"healthy": "green", "starting": "yellow", "unhealthy": "red"}


def _cycle(row: AgentStatus, now: datetime) -> Text:
    if row.cycle is None:
        return Text("-")
    failed = ", ".join(row.cycle.errors)
    said = f"{row.cycle.result}{f': {failed}' if failed else ''}, {_ago(now - row.cycle.time)} ago"
    return Text(said, "red" if failed else "")


def _endpoint(row: AgentStatus) -> Text:
    """Tell whether the endpoint answered in the last cycle, as far as that is known."""
    if row.endpoint == "anthropic":
        return Text("anthropic")
    if row.cycle is None or row.cycle.endpoint_reachable is None or row.actual != "running":
        return Text("-")
    return Text("reachable") if row.cycle.endpoint_reachable else Text("unreachable", "red")


def _credentials(row: AgentStatus, now: datetime) -> str:
    if row.issued_at is None:
        return "-"
    return f"{_ago(now - row.issued_at)}, rotation {row.rotation}"


def _ago(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
