"""What an agent's log says of a request, as `muster work` reads it."""

import json
from collections.abc import Iterable, Iterator

import pytest
from rich.text import Text

from muster import agent_log
from muster.agent_log import Line
from muster.cli.requesting import Decision, decision

TASK = {"kind": "issue", "number": 12, "title": "Greet people", "url": "http://forge/12"}


def line(state: str, *, task: object = None, event: str = "state", **more: object) -> str:
    found = {"time": "2026-02-03T04:05:06Z", "event": event, "message": "", "state": state}
    return json.dumps(found | {"task": task, "last": None, **more})


IDLE = line("idle")


def decided(lines: Iterable[str], before: str = IDLE) -> tuple[Decision, list[str]]:
    seen: list[str] = []

    def show(text: Text) -> None:
        seen.append(text.plain)

    found = decision("dev-qwen takes #12 now.", lines, 12, agent_log.read(before), show)
    assert seen.pop(0) == "dev-qwen takes #12 now."
    return found, seen


def outcome(*lines: str, before: str = IDLE) -> str:
    return decided(lines, before)[0].outcome


def test_an_issue_is_taken_once_the_agent_has_claimed_it() -> None:
    claiming = line("claiming", task=TASK)
    assert outcome(IDLE, claiming) == "pending"
    assert outcome(IDLE, claiming, line("preparing", task=TASK)) == "taken"
    assert outcome(line("waiting", task=TASK, waiting_for="queue")) == "taken"


def test_an_issue_that_the_agent_holds_already_is_taken() -> None:
    assert outcome(before=line("working", task=TASK)) == "taken"


@pytest.mark.parametrize("task", [TASK | {"number": 13}, TASK | {"kind": "pull"}, None])
def test_other_work_is_not_the_issue(task: object) -> None:
    assert outcome(line("working", task=task)) == "pending"


def test_an_issue_is_refused_in_the_runtimes_words() -> None:
    refused = line("idle", event="work", message="Did not take #12: dev-b holds it.")
    other = line("idle", event="work", message="Did not take #123: dev-b holds it.")
    assert outcome(other) == "pending"
    assert outcome(refused) == "refused"


def test_an_issue_is_refused_if_it_ends_before_it_is_taken() -> None:
    ended = line("idle", event="work", last={"task": "#12", "result": "blocked by #3"})
    assert outcome(ended) == "refused"


def test_how_the_issue_ended_an_earlier_time_says_nothing() -> None:
    earlier = line("idle", last={"task": "#12", "result": "failed", "time": "2026-02-03T01:00:00Z"})
    assert outcome(earlier, before=earlier) == "pending"


def test_the_log_is_shown_until_the_decision_and_not_beyond() -> None:
    lines = ["a traceback", line("claiming", task=TASK), line("working", task=TASK), IDLE]
    found, seen = decided(lines)
    assert [each.split()[-1] for each in seen] == ["traceback", "2026-02-03", "claiming", "working"]
    assert found.line is not None
    assert found.line.state == "working"


def test_lines_of_others_say_nothing() -> None:
    assert outcome("text", "5", '{"time": "2026-02-03T04:05:06Z", "task": null}') == "pending"


def test_ctrl_c_ends_the_waiting_with_what_was_seen() -> None:
    def interrupted() -> Iterator[str]:
        yield line("working", task=TASK | {"number": 10})
        raise KeyboardInterrupt

    found, _ = decided(interrupted())
    assert (found.outcome, found.interrupted) == ("pending", True)
    assert isinstance(found.line, Line)
    assert found.line.works_on(10)


def test_ctrl_c_as_soon_as_the_answer_is_shown_ends_the_waiting_too() -> None:
    def interrupted(_: Text) -> None:
        raise KeyboardInterrupt

    found = decision("dev-qwen takes #12 now.", [], 12, agent_log.read(IDLE), interrupted)
    assert (found.outcome, found.interrupted) == ("pending", True)
