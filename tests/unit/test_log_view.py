"""An agent's log as people see it."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from muster.cli.log_lines import LogLines
from muster.cli.log_view import LogView

if TYPE_CHECKING:
    from docker.models.containers import Container


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


def test_lines_of_several_agents_begin_with_the_agents_name() -> None:
    view = LogView(["dev", "review"])
    lines = [*view.shown(line("a"), "dev"), *view.shown("plain", "review")]
    assert [each.plain for each in lines[1:]] == [
        "dev     12:01:03 idle       a",
        "review  plain",
    ]
    assert lines[1].spans[0].style != lines[2].spans[0].style


def test_a_cycle_is_left_out_only_if_the_same_agents_last_one_was_the_same() -> None:
    view = LogView(["dev", "review"])
    cycles = [*view.shown(line("a", "cycle"), "dev"), *view.shown(line("a", "cycle"), "review")]
    assert len(cycles) == 3  # and the date


def test_a_pattern_chooses_lines_and_a_date_stands_before_those_alone() -> None:
    view = LogView(pattern=re.compile("#1[23]"))
    lines = [line("#11.", at="22:59:59"), line("#12.", at="23:00:00"), line("#13.", at="23:00:01")]
    found = [text.plain for each in lines for text in view.shown(each)]
    assert found == ["2026-02-04", "00:00:00 idle       #12.", "00:00:01 idle       #13."]


class RecordedContainer:
    """A container whose log is known, for `docker logs --timestamps`."""

    def __init__(self, written: list[str], coming: list[str]) -> None:
        self._written, self._coming = written, coming
        self.attrs = {"Created": "2026-02-03T22:30:00.5Z"}

    def logs(self, *, follow: bool, **_: object) -> Iterator[bytes]:
        """Return the log; followed, it goes on with what comes, after what is there."""
        for text in [*self._written, *(self._coming if follow else [])]:
            yield f"{text}\n".encode()


def stamped(second: int, text: str) -> str:
    return f"2026-02-03T11:01:{second:02}.000000000Z {text}"


def test_logs_are_merged_by_time_and_then_followed_without_a_line_twice() -> None:
    first = RecordedContainer([stamped(1, "a"), stamped(4, "d")], [stamped(6, "f")])
    second = RecordedContainer([stamped(2, "b"), stamped(3, "c")], [stamped(5, "e")])
    containers = {"dev": cast("Container", first), "review": cast("Container", second)}
    lines = LogLines(containers, {}, None)
    assert [(each.agent, each.line) for each in lines.written()] == [
        ("dev", "a"),
        ("review", "b"),
        ("review", "c"),
        ("dev", "d"),
    ]
    assert sorted((each.agent, each.line) for each in lines.coming()) == [
        ("dev", "f"),
        ("review", "e"),
    ]


def test_kept_lines_come_first_and_only_from_before_the_container() -> None:
    kept = {
        "dev": [line("Before.", at="22:29:59"), line("Printed too.", at="22:31:00")],
        "stopped": [line("Stopped.", at="22:29:58"), "a torn li"],
    }
    now = RecordedContainer([f"2026-02-03T22:31:00Z {line('Printed too.', at='22:31:00')}"], [])
    containers = {"dev": cast("Container", now)}

    def told(since: datetime | None) -> list[tuple[str, str]]:
        found = LogLines(containers, kept, since).written()
        return [(each.agent, json.loads(each.line)["message"]) for each in found]

    everything = [("stopped", "Stopped."), ("dev", "Before."), ("dev", "Printed too.")]
    assert told(None) == everything
    assert told(datetime(2026, 2, 3, 22, 29, 59, tzinfo=UTC)) == everything[1:]
