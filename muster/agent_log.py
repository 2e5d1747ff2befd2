"""What an agent's runtime logs: one JSON object a line, each with the agent's whole state.

Containers of other images log other lines, so no field is taken for granted.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from muster.printable import one_line

_LARGEST = 2**53  # integers that JSON carries without loss


@dataclass(frozen=True)
class Task:
    """The issue or pull request that an agent works on.

    Attributes:
        kind: `issue` or `pull`.
        number: its number at the forge.
        title: its title.
        url: its page.
    """

    kind: str
    number: int
    title: str
    url: str

    def report(self) -> dict[str, Any]:
        """Return the task for programs."""
        return {"kind": self.kind, "number": self.number, "title": self.title, "url": self.url}


@dataclass(frozen=True)
class Result:
    """How the agent's previous task ended.

    Attributes:
        task: the task, such as `#12`.
        result: what came of it, such as `opened #13`.
        time: when.
    """

    task: str
    result: str
    time: datetime | None

    def report(self) -> dict[str, Any]:
        """Return the result for programs."""
        return {"task": self.task, "result": self.result, "time": iso(self.time)}


@dataclass(frozen=True)
class Usage:
    """What an agent used today: tasks, tokens and minutes of sessions."""

    tasks: int
    tokens: int
    minutes: float

    def report(self) -> dict[str, Any]:
        """Return the usage for programs."""
        return {"tasks": self.tasks, "tokens": self.tokens, "minutes": self.minutes}


@dataclass(frozen=True)
class Endpoint:
    """What the agent's endpoint last reported; each field is None if it did not.

    Attributes:
        reachable: whether it answered, seen from inside the container; None before it was asked.
        status: the HTTP status of its answer.
        server: its name, such as `llama-server`.
        serves_model: whether it serves the agent's model.
        window: the context window that the agent works with, in tokens.
        slots: how many requests it works on at a time.
    """

    reachable: bool | None = None
    status: int | None = None
    server: str | None = None
    serves_model: bool | None = None
    window: int | None = None
    slots: int | None = None

    def report(self) -> dict[str, Any]:
        """Return the endpoint for programs."""
        return {
            "reachable": self.reachable,
            "server": self.server,
            "serves_model": self.serves_model,
            "window": self.window,
            "slots": self.slots,
        }


@dataclass(frozen=True)
class Line:
    """One line of the log.

    Attributes:
        time: when it was written.
        event: `cycle`, `state`, `work` or `warning`.
        message: one sentence for people.
        state: what the agent does, such as `working`; None if another image wrote the line.
        waiting_for: what it waits for in the state `waiting`.
        since: when the state began.
        task: the issue or pull request that it works on.
        pull: the pull request that it opened for the task.
        queue: its position in the endpoint's queue, and the queue's length.
        last: how the previous task ended.
        today: what it used today.
        result: `ok` or `failed`.
        errors: why the cycle's steps failed, by step.
        endpoint: what the endpoint reported.
    """

    time: datetime
    event: str = ""
    message: str = ""
    state: str | None = None
    waiting_for: str | None = None
    since: datetime | None = None
    task: Task | None = None
    pull: int | None = None
    queue: tuple[int, int] | None = None
    last: Result | None = None
    today: Usage | None = None
    result: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint = Endpoint()

    def works_on(self, issue: int) -> bool:
        """Tell whether the agent's task is this issue."""
        return self.task is not None and (self.task.kind, self.task.number) == ("issue", issue)


def read(line: str) -> Line | None:
    """Read a line of the log; None if it is not a JSON object with a time."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    time = _time(found.get("time")) if isinstance(found, dict) else None
    if time is None:
        return None
    return Line(
        time=time,
        event=_text(found.get("event")),
        message=_text(found.get("message")),
        state=_text(found.get("state")) or None,
        waiting_for=_text(found.get("waiting_for")) or None,
        since=_time(found.get("since")),
        task=_task(_object(found.get("task"))),
        pull=_whole(found.get("pull")),
        queue=_queue(_object(found.get("queue"))),
        last=_result(_object(found.get("last"))),
        today=_usage(_object(found.get("today"))),
        result=_text(found.get("result")) or None,
        errors=_texts(_object(found.get("error"))),
        endpoint=_endpoint(found.get("endpoint")),
    )


def last(lines: Iterable[str]) -> Line | None:
    """Return the last of these lines that can be read."""
    found = [line for line in map(read, lines) if line is not None]
    return found[-1] if found else None


def iso(time: datetime | None) -> str | None:
    """Return a time as text."""
    return None if time is None else time.isoformat()


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return one_line(value) if isinstance(value, str) else ""


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {_text(key): _text(value) for key, value in values.items() if _text(value)}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _LARGEST else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _time(value: object) -> datetime | None:
    """Read an ISO time; one without a zone is UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _endpoint(found: object) -> Endpoint:
    if not isinstance(found, dict):
        return Endpoint()
    status, serves_model = _whole(found.get("status")), found.get("serves_model")
    return Endpoint(
        reachable=status is not None,
        status=status,
        server=_text(found.get("server")) or None,
        serves_model=serves_model if isinstance(serves_model, bool) else None,
        window=_whole(found.get("window")),
        slots=_whole(found.get("slots")),
    )


def _task(found: Mapping[str, Any]) -> Task | None:
    number = _whole(found.get("number"))
    if number is None:
        return None
    kind, title, url = (_text(found.get(key)) for key in ("kind", "title", "url"))
    return Task(kind, number, title, url)


def _queue(found: Mapping[str, Any]) -> tuple[int, int] | None:
    position, length = _whole(found.get("position")), _whole(found.get("length"))
    return None if position is None or length is None else (position, length)


def _result(found: Mapping[str, Any]) -> Result | None:
    task, result = _text(found.get("task")), _text(found.get("result"))
    return Result(task, result, _time(found.get("time"))) if task or result else None


def _usage(found: Mapping[str, Any]) -> Usage | None:
    tasks, tokens = _whole(found.get("tasks")), _whole(found.get("tokens"))
    minutes = _number(found.get("minutes"))
    if tasks is None or tokens is None or minutes is None:
        return None
    return Usage(tasks, tokens, minutes)
