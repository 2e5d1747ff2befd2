"""Rounds of following up that need no session: interrupted, pointless, or one too many."""

from pathlib import Path

import pytest
from issue_tracker import ANN, IssueTracker, issue, line_comment, pull
from runtime.claim import Claim
from runtime.feedback import Feedback, Remark
from runtime.follow_up import ROUNDS, FollowUp
from runtime.services import Services
from workshop import bare, services

from muster.forge import ReviewComment

PULL = pull(13)
THREAD = line_comment(5, ANN, "Name it better.")
REMARKS = (
    Remark("l5", ANN, "Name it better.", "", "on greet.py, line 3", THREAD),
    Remark("c9", ANN, "And shorter.", ""),
)
WANTED = Feedback(REMARKS, "")


class Forge(IssueTracker):
    """A forge that takes replies."""

    def __init__(self) -> None:
        super().__init__(issue(12), issue(13, is_pull=True), PULL)
        self.replies: list[tuple[int, str]] = []

    def reply(self, number: int, to: ReviewComment, body: str) -> None:
        assert number == PULL.number
        self.replies.append((to.id, body))


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.fixture
def agent(forge: Forge, tmp_path: Path) -> Services:
    bare(tmp_path / "origin", {"greet.py": "hello\n"})
    return services(tmp_path, forge)


def held(agent: Services, *, rounds: int = 0) -> Claim:
    taken = agent.claims.take(12, None)
    assert taken is not None
    claim = agent.claims.update(taken, state="pull", pull=13, rounds=rounds, seen="c1")
    assert claim is not None
    return claim


def test_what_a_killed_container_pushed_is_answered_without_another_session(
    agent: Services, forge: Forge
) -> None:
    claim = held(agent)
    tree = agent.tree("issue", 12)
    tree.make("muster/issue-12", agent.fetch_branches())
    tree.note(
        answer={
            "commit": PULL.head_sha,
            "new": True,
            "summary": "I renamed it.",
            "checks": [["make test", 0, ""]],
            "effort": [3, 1000, 60.0],
            "seen": "c1 l5",  # the other remark came later
        }
    )

    kept = FollowUp(agent, claim, PULL, WANTED).run()

    assert (kept.rounds, kept.seen) == (1, "c1 l5")
    [(thread, reply)] = forge.replies
    assert thread == THREAD.id
    assert f"Answered in {PULL.head_sha}." in reply
    [said] = forge.comments(13)
    assert "> I renamed it." in said.body
    assert "- `make test`: passed" in said.body
    assert "| dev-qwen | default | http://models:8080 | 3 | 1,000 | 1.0 |" in said.body
    assert not tree.notes["answer"]


def test_a_pull_request_whose_issue_was_closed_is_not_followed_up(
    agent: Services, forge: Forge
) -> None:
    forge.issues[12] = issue(12, state="closed")

    kept = FollowUp(agent, held(agent), PULL, WANTED).run()

    assert (kept.rounds, kept.seen) == (0, "c1 l5 c9")
    assert forge.comments(13) == []
    assert agent.reporter.state.last
    assert agent.reporter.state.last["result"] == "not followed up: #12 is closed"


def test_after_its_rounds_a_person_decides_and_the_feedback_stays_to_be_answered(
    agent: Services, forge: Forge
) -> None:
    kept = FollowUp(agent, held(agent, rounds=ROUNDS), PULL, WANTED).run()

    assert (kept.rounds, kept.seen) == (0, "c1")
    assert forge.issues[13].labels == {"needs-human"}
    [said] = forge.comments(13)
    assert "it was followed up 3 times." in said.body
    assert "Remove the label `needs-human`" in said.body
