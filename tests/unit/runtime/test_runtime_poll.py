"""Polling: which task an agent takes next, and which it leaves alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from issue_tracker import ANN, BOT, IssueTracker, issue, pull, review
from runtime import follow_up, poll, triage
from runtime.claim import Claim, Claims
from runtime.feedback import Feedback
from runtime.formula import Formula, FormulaError
from runtime.hold import Hold
from runtime.poll import Cycle, Memory
from runtime.services import Services
from workshop import mirror, services, settings

from muster.forge import Issue, Pull

PULL_OF_ANOTHER = pull(20, author="other-bot", head_ref="muster/issue-5")


class Done:
    """What the agent did; it is noted where the work itself would begin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tasks: list[str] = []
        self.claims: list[Claim] = []
        self.ends = False
        self.patch = monkeypatch.setattr
        done = self

        class Development:
            def __init__(self, _: Services, formula: Formula, hold: Hold) -> None:
                done.tasks.append(f"{formula.role} #{hold.issue.number}")
                self._hold = hold

            def run(self) -> Claim | None:
                done.claims.append(self._hold.claim)
                if done.ends:
                    self._hold.services.claims.release(self._hold.claim)
                    return None
                return self._hold.claim

        class FollowUp:
            def __init__(self, _: Services, claim: Claim, at: Pull, wanted: Feedback) -> None:
                done.tasks.append(f"follow up #{at.number}")
                self._claim = replace(claim, seen=wanted.added_to(claim.seen))

            def run(self) -> Claim:
                return self._claim

        def note_review(_: Services, formula: Formula, at: Pull) -> bool:
            done.tasks.append(f"{formula.role} #{at.number}")
            return True

        def note_triage(_: Services, formula: Formula, at: Issue) -> None:
            done.tasks.append(f"{formula.role} #{at.number}")

        def note_proposal(agent: Services, formula: Formula) -> None:
            done.tasks.append(formula.role)
            triage.note_run(agent.data, formula.role)

        def note_end(_: Services, claim: Claim, at: Pull) -> None:
            done.tasks.append(f"settle #{claim.number} with #{at.number}")

        monkeypatch.setattr(poll, "Development", Development)
        monkeypatch.setattr(follow_up, "FollowUp", FollowUp)
        monkeypatch.setattr(follow_up, "settle", note_end)
        monkeypatch.setattr("runtime.review.run", note_review)
        monkeypatch.setattr(triage, "triage", note_triage)
        monkeypatch.setattr(triage, "propose", note_proposal)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    return Done(monkeypatch)


class Agent:
    """An agent, cycle after cycle."""

    def __init__(
        self,
        folder: Path,
        tracker: IssueTracker,
        roles: str = "dev",
        formula: str = "",
        **work: Any,  # noqa: ANN401 - JSON
    ) -> None:
        config = settings(work, AGENT_ROLES=roles, AGENT_FORMULA=formula)
        self.services = services(folder, tracker, config)
        self.memory = Memory.empty(killed=False)

    def cycle(self, requested: int | None = None) -> bool:
        return Cycle(self.services, self.memory).run(requested)

    def cycles(self) -> int:
        """Go through cycles until there is nothing to do; return how many found something."""
        return next(number for number in range(20) if not self.cycle())


def other_claims(folder: Path, days_ago: int = 0) -> Claims:
    """Return the claims as another agent sees them, some days ago."""
    when = datetime.now(UTC) - timedelta(days=days_ago)
    return Claims(mirror(folder / "theirs", folder / "origin"), "other", lambda: when)


def test_nothing_to_do(tmp_path: Path, done: Done) -> None:
    assert not Agent(tmp_path, IssueTracker()).cycle()
    assert done.tasks == []


