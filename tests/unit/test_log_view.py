"""An agent's log as people see it."""

import json
import time
from collections.abc import Iterator

import pytest

from muster.cli.log_view import LogView


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(message: str, event: str = "state", at: str = "11:01:03", **more: object) -> str:
    found = {"time": f"2026-02-03T{at}.123Z", "agent": "dev", "event": event, "message": message}
    return json.dumps(found | {"state": "idle", "waiting_for": None, "task": None, **more})


def shown(*lines: str) -> list[str]:
    view = LogView()
    return [text.plain for each in lines for text in view.shown(each)]


def test_a_line_is_the_local_time_the_state_and_a_sentence() -> None:
    took = line('Took #12 "Greet people by their name".', state="working")
    assert shown(took) == [
        "2026-02-03",
        '12:01:03 working    Took #12 "Greet people by their name".',
    ]


def test_a_new_day_is_told_once() -> None:
    lines = shown(line("a", at="22:59:59"), line("b", at="23:00:00"), line("c", at="23:30:00"))
    assert [each.split()[0] for each in lines] == [
        *("2026-02-03", "23:59:59"),
        *("2026-02-04", "00:00:00", "00:30:00"),
    ]


def test_cycles_in_which_nothing_changed_are_left_out() -> None:
    idle = [line(f"Cycle {number}.", "cycle", cycle=number) for number in range(5)]
    waits = line("No endpoint.", "cycle", state="waiting", error={"endpoint": "refused"})
    again = line("No endpoint.", "cycle", state="waiting", error={"endpoint": "timed out"})
    lines = shown(*idle, waits, again, *idle)
    assert [each[9:].strip() for each in lines[1:]] == [
        "idle       Cycle 0.",
        "waiting    No endpoint.",
        "idle       Cycle 0.",
    ]


def test_other_events_are_never_left_out() -> None:
    assert len(shown(line("a"), line("a"), line("a", "work"), line("a", "warning"))) == 5


def test_lines_of_others_pass_through_safe_and_without_secrets() -> None:
    old = '{"time": "2026-02-03T11:01:03Z", "cycle": 1}'
    lines = shown("plain \x1b[31mtext", "[1, 2]", old, "token " + "a1" * 20)
    assert lines == ["plain text", "[1, 2]", old, "token …"]
