"""What fails under an agent's feet: people's changes, the forge, the disk and the kernel."""

import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from issue_tracker import IssueTracker, issue
from runtime import jail, state
from runtime.__main__ import Loop
from runtime.hold import EDITED, Hold, LostError
from runtime.state import Reporter
from workshop import TOKEN, services, settings

from muster.forge import Issue

HELD = issue(12, "backlog")


@pytest.fixture
def tracker() -> IssueTracker:
    return IssueTracker(HELD)


@pytest.fixture
def hold(tmp_path: Path, tracker: IssueTracker) -> Hold:
    tools = services(tmp_path, tracker)
    claim = tools.claims.take(12, None)
    assert claim is not None
    return Hold(tools, HELD, claim)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (issue(12, "backlog", state="closed"), "the issue was closed"),
        (issue(12), "the label backlog was removed"),
        (issue(12, "backlog", "blocked"), "the label blocked was added"),
        (issue(12, "backlog", "needs-human"), "the label needs-human was added"),
        (issue(12, "backlog", "priority"), None),
    ],
)
def test_a_persons_change_ends_the_work(
    hold: Hold, tracker: IssueTracker, changed: Issue, reason: str | None
) -> None:
    tracker.issues[12] = changed
    hold.look()
    assert hold.interrupted() == reason


def test_a_deleted_issue_ends_the_work(hold: Hold, tracker: IssueTracker) -> None:
    del tracker.issues[12]
    hold.look()
    assert hold.interrupted() == "the issue was deleted"


def test_an_edit_is_reported_until_somebody_has_dealt_with_it(
    hold: Hold, tracker: IssueTracker
) -> None:
    tracker.issues[12] = issue(12, "backlog", body="More.")
    hold.look()
    assert (hold.interrupted(), hold.interrupted()) == (EDITED, EDITED)
    hold.edited = False
    hold.look()
    assert hold.interrupted() is None
    assert hold.issue.body == "More."


def test_work_goes_on_while_the_forge_is_down(hold: Hold, tracker: IssueTracker) -> None:
    tracker.is_down = True
    hold.look()
    assert hold.interrupted() is None


def test_a_forge_that_does_not_answer_delays_nothing(
    hold: Hold, tracker: IssueTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def issue_of(number: int) -> Issue:
        asked.set()
        answered.wait(10)
        return tracker.issues[number]

    monkeypatch.setattr(tracker, "issue", issue_of)
    monkeypatch.setattr(hold, "_looked", -1000.0)
    began = time.monotonic()
    assert hold.interrupted() is None
    assert asked.wait(5)
    assert hold.interrupted() is None
    assert time.monotonic() - began < 5
    answered.set()


def test_a_claim_that_another_agent_took_over_is_lost(hold: Hold) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    other = type(hold.services.claims)(hold.services.mirror, "other", lambda: later)
    assert other.take(12, other.all()[12]) is not None
    with pytest.raises(LostError):
        hold.update()


def test_nothing_is_asked_about_an_issue_that_was_given_back(
    hold: Hold, tracker: IssueTracker
) -> None:
    hold.release()
    hold.look()
    assert hold.services.claims.all() == {}
    assert tracker.asked == []


def test_an_issue_that_is_given_back_keeps_its_earlier_attempts(hold: Hold) -> None:
    hold.update(attempt=3)
    hold.release()
    [claim] = hold.services.claims.all().values()
    assert (claim.state, claim.attempt) == ("failed", 2)


def test_the_third_attempt_that_was_killed_is_not_the_first_again(hold: Hold) -> None:
    claims = hold.services.claims
    claim = hold.claim
    for attempt in (2, 3, 4):
        taken = claims.take(12, claim)
        assert taken is not None
        assert taken.attempt == attempt
        claim = taken


def test_a_full_disk_does_not_end_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    lines: list[str] = []
    reporter = Reporter("dev", folder, list, lines.append)
    reporter.enter("idle", "Nothing to do.")
    (folder / "state.tmp").mkdir()  # the state cannot be written
    os.utime(folder / state.FILE, (0, 0))
    reporter.enter("waiting", "no space left", waiting_for="disk")
    assert json.loads(lines[-1])["waiting_for"] == "disk"
    assert (folder / state.FILE).stat().st_mtime > time.time() - 60  # a sign of life


@pytest.mark.parametrize(
    ("earlier", "killed"),
    [(None, False), ("stopped", False), ("working", True), ("idle", True)],
)
def test_a_new_container_knows_whether_the_one_before_it_was_killed(
    tmp_path: Path, earlier: str | None, *, killed: bool
) -> None:
    if earlier is not None:
        Reporter("dev", tmp_path, list, lambda _: None).enter(earlier, "")
    assert Reporter("dev", tmp_path, list, lambda _: None).was_killed == killed


@pytest.fixture
def loop(tmp_path: Path, tracker: IssueTracker, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """An agent's loop that is connected to its forge."""
    tools = services(tmp_path, tracker, settings({"sandbox": "on"}))
    made = Loop(tools.settings, tools.reporter)
    monkeypatch.setattr(made, "_services", tools)
    monkeypatch.setattr(made, "_token", TOKEN)
    return made


def test_without_a_sandbox_the_agent_waits_and_says_so(
    loop: Loop, tracker: IssueTracker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(jail, "unsupported", lambda: "the kernel has no Landlock")
    thread = threading.Thread(target=loop.run)
    thread.start()
    deadline = time.monotonic() + 10
    found: dict[str, object] = {}
    while found.get("waiting_for") is None and time.monotonic() < deadline:
        if (tmp_path / "data" / state.FILE).exists():
            found = state.read(tmp_path / "data")
        time.sleep(0.005)
    loop.stop()
    thread.join(10)
    assert (found["waiting_for"], found["error"]) == (
        "sandbox",
        {"sandbox": "the kernel has no Landlock"},
    )
    assert tracker.asked == []


def test_the_pause_after_a_failure_is_bounded_however_many_there_were(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_failures", 100_000)
    threading.Timer(0.1, loop.stop).start()
    began = time.monotonic()
    loop._pause()  # noqa: SLF001
    assert time.monotonic() - began < 5
