"""The agent's state: the lines of its log, the state file, and today's use."""

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from runtime import state
from runtime.__main__ import _secrets
from runtime.state import Reporter, Task
from workshop import KEY, TOKEN, settings

KEYS = {
    *("time", "event", "message", "agent", "state", "waiting_for", "since", "task", "pull"),
    *("queue", "last", "today", "cycle", "result", "forge", "endpoint", "error"),
}
"""What `muster status` and `muster logs` read."""

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
TASK = Task("issue", 12, "Greet by name", "http://forge/issues/12")


class Log:
    """An agent's log, as Docker keeps it."""

    def __init__(self, folder: Path, agent: str = "dev-qwen", secrets: str = TOKEN) -> None:
        self.lines: list[str] = []
        self.reporter = Reporter(agent, folder, lambda: [secrets], self.lines.append)

    @property
    def last(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self.lines[-1])
        return line


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(0.002)


def test_every_line_carries_the_whole_state(tmp_path: Path) -> None:
    log = Log(tmp_path)

    log.reporter.enter("working", "Working on #12.", task=TASK)
    log.reporter.say("warning", "No review requested.")
    log.reporter.finish("#12", "opened #13")

    assert [set(json.loads(line)) for line in log.lines] == [KEYS, KEYS, KEYS]
    assert [json.loads(line)["event"] for line in log.lines] == ["state", "warning", "work"]


def test_the_log_outlives_the_container_and_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Log(tmp_path)
    first.reporter.say("warning", f"The token is {TOKEN}.")
    second = Log(tmp_path)
    second.reporter.clear()
    second.reporter.say("warning", "Second container.")

    kept = (tmp_path / state.LOG).read_text().splitlines()
    assert kept == [*first.lines, *second.lines]
    assert TOKEN not in kept[0]

    monkeypatch.setattr(state, "LOG_BYTES", len("\n".join(kept)))
    second.reporter.say("warning", "Third.")
    assert (tmp_path / state.LOG_BEFORE).read_text().splitlines() == kept
    assert (tmp_path / state.LOG).read_text().splitlines() == second.lines[1:]


def test_a_line_says_what_the_agent_does(tmp_path: Path) -> None:
    log = Log(tmp_path)

    log.reporter.enter("working", "Working on #12.", task=TASK, pull=13)

    assert {name: log.last[name] for name in ("agent", "state", "message", "pull", "task")} == {
        "agent": "dev-qwen",
        "state": "working",
        "message": "Working on #12.",
        "pull": 13,
        "task": {
            "kind": "issue",
            "number": 12,
            "title": "Greet by name",
            "url": "http://forge/issues/12",
        },
    }


def test_times_are_utc_to_the_millisecond(tmp_path: Path) -> None:
    log = Log(tmp_path)

    log.reporter.enter("idle", "Nothing to do.")

    assert MOMENT.fullmatch(log.last["time"])
    assert MOMENT.fullmatch(log.last["since"])


def test_a_message_of_several_lines_stays_one_line(tmp_path: Path) -> None:
    log = Log(tmp_path)

    log.reporter.say("warning", "one\ntwo\r\u2028three")

    assert len(log.lines[0].splitlines()) == 1
    assert log.last["message"] == "one\ntwo\r\u2028three"


