"""When an agent merges its pull request: only if the roster says so, and each condition is met."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from issue_tracker import ANN, BOT, IssueTracker, pull, review
from runtime.merge import merge_if_approved
from runtime.services import Services
from workshop import services, settings

from muster.forge import ForgeError, Pull, Review, Status

PULL = pull(13)
WANTED = {"merge": "when-approved"}


class Forge(IssueTracker):
    """A forge with a protected branch, which merges by these methods."""

    def __init__(self) -> None:
        super().__init__(PULL)
        self.protected: bool | None = True
        self.methods = {"merge", "rebase", "squash"}
        self.refusal = 405
        self.merged: list[tuple[int, str, str]] = []
        self.reviewed[13] = [approval()]
        self.states = [Status(1, "ci", "success", "", "")]

    def branch_protected(self, branch: str) -> bool | None:
        assert branch == "main"
        return self.protected

    def merge(
        self, number: int, method: Literal["merge", "rebase", "squash"], head_sha: str
    ) -> None:
        self._answers(f"merge {number} {method}")
        if method not in self.methods:
            raise ForgeError("refused", call="POST /merge", status=self.refusal)
        self.merged.append((number, method, head_sha))


def approval(**changes: Any) -> Review:  # noqa: ANN401 - its fields
    return replace(review(1, ANN, "APPROVED", commit_id=PULL.head_sha), **changes)


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.fixture
def agent(forge: Forge, tmp_path: Path) -> Services:
    return services(tmp_path, forge, settings(WANTED))


def test_an_approved_green_pull_request_to_a_protected_branch_is_merged(
    agent: Services, forge: Forge
) -> None:
    assert merge_if_approved(agent, PULL)
    assert forge.merged == [(13, "merge", PULL.head_sha)]


def test_without_any_status_an_approval_is_enough(agent: Services, forge: Forge) -> None:
    forge.states = []

    assert merge_if_approved(agent, PULL)


def test_nothing_is_merged_by_default(forge: Forge, tmp_path: Path) -> None:
    assert not merge_if_approved(services(tmp_path, forge), PULL)
    assert forge.asked == []


def _reviews(*given: Review) -> Callable[[Forge], None]:
    return lambda forge: forge.reviewed.update({13: [*given]})


def _status(state: str) -> Callable[[Forge], None]:
    return lambda forge: forge.states.append(Status(2, "slow", state, "", ""))


def _protected(*, value: bool | None) -> Callable[[Forge], None]:
    return lambda forge: setattr(forge, "protected", value)


@pytest.mark.parametrize(
    "missing",
    [
        _reviews(),
        _reviews(approval(state="COMMENT")),
        _reviews(approval(author=BOT)),
        _reviews(approval(author=BOT.upper())),
        _reviews(approval(official=False)),
        _reviews(approval(stale=True)),
        _reviews(approval(dismissed=True)),
        _reviews(approval(commit_id="f" * 40)),
        _reviews(approval(), review(2, "bob", "REQUEST_CHANGES")),
        _status("pending"),
        _status("failure"),
        _status("warning"),
        _protected(value=False),
        _protected(value=None),
    ],
)
def test_nothing_is_merged_if_one_condition_is_not_met(
    missing: Callable[[Forge], None], agent: Services, forge: Forge
) -> None:
    missing(forge)

    assert not merge_if_approved(agent, PULL)
    assert forge.merged == []


@pytest.mark.parametrize("given", [pull(13, draft=True), pull(13, mergeable=False)])
def test_drafts_and_conflicts_are_not_merged(given: Pull, agent: Services, forge: Forge) -> None:
    assert not merge_if_approved(agent, given)
    assert forge.asked == []


def test_another_way_to_merge_is_taken_if_the_repository_does_not_allow_the_first(
    agent: Services, forge: Forge
) -> None:
    forge.methods = {"squash"}

    assert merge_if_approved(agent, PULL)
    assert forge.merged == [(13, "squash", PULL.head_sha)]


def test_a_forge_that_refuses_is_not_asked_again_at_once(agent: Services, forge: Forge) -> None:
    forge.methods = set()

    assert not merge_if_approved(agent, PULL)
    asked = len(forge.asked)
    assert not merge_if_approved(agent, PULL)
    assert [each for each in forge.asked[asked:] if each.startswith("merge")] == []


def test_a_forge_that_fails_is_reported(agent: Services, forge: Forge) -> None:
    forge.methods, forge.refusal = set(), 500

    with pytest.raises(ForgeError):
        merge_if_approved(agent, PULL)