def test_urgent_issues_come_first_then_the_oldest(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(
        issue(4, "backlog", created_at="2026-11-04T00:00:00+00:00"),
        issue(5, "backlog", created_at="2026-11-02T00:00:00+00:00"),
        issue(6, "backlog", "priority", created_at="2026-11-06T00:00:00+00:00"),
        issue(7, "backlog", "priority", created_at="2026-11-05T00:00:00+00:00"),
        issue(9, "backlog", created_at="2026-11-03T00:00:00+00:00"),
        issue(8, "backlog", created_at="2026-11-03T00:00:00+00:00"),
    )
    agent = Agent(tmp_path, tracker)
    done.ends = True
    for number in (7, 6, 5, 8, 9, 4):
        assert agent.cycle()
        assert done.tasks[-1] == f"dev #{number}"
        tracker.issues[number] = replace(tracker.issues[number], state="closed")

    assert not agent.cycle()


@pytest.mark.parametrize(
    "left",
    [
        issue(1),
        issue(1, "priority"),
        issue(1, "backlog", state="closed"),
        issue(1, "backlog", "blocked"),
        issue(1, "backlog", "needs-human"),
        issue(1, "backlog", assignees=(ANN,)),
        issue(1, "backlog", assignees=(BOT, ANN)),
        issue(1, "backlog", author="eve"),
        issue(1, "backlog", body="Depends on #9"),
        issue(1, "backlog", body="Some text.\n\n- blocked by: #8, #9\n"),
        issue(1, "backlog", body="**Depends on #8 and #9**"),
        issue(1, "backlog", "in-progress", assignees=(ANN,)),
    ],
)
def test_an_issue_that_is_not_the_agents_to_take_is_left(
    left: Issue, tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(left, issue(2, "backlog"), issue(9), issue(8, state="closed"))

    assert Agent(tmp_path, tracker).cycle()
    assert done.tasks == ["dev #2"]


@pytest.mark.parametrize(
    "taken",
    [
        issue(1, "backlog"),
        issue(1, "backlog", assignees=(BOT,)),
        issue(1, "backlog", assignees=(BOT.upper(),)),
        issue(1, "backlog", author=ANN.upper()),
        issue(1, "backlog", body="Depends on #8"),
        issue(1, "backlog", body="Depends on #1"),
        issue(1, "backlog", body="This is like #9. It depends on nothing."),
        issue(1, "backlog", body="Depends on #404, which was deleted"),
    ],
)
def test_an_issue_that_nothing_speaks_against_is_taken(
    taken: Issue, tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(taken, issue(2, "backlog"), issue(9), issue(8, state="closed"))

    assert Agent(tmp_path, tracker).cycle()
    assert done.tasks == ["dev #1"]


@pytest.mark.parametrize(("state", "task"), [("open", "dev #2"), ("closed", "dev #1")])
def test_the_forges_own_dependencies_count(
    state: str, task: str, tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(issue(1, "backlog"), issue(2, "backlog"), issue(9, state=state))
    tracker.blocked_by[1] = [9]

    Agent(tmp_path, tracker).cycle()

    assert done.tasks == [task]


@pytest.mark.parametrize(
    ("authors", "tasks"),
    [
        ("writers", []),
        ("anyone", ["dev #1"]),
        (["Eve"], ["dev #1"]),
        ([ANN], []),
    ],
)
def test_the_roster_says_whose_issues_count(
    authors: str | list[str], tasks: list[str], tmp_path: Path, done: Done
) -> None:
    Agent(tmp_path, IssueTracker(issue(1, "backlog", author="eve")), authors=authors).cycle()

    assert done.tasks == tasks


def test_the_roster_says_which_label_counts(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(1, "backlog"), issue(2, "ready"))

    Agent(tmp_path, tracker, label="ready").cycle()

    assert done.tasks == ["dev #2"]


def test_a_claimed_issue_is_left_even_before_it_is_labelled(tmp_path: Path, done: Done) -> None:
    agent = Agent(tmp_path, IssueTracker(issue(1, "backlog"), issue(2, "backlog")))
    other_claims(tmp_path).take(1, None)

    agent.cycle()

    assert done.tasks == ["dev #2"]


@pytest.mark.parametrize("labels", [("backlog",), ("backlog", "in-progress")])
def test_the_issue_of_an_agent_that_is_gone_is_taken_over(
    labels: tuple[str, ...], tmp_path: Path, done: Done
) -> None:
    agent = Agent(tmp_path, IssueTracker(issue(1, *labels)))
    other_claims(tmp_path, days_ago=1).take(1, None)

    assert agent.cycle()
    assert done.tasks == ["dev #1"]
    assert done.claims[0].attempt == 2


def test_the_issue_of_an_agent_that_works_is_not_taken_over(tmp_path: Path, done: Done) -> None:
    agent = Agent(tmp_path, IssueTracker(issue(1, "backlog", "in-progress")))
    other_claims(tmp_path).take(1, None)

    assert not agent.cycle()
    assert done.tasks == []


@pytest.mark.parametrize(
    ("hired", "state", "tasks"),
    [(False, "closed", ["dev #1"]), (False, "open", []), (True, "closed", [])],
)
def test_a_fired_agents_issue_is_free_once_its_pull_request_is_closed(
    tmp_path: Path,
    done: Done,
    hired: bool,  # noqa: FBT001 - pytest passes it by name
    state: str,
    tasks: list[str],
) -> None:
    tracker = IssueTracker(
        issue(1, "backlog", "in-progress"), pull(20, author="other", state=state)
    )
    tracker.people = {ANN, BOT, "other"} if hired else {ANN, BOT}
    agent = Agent(tmp_path, tracker)
    theirs = other_claims(tmp_path)
    claim = theirs.take(1, None)
    assert claim is not None
    theirs.update(claim, state="pull", pull=20)

    agent.cycle()

    assert done.tasks == tasks


def test_an_issue_in_progress_costs_no_look_at_the_claims_in_every_cycle(
    tmp_path: Path, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(tmp_path, IssueTracker(issue(1, "backlog", "in-progress")))
    other_claims(tmp_path).take(1, None)
    agent.cycle()

    def unexpected() -> dict[int, Claim]:
        raise AssertionError

    monkeypatch.setattr(agent.services.claims, "all", unexpected)

    for _ in range(5):
        assert not agent.cycle()
    assert done.tasks == []


def test_a_day_has_as_many_tasks_as_the_roster_allows(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(*(issue(number, "backlog") for number in (1, 2, 3)))
    agent = Agent(tmp_path, tracker, tasks_per_day=2)
    done.ends = True

    for number in (1, 2):
        assert agent.cycle()
        tracker.issues[number] = replace(tracker.issues[number], state="closed")
    assert not agent.cycle()

    assert done.tasks == ["dev #1", "dev #2"]
    assert agent.services.reporter.state.waiting_for == "budget"


def test_a_requested_issue_is_taken_whatever_its_labels(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(1, "backlog"), issue(5, "blocked", author="eve"))

    assert Agent(tmp_path, tracker).cycle(requested=5)
    assert done.tasks == ["dev #5"]


def last_message(agent: Agent, done: Done, requested: int) -> str:
    said: list[str] = []
    done.patch(agent.services.reporter, "say", lambda _, message: said.append(message))
    assert not agent.cycle(requested)
    return said[-1]


@pytest.mark.parametrize(
    ("roles", "number", "reason"),
    [
        ("dev", 1, "other holds it"),
        ("dev", 2, "it is not an open issue"),
        ("dev", 3, "it is not an open issue"),
        ("review", 4, "the agent has no role that works on issues"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(
    roles: str, number: int, reason: str, tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(issue(1), issue(2, state="closed"), issue(3, is_pull=True), issue(4))
    agent = Agent(tmp_path, tracker, roles=roles)
    other_claims(tmp_path).take(1, None)

    said = last_message(agent, done, number)

    assert said == f"Did not take #{number}: {reason}."
    assert done.tasks == []


def test_a_request_for_an_issue_that_does_not_exist_says_so(tmp_path: Path, done: Done) -> None:
    said = last_message(Agent(tmp_path, IssueTracker()), done, 404)

    assert said.startswith("Did not take #404: ")
    assert done.tasks == []


def test_reviews_come_before_issues_whatever_the_order_of_the_roles(
    tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(issue(1, "backlog"), issue(2), PULL_OF_ANOTHER)
    done.ends = True
    agent = Agent(tmp_path, tracker, roles="gardener,dev,review")

    for _ in range(3):
        assert agent.cycle()
        if done.tasks[-1] == "gardener #2":
            tracker.issues[2] = issue(2, "needs-human")

    assert done.tasks == ["review #20", "gardener #2", "dev #1"]


@pytest.mark.parametrize(
    ("at", "is_reviewed"),
    [
        (PULL_OF_ANOTHER, True),
        (pull(20, author=ANN, head_ref="fix", requested_reviewers=(BOT.upper(),)), True),
        (pull(20, author=ANN, head_ref="fix"), False),
        (pull(20, author=BOT), False),
        (pull(20, author=BOT.upper(), requested_reviewers=(BOT,)), False),
        (replace(PULL_OF_ANOTHER, state="closed"), False),
    ],
)
def test_pull_requests_of_bots_and_on_request_are_reviewed(
    at: Pull, tmp_path: Path, done: Done, *, is_reviewed: bool
) -> None:
    agent = Agent(tmp_path, IssueTracker(at), roles="review")

    assert agent.cycle() is is_reviewed
    assert done.tasks == (["review #20"] if is_reviewed else [])


def test_a_pull_request_is_reviewed_once_for_each_of_its_last_commits(
    tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(PULL_OF_ANOTHER)
    agent = Agent(tmp_path, tracker, roles="review")
    assert agent.cycles() == 1

    tracker.pull_requests[20] = replace(PULL_OF_ANOTHER, head_sha="1" * 40)

    assert agent.cycles() == 1
    assert done.tasks == ["review #20", "review #20"]


def test_a_new_container_does_not_review_again(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(PULL_OF_ANOTHER)
    tracker.reviewed[20] = [review(1, BOT, "COMMENT", commit_id=PULL_OF_ANOTHER.head_sha)]
    agent = Agent(tmp_path, tracker, roles="review")

    assert not agent.cycle()
    assert not agent.cycle()
    assert done.tasks == []
    assert tracker.asked.count("reviews 20") == 1


def test_the_gardener_looks_after_issues_without_a_label(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(
        issue(1, "bug"), issue(2, is_pull=True), issue(3, author="eve"), issue(4), issue(5)
    )

    assert Agent(tmp_path, tracker, roles="gardener").cycle()
    assert done.tasks == ["gardener #4"]


def test_a_scheduled_role_runs_once_in_its_hours(tmp_path: Path, done: Done) -> None:
    agent = Agent(tmp_path, IssueTracker(), roles="planner,architect")

    assert agent.cycles() == 2
    assert Agent(tmp_path, IssueTracker(), roles="planner,architect").cycles() == 0
    assert done.tasks == ["planner", "architect"]


def test_a_role_is_what_its_file_in_the_repository_says(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(1))
    tracker.files[".muster/formulas/translator.toml"] = (
        'selects = "unlabelled"\ndelivers = "triage"\nprompt = "Translate."'
    )

    Agent(tmp_path, tracker, roles="translator").cycle()

    assert done.tasks == ["translator #1"]


def test_the_rosters_formula_is_the_first_roles(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(1), PULL_OF_ANOTHER)

    agent = Agent(tmp_path, tracker, roles="dev,review", formula="gardener")
    agent.cycle()
    agent.cycle()

    assert done.tasks == ["review #20", "dev #1"]


def test_a_role_without_a_formula_is_reported_after_the_others_had_their_turn(
    tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(issue(1, "backlog"))
    agent = Agent(tmp_path, tracker, roles="translator,dev")
    done.ends = True

    assert agent.cycle()
    assert done.tasks == ["dev #1"]

    tracker.issues.clear()
    with pytest.raises(FormulaError, match="role translator has no formula"):
        agent.cycle()


def test_an_idle_cycle_asks_the_forge_at_most_twice(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(
        issue(1, "backlog", "in-progress"),
        issue(2, "backlog", body="Depends on #1"),
        PULL_OF_ANOTHER,
    )
    agent = Agent(tmp_path, tracker, roles="dev,review,planner")
    other_claims(tmp_path).take(1, None)
    assert agent.cycles() == 2
    tracker.asked.clear()

    for _ in range(5):
        assert not agent.cycle()

    assert len(tracker.asked) <= 10
    assert done.tasks == ["review #20", "planner"]


def held(agent: Agent, number: int, **changes: Any) -> Claim:  # noqa: ANN401 - its fields
    """Have the agent hold an issue, as its container before did."""
    claim = agent.services.claims.take(number, None)
    assert claim is not None
    changed = agent.services.claims.update(claim, **changes)
    assert changed is not None
    return changed


def test_a_new_container_goes_on_with_what_the_one_before_held(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(1, "backlog", "priority"), issue(5, "backlog", "in-progress"))
    agent = Agent(tmp_path, tracker)
    held(agent, 5)

    assert agent.cycle()
    assert done.tasks == ["dev #5"]


@pytest.mark.parametrize(("killed", "attempt"), [(False, 1), (True, 2)])
def test_a_stop_counts_no_attempt_but_a_kill_does(
    attempt: int, tmp_path: Path, done: Done, *, killed: bool
) -> None:
    agent = Agent(tmp_path, IssueTracker(issue(5, "backlog")))
    agent.memory.killed = killed
    held(agent, 5)

    agent.cycle()

    assert [claim.attempt for claim in done.claims] == [attempt]


@pytest.mark.parametrize(
    "change",
    [
        {"state": "closed"},
        {"labels": frozenset({"in-progress"})},
        {"labels": frozenset({"backlog", "in-progress", "blocked"})},
        {"labels": frozenset({"backlog", "in-progress", "needs-human"})},
    ],
)
def test_an_issue_that_a_person_changed_meanwhile_is_given_back(
    change: dict[str, Any], tmp_path: Path, done: Done
) -> None:
    before = issue(5, "backlog", "in-progress", assignees=(BOT, ANN))
    tracker = IssueTracker(replace(before, **change))
    agent = Agent(tmp_path, tracker)
    held(agent, 5)

    assert agent.cycle()
    assert agent.services.claims.all() == {}
    assert "in-progress" not in tracker.issues[5].labels
    assert tracker.issues[5].assignees == (ANN,)
    assert done.tasks == []


def test_an_issue_that_is_gone_is_given_back(tmp_path: Path, done: Done) -> None:
    agent = Agent(tmp_path, IssueTracker())
    held(agent, 5)

    assert agent.cycle()
    assert agent.services.claims.all() == {}
    assert done.tasks == []


def test_a_claim_that_was_taken_over_is_not_gone_on_with(tmp_path: Path, done: Done) -> None:
    agent = Agent(tmp_path, IssueTracker(issue(5, "backlog", "in-progress")))
    agent.memory.held[5] = held(agent, 5)
    agent.memory.settled = True
    theirs = other_claims(tmp_path)
    assert theirs.take(5, theirs.all()[5]) is not None

    assert agent.cycle()
    assert done.tasks == []
    assert agent.memory.held == {}


def test_a_pull_request_that_is_no_longer_open_is_settled(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(5, "backlog"), pull(13, state="closed", merged=True))
    agent = Agent(tmp_path, tracker)
    held(agent, 5, state="pull", pull=13)

    assert agent.cycle()
    assert done.tasks == ["settle #5 with #13"]
    assert agent.memory.held == {}


def test_feedback_comes_before_the_next_issue_and_is_followed_up_once(
    tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(issue(1, "backlog", "priority"), issue(5, "in-progress"), pull(13))
    tracker.says(13, ANN, "Please add a test.")
    agent = Agent(tmp_path, tracker)
    held(agent, 5, state="pull", pull=13)

    assert agent.cycle()
    assert agent.cycle()

    assert done.tasks == ["follow up #13", "dev #1"]


def test_a_pull_request_that_waits_for_a_person_is_left(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(5), pull(13, labels=frozenset({"needs-human"})))
    tracker.says(13, ANN, "Please add a test.")
    agent = Agent(tmp_path, tracker)
    held(agent, 5, state="pull", pull=13)

    assert not agent.cycle()
    assert done.tasks == []


def test_a_quiet_pull_request_is_not_asked_about_for_ever(
    tmp_path: Path, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = IssueTracker(pull(13))
    agent = Agent(tmp_path, tracker)
    held(agent, 5, state="pull", pull=13)
    agent.cycle()
    monkeypatch.setattr(poll, "SETTLING_SECONDS", 0.0)
    tracker.asked.clear()

    agent.cycle()
    assert "reviews 13" not in tracker.asked

    monkeypatch.setattr(poll, "SETTLING_SECONDS", 20.0)
    tracker.says(13, ANN, "Please add a test.")
    tracker.pull_requests[13] = pull(13, updated_at="2026-11-25T03:00:00+00:00")
    assert agent.cycle()
    assert done.tasks == ["follow up #13"]


def test_while_the_endpoint_is_down_no_issue_is_taken(tmp_path: Path, done: Done) -> None:
    tracker = IssueTracker(issue(1, "backlog"))
    agent = Agent(tmp_path, tracker)

    Cycle(agent.services, agent.memory).settle()

    assert tracker.asked == ["backlog"]
    assert done.tasks == []


def test_while_the_endpoint_is_down_closed_pull_requests_are_settled(
    tmp_path: Path, done: Done
) -> None:
    tracker = IssueTracker(pull(13, state="closed"), pull(14, state="closed"), pull(15))
    agent = Agent(tmp_path, tracker)
    for number in (3, 4, 5):
        held(agent, number, state="pull", pull=10 + number)

    Cycle(agent.services, agent.memory).settle()

    assert done.tasks == ["settle #3 with #13", "settle #4 with #14"]
    assert {*agent.memory.held} == {5}


@pytest.mark.parametrize(
    ("roles", "refused"), [("dev", True), ("gardener", True), ("review", False)]
)
def test_an_agent_that_may_only_read_takes_no_role_that_writes(
    tmp_path: Path, roles: str, *, refused: bool
) -> None:
    config = settings(AGENT_ROLES=roles, FORGE_PERMISSION="read")
    cycle = Cycle(services(tmp_path, IssueTracker(), config), Memory.empty(killed=False))
    if refused:
        with pytest.raises(FormulaError, match='permission = "read"'):
            cycle.run(None)
    else:
        assert cycle.run(None) is False
