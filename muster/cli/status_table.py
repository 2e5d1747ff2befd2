"""The table of `muster status`: a row for each agent, endpoints, what needs attention."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from muster.agent_log import Endpoint, Line, Usage
from muster.status import AgentStatus
from muster.words import capacity

_GAP = 2
_LAST_RESULT_WIDTH = 32
_COLOURS = {"healthy": "green", "starting": "yellow", "unhealthy": "red"}
_WORKING = {HTTPStatus.OK, HTTPStatus.NOT_FOUND}  # 404: it does not list its models
_SHORT = 1000
_MILLION = 1_000_000


@dataclass(frozen=True)
class _Column:
    """A column, in its place from left to right.

    Attributes:
        title: its title.
        rank: columns of the highest rank are left out first; those of rank 0 always stay.
        cell: returns a row's cell.
    """

    title: str
    rank: int
    cell: Callable[[AgentStatus, datetime], Text]


def table(rows: list[AgentStatus], now: datetime, width: int | None) -> RenderableType:
    """Return the table, and below it a line for each note.

    Args:
        rows: the crew.
        now: the present.
        width: characters of a line, into which the table fits; None shows every column.
    """
    if not rows:
        return Text("No agent is hired yet: muster hire NAME ROLE …")
    shown = Table(box=None, pad_edge=False, header_style="bold")
    columns = _fitting(rows, now, width)
    for column in columns:
        shown.add_column(column.title, overflow="fold")
    for row in rows:
        shown.add_row(*(column.cell(row, now) for column in columns))
    notes = [Text(f"{row.name}: {note}", "yellow") for row in rows for note in _notes(row)]
    return Group(shown, *_endpoints(rows), *notes)


def _fitting(rows: list[AgentStatus], now: datetime, width: int | None) -> list[_Column]:
    """Return the columns that fit into a line; those that matter least are left out first."""
    if width is None:
        return list(_COLUMNS)
    widths = {
        each.title: max(len(each.title), *(each.cell(row, now).cell_len for row in rows))
        for each in _COLUMNS
    }
    columns = [each for each in _COLUMNS if each.rank < _WIDE]
    while columns and sum(widths[each.title] + _GAP for each in columns) - _GAP > width:
        least = max(columns, key=lambda each: each.rank)
        if least.rank == 0:
            break  # the cells are folded
        columns.remove(least)
    return columns


def _state(row: AgentStatus) -> Text:
    """Tell what a running agent does, or why none runs."""
    if row.actual == "running":
        return Text(state_words(row.now) if row.now else "running", _state_colour(row.now))
    if row.actual == "none":
        return Text("stopped") if row.wanted == "stopped" else Text("no container", "red")
    return Text(row.actual, "" if row.actual == "unknown" else "red")


def state_words(line: Line) -> str:
    """Return an agent's state in words, such as `waiting: queue 2/3`."""
    if line.state is None:
        return "running"
    if line.waiting_for is None:
        return line.state
    place = f" {line.queue[0]}/{line.queue[1]}" if line.queue else ""
    return f"{line.state}: {line.waiting_for}{place}"


def _state_colour(line: Line | None) -> str:
    waits = line is not None and line.waiting_for not in {None, "queue"}
    return "yellow" if waits else ""


def _work(line: Line | None) -> str:
    """Name the issue, and its pull request if there is one; or the pull request under review."""
    if line is None or line.task is None:
        return "-"
    if line.task.kind == "pull":
        return f"PR #{line.task.number}"
    return f"#{line.task.number}" + (f" → #{line.pull}" if line.pull else "")


def _last_result(line: Line | None) -> Text:
    last = f"{line.last.task} {line.last.result}".strip() if line and line.last else "-"
    shown = Text(last)
    shown.truncate(_LAST_RESULT_WIDTH, overflow="ellipsis")
    return shown


def _today(used: Usage | None) -> str:
    if used is None:
        return "-"
    return f"{_count(used.tokens)}, {used.minutes:.0f}m"


