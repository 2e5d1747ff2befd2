"""Requests: a person asks a running agent to take an issue now."""

import sys
from pathlib import Path

import pytest
from runtime import request, state
from runtime.request import take, waits, write
from runtime.state import Reporter, Task
from workshop import TOKEN


def test_a_request_waits_until_it_is_taken_once(tmp_path: Path) -> None:
    assert not waits(tmp_path)

    write(tmp_path, 12)

    assert waits(tmp_path)
    assert take(tmp_path) == 12
    assert not waits(tmp_path)
    assert take(tmp_path) is None


def test_the_last_request_counts(tmp_path: Path) -> None:
    write(tmp_path, 12)
    write(tmp_path, 13)

    assert take(tmp_path) == 13
    assert take(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"issue": "12"}', '{"issue": null}', "5"])
def test_a_broken_request_is_forgotten(text: str, tmp_path: Path) -> None:
    (tmp_path / request.FILE).write_text(text)

    assert take(tmp_path) is None
    assert not waits(tmp_path)


@pytest.fixture
def reporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reporter:
    """An agent that has started."""
    monkeypatch.setattr(state, "DATA", tmp_path)
    made = Reporter("dev-qwen", tmp_path, lambda: [TOKEN], lambda _: None)
    made.clear()
    return made


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["request", *arguments])
    return request.main()


@pytest.mark.parametrize("written", ["12", "#12"])
@pytest.mark.usefixtures("reporter")
def test_an_idle_agent_takes_the_issue_now(
    written: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, written) == 0
    assert capsys.readouterr() == ("dev-qwen takes #12 now.\n", "")
    assert take(tmp_path) == 12


def test_a_busy_agent_takes_the_issue_afterwards(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter.enter("working", "On it.", task=Task("pull", 5, "Greet", "http://forge/pulls/5"))

    assert call(monkeypatch, "12") == 0
    assert capsys.readouterr().out == "dev-qwen takes #12 after pull #5.\n"


@pytest.mark.parametrize("arguments", [[], ["twelve"], ["-1"], ["1.5"], ["²"], ["12", "13"], [""]])
@pytest.mark.usefixtures("reporter")
def test_what_is_no_issue_is_refused_in_one_line(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, *arguments) == 1
    assert capsys.readouterr() == ("", "usage: python3 -m runtime.request ISSUE, e.g. 12\n")
    assert not waits(tmp_path)


def test_an_agent_that_has_not_started_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(state, "DATA", tmp_path)

    assert call(monkeypatch, "12") == 1
    assert capsys.readouterr() == (
        "",
        "the agent has not started yet: No such file or directory\n",
    )
    assert not waits(tmp_path)
