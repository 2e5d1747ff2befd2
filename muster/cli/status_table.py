"""The table of `muster status`: a row for each agent, endpoints, what needs attention."""

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from muster.agent_log import Endpoint, Line, Usage
from muster.status import AgentStatus

TITLES = ("AGENT", "STATE", "WORK", "SINCE", "LAST RESULT", "TODAY", "HEALTH", "CREDENTIALS")

_LAST_RESULT_WIDTH = 32
_COLOURS = {"healthy": "green", "starting": "yellow", "unhealthy": "red"}
_SHORT = 1000
_MILLION = 1_000_000


def table(rows: list[AgentStatus], now: datetime) -> RenderableType:
    """Return the table, and below it a line for each note."""
    if not rows:
        return Text("The crew has nobody yet: muster hire NAME ROLE …")
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in TITLES:
        width = _LAST_RESULT_WIDTH if title == "LAST RESULT" else None
        shown.add_column(title, overflow="fold", max_width=width)
    for row in rows:
        shown.add_row(
            Text(row.name),
            _state(row),
            Text(_work(row.now)),
            Text(_age(row.now.since, now) if row.now else "-"),
            Text(_last_result(row.line)),
            Text(_today(row.line.today) if row.line and row.line.today else "-"),
            _health(row),
            Text(_credentials(row, now)),
        )
    notes = [Text(f"{row.name}: {note}", "yellow") for row in rows for note in _notes(row)]
    return Group(shown, *_endpoints(rows), *notes)


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


def _last_result(line: Line | None) -> str:
    return f"{line.last.task} {line.last.result}".strip() if line and line.last else "-"


def _today(used: Usage) -> str:
    return f"{_count(used.tokens)}, {used.minutes:.0f}m"


def _count(number: int) -> str:
    """Return a number in three digits or fewer, such as `120k`."""
    if number < _SHORT:
        return str(number)
    if number < _MILLION:
        return f"{number // _SHORT}k"
    return f"{number / _MILLION:.1f}M"


def _health(row: AgentStatus) -> Text:
    """Return Docker's word for the health, or that the endpoint does not answer."""
    endpoint_down = row.now is not None and row.now.endpoint.reachable is False
    if endpoint_down and row.health != "unhealthy":
        return Text("no endpoint", "red")
    return Text(row.health or "-", _COLOURS.get(row.health or "", ""))


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
        is_ready = found.status == HTTPStatus.OK and found.serves_model is not False
        words = f"endpoint {url} ({', '.join(agents)}): {_endpoint_words(found)}"
        yield Text(words, "" if is_ready else "red")


def _endpoint_words(found: Endpoint) -> str:
    """Return what an endpoint reported, such as `llama-server, window 65,536 tokens, 2 slots`."""
    if not found.reachable:
        return "no answer"
    words = [found.server] if found.server else []
    if found.status != HTTPStatus.OK:
        words.append(f"HTTP {found.status}")
    if found.serves_model is not None:
        words.append("serves the model" if found.serves_model else "does not serve the model")
    if found.window:
        words.append(f"window {found.window:,} tokens")
    if found.slots:
        words.append(f"{found.slots} slot{'s' if found.slots > 1 else ''}")
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