def _count(number: int) -> str:
    """Return a number in three digits or fewer, such as `120k`."""
    if number < _SHORT:
        return str(number)
    if number < _MILLION:
        return f"{number // _SHORT}k"
    return f"{number / _MILLION:.1f}M"


def _endpoint(row: AgentStatus) -> Text:
    """Return whether the endpoint can serve the agent, as it saw it last."""
    if row.now is None or row.now.endpoint.reachable is None:
        return Text("-")
    found = row.now.endpoint
    if not found.reachable:
        return Text("no answer", "red")
    if "endpoint" not in row.now.errors:
        return Text("ok", "green")
    if found.status != HTTPStatus.OK:
        return Text(f"HTTP {found.status}", "red")
    return Text("no model" if found.serves_model is False else "not ready", "red")


def _drift(row: AgentStatus) -> Text:
    return Text(str(len(row.drift)), "yellow") if row.drift else Text("-")


def _credentials(row: AgentStatus, now: datetime) -> str:
    if row.issued_at is None:
        return "-"
    return f"{_age(row.issued_at, now)}, rot. {row.rotation}"


def _endpoints(rows: list[AgentStatus]) -> Iterator[Text]:
    """Describe each endpoint of the agents that run, as they saw it last."""
    seen: dict[tuple[str, Endpoint], list[str]] = {}
    for row in rows:
        if row.now is not None and row.now.endpoint.reachable is not None:
            seen.setdefault((row.endpoint, row.now.endpoint), []).append(row.name)
    for (url, found), agents in seen.items():
        is_ready = found.status in _WORKING and found.serves_model is not False
        words = f"endpoint {url} ({', '.join(agents)}): {_endpoint_words(found)}"
        yield Text(words, "" if is_ready else "red")


def _endpoint_words(found: Endpoint) -> str:
    """Return what an endpoint reported, such as `llama-server, window 65,536 tokens, 2 slots`."""
    if not found.reachable:
        return "no answer"
    words = [found.server] if found.server else []
    if found.status not in _WORKING:
        words.append(f"HTTP {found.status}")
    if found.serves_model is not None:
        words.append("serves the model" if found.serves_model else "does not serve the model")
    words += capacity(found.window, found.slots)
    return ", ".join(words or ["answers"])


def _notes(row: AgentStatus) -> Iterator[str]:
    """Say what the columns have no room for: errors, a sandbox that is off, drift."""
    errors = row.now.errors if row.now else {}
    yield from (f"{step}: {error}" for step, error in errors.items())
    if row.sandbox == "off":
        yield 'sandbox = "off": Claude Code can reach all that the agent can'
    yield from row.drift


def _age(time: datetime | None, now: datetime) -> str:
    """Return how long ago a time was, in the largest unit of which there are at least two."""
    if time is None:
        return "-"
    seconds = max(0, int((now - time).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


_WIDE = 9
"""The rank of columns that only `--wide` shows."""

_COLUMNS = (
    _Column("AGENT", 0, lambda row, _: Text(row.name)),
    _Column("STATE", 0, lambda row, _: _state(row)),
    _Column("SINCE", 1, lambda row, now: Text(_age(row.now.since, now) if row.now else "-")),
    _Column("WORK", 0, lambda row, _: Text(_work(row.now))),
    _Column("ENDPOINT", 0, lambda row, _: _endpoint(row)),
    _Column("DRIFT", 0, lambda row, _: _drift(row)),
    _Column(
        "HEALTH", 2, lambda row, _: Text(row.health or "-", _COLOURS.get(row.health or "", ""))
    ),
    _Column("LAST RESULT", 3, lambda row, _: _last_result(row.line)),
    _Column("TODAY", 4, lambda row, _: Text(_today(row.line.today if row.line else None))),
    _Column("CREDENTIALS", 5, lambda row, now: Text(_credentials(row, now))),
    _Column("ROLES", _WIDE, lambda row, _: Text(", ".join(row.roles) or "-")),
    _Column("BOT USER", _WIDE, lambda row, _: Text(row.bot_user)),
)