def test_a_repetition_is_not_reported(tmp_path: Path) -> None:
    log = Log(tmp_path)

    for _ in range(3):
        log.reporter.enter("idle", "Nothing to do.", result="ok", error=None)

    assert len(log.lines) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"state": "waiting"},
        {"waiting_for": "forge"},
        {"error": {"forge": "refused"}},
    ],
)
def test_any_change_is_reported(change: dict[str, Any], tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.reporter.enter("idle", "Nothing to do.", error=None)

    log.reporter.enter(**{"state": "idle", "message": "Changed.", "error": None} | change)

    assert len(log.lines) == 2
    assert log.last["message"] == "Changed."


def test_a_state_began_when_it_was_entered_not_when_it_was_reported_again(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.reporter.enter("waiting", "1 of 3", waiting_for="queue", queue={"position": 1, "length": 3})
    began = log.last["since"]
    wait_for(lambda: state.now() > began)

    log.reporter.enter("waiting", "1 of 2", waiting_for="queue", queue={"position": 1, "length": 2})
    assert log.last["since"] == began

    log.reporter.enter("working", "Working on #12.")
    assert log.last["since"] > began


def test_the_place_in_the_queue_ends_with_the_wait(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.reporter.enter("waiting", "1 of 3", waiting_for="queue", queue={"position": 1, "length": 3})

    log.reporter.enter("working", "Working on #12.")

    assert log.last["queue"] is None


def test_a_finished_task_is_the_last_one_and_no_longer_the_present_one(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.reporter.enter("working", "Working on #12.", task=TASK, pull=13)

    log.reporter.finish("#12", "opened #13")

    assert (log.last["task"], log.last["pull"]) == (None, None)
    assert log.last["last"]["task"] == "#12"
    assert log.last["last"]["result"] == "opened #13"
    assert MOMENT.fullmatch(log.last["last"]["time"])


def test_secrets_are_neither_printed_nor_kept(tmp_path: Path) -> None:
    log = Log(tmp_path)

    log.reporter.enter("waiting", f"refused {TOKEN}", error={"forge": f"no {TOKEN} here"})
    log.reporter.finish("#12", f"failed with {TOKEN}")

    kept = (tmp_path / state.FILE).read_text()
    assert TOKEN not in "".join([*log.lines, kept, log.reporter.redacted(f"a {TOKEN} b")])
    assert log.last["error"] == {"forge": "no *** here"}


def test_the_state_file_says_what_the_last_line_said(tmp_path: Path) -> None:
    log = Log(tmp_path)

    log.reporter.enter("working", "Working on #12.", task=TASK)

    kept = state.read(tmp_path)
    unlike = {"time", "event", "message"}
    assert {name: kept[name] for name in KEYS - unlike} == {
        name: log.last[name] for name in KEYS - unlike
    }


def test_a_reader_never_sees_a_part_of_the_state(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.reporter.enter("starting", "Starting.", error={})
    ended = threading.Event()

    def write() -> None:
        for number in range(300):
            log.reporter.enter("working", "On it.", error={"text": "x" * (number * 97 % 20_000)})
        ended.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    read = 0
    while not ended.is_set():
        state.read(tmp_path)
        read += 1
    writer.join()

    assert read > 10


def test_a_heartbeat_renews_the_file_without_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "HEARTBEAT_SECONDS", 0.005)
    log = Log(tmp_path)
    log.reporter.enter("working", "Working on #12.")
    before = state.read(tmp_path)
    stopped = threading.Event()
    heart = threading.Thread(target=log.reporter.beat, args=(stopped,), daemon=True)

    heart.start()
    wait_for(lambda: bool(state.read(tmp_path)["time"] > before["time"]))
    stopped.set()
    heart.join(5)

    assert not heart.is_alive()
    assert len(log.lines) == 1
    assert state.read(tmp_path)["since"] == before["since"]


def test_what_was_used_today_adds_up_across_restarts(tmp_path: Path) -> None:
    Log(tmp_path).reporter.spend(tasks=1, tokens=1000, minutes=1.25)
    Log(tmp_path).reporter.spend(tokens=234, minutes=0.5)

    log = Log(tmp_path)
    log.reporter.enter("idle", "Nothing to do.")

    assert log.last["today"] == {"tasks": 1, "tokens": 1234, "minutes": 1.75}


def yesterday(folder: Path) -> None:
    file = folder / state.TODAY
    date = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"date": date}))


def test_a_new_day_begins_with_nothing_even_for_an_agent_that_runs_on(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.reporter.spend(tasks=3, tokens=1000)
    yesterday(tmp_path)

    log.reporter.enter("idle", "Nothing to do.")
    assert log.last["today"] == {"tasks": 0, "tokens": 0, "minutes": 0}

    log.reporter.spend(tasks=1)
    assert Log(tmp_path).reporter.state.today == {"tasks": 1, "tokens": 0, "minutes": 0}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"date": 5}'])
def test_a_broken_file_of_todays_use_begins_with_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / state.TODAY).write_text(text)

    assert Log(tmp_path).reporter.state.today == {"tasks": 0, "tokens": 0, "minutes": 0}


def test_a_new_container_knows_the_last_task_of_the_one_before(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.reporter.enter("working", "Working on #12.", task=TASK)
    log.reporter.finish("#12", "opened #13")
    log.reporter.enter("stopped", "Stopped.")

    new = Log(tmp_path)
    new.reporter.clear()

    kept = state.read(tmp_path)
    assert kept["last"]["result"] == "opened #13"
    assert (kept["state"], kept["cycle"]) == ("starting", 0)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"last": "#12"}'])
def test_a_broken_state_of_an_earlier_container_does_no_harm(text: str, tmp_path: Path) -> None:
    (tmp_path / state.FILE).write_text(text)

    assert Log(tmp_path).reporter.state.last is None


def test_a_new_container_has_to_prove_its_health_again(tmp_path: Path) -> None:
    (tmp_path / state.CHECKED).touch()

    Log(tmp_path).reporter.clear()

    assert not (tmp_path / state.CHECKED).exists()


def test_without_a_state_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        state.read(tmp_path)


@pytest.mark.parametrize("secret", ['quo"te-key', "back\\slash"])
def test_a_secret_that_json_would_escape_is_not_printed_either(secret: str, tmp_path: Path) -> None:
    log = Log(tmp_path, secrets=secret)

    log.reporter.say("warning", f"refused {secret} here")

    assert log.last["message"] == "refused *** here"


def test_a_placeholder_that_is_a_word_of_the_line_leaves_the_line_readable(tmp_path: Path) -> None:
    log = Log(tmp_path, secrets="messages")

    log.reporter.say("warning", "refused messages, not messagesX")

    assert log.last["message"] == "refused ***, not messagesX"


@pytest.mark.parametrize(
    ("key", "is_secret"),
    [
        (KEY, True),
        ("sk-no-key-required", False),
        ("event", False),
        ("", False),
        ("two words", False),
    ],
)
def test_a_placeholder_in_place_of_a_key_is_no_secret(key: str, *, is_secret: bool) -> None:
    found = [*_secrets(settings(ANTHROPIC_API_KEY=key))]

    assert found == ([TOKEN, key] if is_secret else [TOKEN])
