"""The agent's state: one JSON line per event on standard output, and the same in a file.

Every line carries the whole state, so the last line of the log is what `muster status` needs.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from muster.forge.masking import masked
from runtime import modes
from runtime.prompt import one_line

DATA = Path("/home/agent/data")
FILE = "state.json"
LOG, LOG_BEFORE = "log.jsonl", "log.1.jsonl"
"""The log across containers, which Docker removes with each; and the part before it."""
LOG_BYTES = 2**20
TODAY = "today.json"
CHECKED = "checked"
"""Exists once a health check has seen a state of this container."""
HEARTBEAT_SECONDS = 10.0


def now() -> str:
    """Return the present as ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Task:
    """What the agent works on: `kind` is `issue` or `pull`."""

    kind: str
    number: int
    title: str
    url: str

    def __post_init__(self) -> None:
        """Keep a title from acting on the terminal that shows it."""
        self.title = one_line(self.title)


@dataclass
class State:
    """What a log line says; the fields are those of the line."""

    agent: str
    state: str = "starting"
    waiting_for: str | None = None
    since: str = field(default_factory=now)
    task: Task | None = None
    pull: int | None = None
    queue: dict[str, int] | None = None
    last: dict[str, str] | None = None
    today: dict[str, float] = field(default_factory=dict)
    cycle: int = 0
    result: str = "ok"
    forge: dict[str, int | None] = field(default_factory=lambda: {"status": None})
    endpoint: object = None
    error: dict[str, str] | None = None


class Reporter:
    """Keeps the state, and reports each change of it.

    Args:
        agent: The agent's name.
        folder: Where the state file goes.
        secrets: Returns what must never be printed.
        write: Prints a line.
    """

    def __init__(
        self,
        agent: str,
        folder: Path,
        secrets: Callable[[], Iterable[str]],
        write: Callable[[str], None],
    ) -> None:
        self.state = State(agent)
        self._folder = folder
        self._secrets = secrets
        self._write = write
        self._lock = threading.Lock()
        self.state.today = self._read_today()
        earlier = self._earlier_state()
        last = earlier.get("last")
        self.state.last = last if isinstance(last, dict) else None
        self.was_killed = earlier.get("state") not in {None, "stopped"}
        """Whether the container before this one ended without a stop."""

    def clear(self) -> None:
        """Remove the state of an earlier container, which had other credentials.

        Raises:
            OSError: The folder cannot be written to.
        """
        (self._folder / FILE).unlink(missing_ok=True)
        (self._folder / CHECKED).unlink(missing_ok=True)
        self._keep()

    def enter(
        self,
        state: str,
        message: str,
        *,
        waiting_for: str | None = None,
        **changes: Any,  # noqa: ANN401
    ) -> None:
        """Change the state and report it; a repetition of the same state is not reported again."""
        with self._lock:
            current = self.state
            same = (current.state, current.waiting_for) == (state, waiting_for)
            unchanged = all(getattr(current, name) == value for name, value in changes.items())
            if same and unchanged:
                self._keep()
                return
            if not same:
                current.since = now()
            current.state, current.waiting_for = state, waiting_for
            if waiting_for != "queue":
                changes.setdefault("queue", None)
            self._set(changes)
            self._report("state", message)

    def say(self, event: str, message: str, **changes: Any) -> None:  # noqa: ANN401
        """Report an event in the present state."""
        with self._lock:
            self._set(changes)
            self._report(event, message)

    def finish(self, task: str, result: str) -> None:
        """Report how a task ended, and that the agent has none now."""
        with self._lock:
            self.state.last = {"task": task, "result": result, "time": now()}
            self.state.task = self.state.pull = None
            self._report("work", f"{task}: {result}.")

    def spend(self, *, tasks: int = 0, tokens: int = 0, minutes: float = 0.0) -> None:
        """Add to what the agent used today (UTC)."""
        with self._lock:
            today = self._read_today()
            for name, amount in (("tasks", tasks), ("tokens", tokens), ("minutes", minutes)):
                today[name] = round(today[name] + amount, 2)
            self.state.today = today
            dated = today | {"date": datetime.now(UTC).date().isoformat()}
            _replace(self._folder / TODAY, json.dumps(dated))

    def beat(self, stopped: threading.Event) -> None:
        """Show that the process lives, by the state file's time, until `stopped` is set."""
        while not stopped.wait(HEARTBEAT_SECONDS):
            with self._lock:
                self._keep()

    def redacted(self, text: str) -> str:
        """Return a text without the agent's secrets."""
        secrets = set(self._secrets())
        # In a line of JSON a quotation mark or a backslash of it is escaped.
        return masked(text, secrets | {json.dumps(secret)[1:-1] for secret in secrets})

    def _set(self, changes: dict[str, Any]) -> None:
        for name, value in changes.items():
            setattr(self.state, name, value)

    def _report(self, event: str, message: str) -> None:
        self.state.today = self._read_today()
        line = {"time": now(), "event": event, "message": message, **asdict(self.state)}
        printed = self.redacted(json.dumps(line))
        self._write(printed)
        self._append(printed)
        self._keep()

    def _append(self, line: str) -> None:
        path = self._folder / LOG
        with suppress(OSError):  # there is none yet
            if path.stat().st_size > LOG_BYTES:
                path.replace(self._folder / LOG_BEFORE)
        with suppress(OSError), path.open("a", encoding="utf-8") as log:  # a full disk
            log.write(f"{line}\n")

    def _keep(self) -> None:
        # Without the lock's help a reader sees the old text or the new one, never a part.
        text = json.dumps({"time": now(), **asdict(self.state)})
        try:
            _replace(self._folder / FILE, self.redacted(text))
        except OSError:  # a full disk: the agent waits for space, and shows that it lives
            with suppress(OSError):
                os.utime(self._folder / FILE)

    def _read_today(self) -> dict[str, float]:
        """Return today's use; a new day, or a file that cannot be read, begins with nothing."""
        nothing: dict[str, float] = {"tasks": 0, "tokens": 0, "minutes": 0.0}
        try:
            kept = json.loads((self._folder / TODAY).read_text("utf-8"))
            if kept.pop("date") != datetime.now(UTC).date().isoformat():
                return nothing
            return {name: kept[name] for name in nothing}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return nothing

    def _earlier_state(self) -> dict[str, Any]:
        try:
            earlier = read(self._folder)
        except (OSError, ValueError):
            return {}
        return earlier if isinstance(earlier, dict) else {}


def read(folder: Path) -> dict[str, Any]:
    """Return the state in a folder.

    Raises:
        FileNotFoundError: There is no state yet.
    """
    state: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
    return state


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".tmp")
    try:
        draft.write_text(text, "utf-8")
    except PermissionError:
        modes.restore(path.parent)
        draft.write_text(text, "utf-8")
    draft.replace(path)
