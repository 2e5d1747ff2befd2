"""A held issue: its claim is renewed, and a person's change ends the work."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest
from issue_tracker import IssueTracker, issue
from runtime import hold
from runtime.claim import Claims
from runtime.hold import EDITED, TAKEN_OVER, Hold, LostError
from runtime.services import Services
from workshop import mirror, services, settings

from muster.forge import Issue

ISSUE = issue(12, "backlog", "in-progress", title="Greet", body="by name")


@pytest.fixture
def tracker() -> IssueTracker:
    return IssueTracker(ISSUE)


@pytest.fixture
def agent(tracker: IssueTracker, tmp_path: Path) -> Services:
    """An agent that asks the forge when a test has it look, and not by itself."""
    return services(tmp_path, tracker, replace(settings(), poll_interval=3600))


def held(agent: Services, *, requested: bool = False) -> Hold:
    claim = agent.claims.take(12, None)
    assert claim is not None
    return Hold(agent, ISSUE, claim, requested=requested)


def looked(work: Hold) -> str | None:
    """Return why the work must end, once the forge was asked."""
    work.look()
    return work.interrupted()


def others(agent: Services) -> Claims:
    """Return the claims as another agent sees them."""
    return Claims(mirror(agent.repos.parent / "theirs", agent.repos.parent / "origin"), "other")


def test_an_unchanged_issue_is_worked_on(agent: Services) -> None:
    assert looked(held(agent)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "closed"}, "the issue was closed"),
        ({"labels": frozenset({"in-progress"})}, "the label backlog was removed"),
        ({"title": "Greet all"}, EDITED),
        ({"body": "by first name"}, EDITED),
        ({"state": "closed", "body": "by first name"}, "the issue was closed"),
        ({"assignees": ("ann",)}, None),
        ({"labels": frozenset({"backlog", "priority"})}, None),
    ],
)
def test_a_persons_change_is_noticed(
    change: dict[str, Any], reason: str | None, agent: Services, tracker: IssueTracker
) -> None:
    work = held(agent)

    tracker.issues[12] = replace(ISSUE, **change)

    assert looked(work) == reason


def test_an_edit_is_reported_until_it_was_dealt_with(
    agent: Services, tracker: IssueTracker
) -> None:
    work = held(agent)
    tracker.issues[12] = replace(ISSUE, body="by first name")

    assert looked(work) == EDITED
    assert looked(work) == EDITED

    work.edited = False
    assert looked(work) is None
    assert work.issue.body == "by first name"


@pytest.mark.parametrize("label", ["blocked", "needs-human"])
def test_a_label_that_takes_the_issue_from_agents_ends_the_work(
    label: str, agent: Services, tracker: IssueTracker
) -> None:
    work = held(agent)

    tracker.issues[12] = replace(ISSUE, labels=ISSUE.labels | {label})

    assert looked(work) == f"the label {label} was added"


def test_an_issue_that_is_gone_ends_the_work(agent: Services, tracker: IssueTracker) -> None:
    work = held(agent)

    tracker.issues.clear()

    assert looked(work) == "the issue was deleted"


def test_a_requested_issue_needs_no_label(agent: Services, tracker: IssueTracker) -> None:
    work = held(agent, requested=True)

    tracker.issues[12] = replace(ISSUE, labels=frozenset())

    assert looked(work) is None


def test_the_forge_is_asked_no_more_than_once_an_interval(
    tracker: IssueTracker, tmp_path: Path
) -> None:
    work = held(services(tmp_path, tracker))

    for _ in range(50):
        assert work.interrupted() is None

    assert tracker.asked == []


class SlowTracker(IssueTracker):
    """An issue tracker that does not answer until it is told to."""

    def __init__(self, *filed: Issue) -> None:
        super().__init__(*filed)
        self.answers = Event()

    def issue(self, number: int) -> Issue:
        self.answers.wait(10)
        return super().issue(number)


def test_a_question_to_a_slow_forge_does_not_hold_the_work_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold, "_LEAST_LOOK", 0.0)
    slow = SlowTracker(replace(ISSUE, state="closed"))
    work = held(services(tmp_path, slow, replace(settings(), poll_interval=0)))
    began = monotonic()
    assert work.interrupted() is None
    assert work.interrupted() is None
    assert monotonic() - began < 5

    slow.answers.set()
    while work.interrupted() != "the issue was closed":
        assert monotonic() - began < 10
        sleep(0.002)


def test_a_forge_that_is_down_does_not_end_the_work(agent: Services, tracker: IssueTracker) -> None:
    work = held(agent)

    tracker.is_down = True

    work.look()
    assert tracker.asked == ["issue 12"]
    assert looked(work) is None


def test_a_claim_is_renewed_in_time(agent: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    work = held(agent)
    work.update(rounds=1)
    before = work.claim.commit
    monkeypatch.setattr(agent.claims, "_clock", lambda: datetime.now(UTC) + timedelta(minutes=5))
    assert looked(work) is None
    assert work.claim.commit == before

    monkeypatch.setattr(hold, "RENEW", timedelta(0))

    assert looked(work) is None
    assert work.claim.commit != before
    assert work.claim.rounds == 1
    assert agent.claims.all()[12] == work.claim


def test_who_was_taken_over_stops_working(agent: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    work = held(agent)
    theirs = others(agent)
    assert theirs.take(12, theirs.all()[12]) is not None

    monkeypatch.setattr(hold, "RENEW", timedelta(0))

    assert looked(work) == TAKEN_OVER
    with pytest.raises(LostError):
        work.update(state="pull")


def test_a_claim_that_cannot_be_renewed_while_the_forge_is_down_is_kept(
    agent: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = held(agent)
    monkeypatch.setattr(hold, "RENEW", timedelta(0))
    (tmp_path / "origin").rename(tmp_path / "away")

    assert looked(work) is None

    (tmp_path / "away").rename(tmp_path / "origin")
    assert looked(work) is None
    assert agent.claims.all()[12] == work.claim


def test_what_was_given_back_is_not_renewed(
    agent: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = held(agent)
    monkeypatch.setattr(hold, "RENEW", timedelta(0))

    work.release()

    assert looked(work) == "the issue was given back"
    assert agent.claims.all() == {}
