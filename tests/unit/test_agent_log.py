"""The lines of an agent's log, and what else a container may print."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from muster import agent_log
from muster.agent_log import Result, Task, Usage, last, read

LINE: dict[str, Any] = {
    "time": "2026-02-03T04:05:06.789+00:00",
    "agent": "dev-qwen",
    "event": "state",
    "message": "Waiting for a turn at the endpoint: 2 of 3.",
    "state": "waiting",
    "waiting_for": "queue",
    "since": "2026-02-03T04:05:00.000Z",
    "task": {"kind": "issue", "number": 12, "title": "Greet people", "url": "http://forge/12"},
    "pull": 13,
    "queue": {"position": 2, "length": 3},
    "last": {"task": "#10", "result": "opened #11", "time": "2026-02-03T03:00:00+01:00"},
    "today": {"tasks": 1, "tokens": 12345.0, "minutes": 4.2},
    "cycle": 7,
    "result": "ok",
    "forge": {"status": 200, "ms": 5},
    "endpoint": {"status": 200, "ms": 3},
    "error": None,
}

OTHER_VALUES = [
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "text",
    "\x1b[2J",
    [],
    [1],
    {},
    {"a": None},
]


@pytest.fixture
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_line_is_the_agents_whole_state() -> None:
    line = read(json.dumps(LINE))
    assert line is not None
    assert line.time == datetime(2026, 2, 3, 4, 5, 6, 789000, UTC)
    assert (line.state, line.waiting_for, line.queue) == ("waiting", "queue", (2, 3))
    assert line.since == datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
    assert line.task == Task("issue", 12, "Greet people", "http://forge/12")
    assert (line.pull, line.result, line.errors) == (13, "ok", {})
    assert line.last == Result("#10", "opened #11", datetime(2026, 2, 3, 2, tzinfo=UTC))
    assert line.today == Usage(1, 12345, 4.2)
    assert (line.endpoint.status, line.endpoint.reachable) == (200, True)
    assert line.works_on(12)
    assert not line.works_on(13)


def test_a_pull_request_is_no_issue_of_the_same_number() -> None:
    line = read(json.dumps(LINE | {"task": LINE["task"] | {"kind": "pull"}}))
    assert line is not None
    assert not line.works_on(12)


@pytest.mark.parametrize(
    ("endpoint", "status", "reachable"),
    [
        ("anthropic", None, None),
        ({"status": None, "ms": 3}, None, False),
        ({"status": 503}, 503, True),
    ],
)
def test_an_endpoint_answers_or_does_not_or_is_not_called(
    endpoint: object,
    status: int | None,
    reachable: bool | None,  # noqa: FBT001
) -> None:
    line = read(json.dumps(LINE | {"endpoint": endpoint}))
    assert line is not None
    assert (line.endpoint.status, line.endpoint.reachable) == (status, reachable)


def test_a_line_of_an_older_image_has_no_state() -> None:
    old = {"time": "2026-02-03T04:05:06+00:00", "agent": "dev", "cycle": 1, "result": "failed"}
    line = read(json.dumps(old | {"endpoint": {"status": None}, "error": {"endpoint": "refused"}}))
    assert line is not None
    assert (line.state, line.result, line.errors) == (None, "failed", {"endpoint": "refused"})


@pytest.mark.parametrize("key", sorted(LINE))
def test_no_value_of_a_field_breaks_a_line(key: str) -> None:
    for value in OTHER_VALUES:
        assert read(json.dumps(LINE | {key: value})) is not None or key == "time"


@pytest.mark.parametrize("key", ["task", "queue", "last", "today", "endpoint", "error"])
def test_no_value_inside_a_field_breaks_a_line(key: str) -> None:
    inside = list(LINE[key] or {"forge": ""})
    for name in inside:
        for value in OTHER_VALUES:
            assert read(json.dumps(LINE | {key: (LINE[key] or {}) | {name: value}})) is not None


@pytest.mark.parametrize(
    "text",
    ["", "text", "5", "null", "[]", "{}", '"text"', "[" * 100_000, '{"time": "soon"}', "NaN"],
)
def test_anything_else_is_no_line(text: str) -> None:
    assert read(text) is None


def test_a_time_at_the_end_of_the_calendar_is_none() -> None:
    assert read('{"time": "0001-01-01T00:00:00+23:59"}') is None


@pytest.mark.parametrize("pull", [True, -1, 10**400, float("inf"), float("nan"), "13", None])
def test_what_is_not_a_number_of_the_forges_is_none(pull: object) -> None:
    line = read(json.dumps(LINE | {"pull": pull}))
    assert line is not None
    assert line.pull is None


@pytest.mark.usefixtures("_in_berlin")
def test_a_time_without_a_zone_is_utc() -> None:
    line = read('{"time": "2026-02-03T04:05:06"}')
    assert line is not None
    assert line.time == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_texts_are_one_printable_line_without_secrets() -> None:
    line = read(json.dumps(LINE | {"message": "\x1b[31ma\nb " + "0" * 40}))
    assert line is not None
    assert line.message == "a b …"


def test_the_last_readable_line_counts() -> None:
    lines = [json.dumps(LINE), json.dumps(LINE | {"state": "idle"}), "Traceback …", "}"]
    found = last(lines)
    assert found is not None
    assert found.state == "idle"
    assert last(["text"]) is None


def test_a_line_reports_its_parts_as_they_came() -> None:
    line = read(json.dumps(LINE))
    assert line is not None
    assert line.task is not None
    assert line.last is not None
    assert line.today is not None
    assert line.task.report() == LINE["task"]
    assert line.last.report() == LINE["last"] | {"time": "2026-02-03T02:00:00+00:00"}
    assert line.today.report() == LINE["today"]
    assert agent_log.iso(None) is None
