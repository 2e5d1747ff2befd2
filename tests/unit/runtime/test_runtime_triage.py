"""Roles that write issues: what becomes of a model's answer, and when a scheduled role is due."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from issue_tracker import BOT, IssueTracker, issue
from runtime import triage
from runtime.formula import Formula, load
from runtime.report import NOTE
from runtime.services import Services
from runtime.session import Outcome
from runtime.tree import Tree
from runtime.triage import BODY_LENGTH, HOUR, TITLE_LENGTH, is_due, note_run, propose
from runtime.work import Budget
from workshop import TOKEN, bare, services

from muster.forge import Issue


class Model:
    """Plays the model: it answers every session with the same words."""

    def __init__(self) -> None:
        self.answer = ""
        self.kind = "done"
        self.asked: list[str] = []
        self.trees: list[Tree] = []

    def conversation(
        self, _: Services, tree: Tree, __: Budget, interrupted: Callable[[], str | None]
    ) -> "Model":
        assert (tree.path / "README.md").exists()
        assert interrupted() is None
        self.trees.append(tree)
        return self

    def say(self, text: str, message: str) -> Outcome:
        assert message
        self.asked.append(text)
        return Outcome(self.kind, self.answer, "the endpoint is down", "s1", 1, 10, 0.1)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model()
    monkeypatch.setattr(triage, "Conversation", made.conversation)
    return made


@pytest.fixture
def tracker() -> IssueTracker:
    return IssueTracker(issue(4, title="Greet", body="by name"), issue(9, title="Greeting"))


@pytest.fixture
def agent(tracker: IssueTracker, tmp_path: Path) -> Services:
    bare(tmp_path / "origin", {"README.md": "hello"})
    return services(tmp_path, tracker)


def formula(role: str) -> Formula:
    return load(role, None, lambda _: None)


def looked_after(
    agent: Services,
    tracker: IssueTracker,
    model: Model,
    answer: Any,  # noqa: ANN401 - JSON
) -> tuple[set[str], list[str]]:
    """Return the labels and comments that an issue has after a model's answer."""
    model.answer = answer if isinstance(answer, str) else json.dumps(answer)
    triage.triage(agent, formula("gardener"), tracker.issues[4])
    return {*tracker.issues[4].labels}, [each.body for each in tracker.comments(4)]


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        ({"labels": ["backlog"]}, {"backlog"}),
        ({"labels": ["backlog", "priority"]}, {"backlog", "priority"}),
        ({"labels": ["needs-human"]}, {"needs-human"}),
        ({"labels": ["backlog", "admin", "blocked", "in-progress"]}, {"backlog"}),
        ({"labels": ["admin"]}, {"needs-human"}),
        ({"labels": ["priority"]}, {"needs-human"}),
        ({"labels": ["backlog", "needs-human"]}, {"needs-human"}),
        ({"labels": []}, {"needs-human"}),
        ({"labels": "backlog"}, {"needs-human"}),
        ({"labels": None}, {"needs-human"}),
        ({}, {"needs-human"}),
        ("It is a good issue.", {"needs-human"}),
        ({"labels": [["backlog"], {"a": 1}, None, 5]}, {"needs-human"}),
    ],
)
def test_an_issue_gets_labels_that_the_crew_uses_or_a_person(
    answer: object, labels: set[str], agent: Services, tracker: IssueTracker, model: Model
) -> None:
    assert looked_after(agent, tracker, model, answer)[0] == labels


@pytest.mark.parametrize(
    ("answer", "comment"),
    [
        ({"comment": "Which name?"}, "> Which name?"),
        ({"comment": f"Ask @ann {TOKEN}"}, "> Ask @\u200bann ***"),
        ({"duplicate_of": 9}, "This may be the same as #9."),
        (
            {"comment": "As before.", "duplicate_of": 9},
            "> As before.\n\nThis may be the same as #9.",
        ),
    ],
)
def test_an_issue_gets_one_comment_with_the_models_words_as_a_quote(
    answer: object, comment: str, agent: Services, tracker: IssueTracker, model: Model
) -> None:
    assert looked_after(agent, tracker, model, answer)[1] == [f"{NOTE}\n{comment}"]


@pytest.mark.parametrize(
    "answer",
    [
        {"comment": ""},
        {"comment": None},
        {"comment": "<!-- hidden -->"},
        {"duplicate_of": 4},
        {"duplicate_of": 77},
        {"duplicate_of": "9"},
        {"duplicate_of": [9]},
    ],
)
def test_an_answer_with_nothing_to_say_makes_no_comment(
    answer: object, agent: Services, tracker: IssueTracker, model: Model
) -> None:
    assert looked_after(agent, tracker, model, answer)[1] == []


def test_the_model_reads_the_issue_and_the_titles_of_the_open_ones(
    agent: Services, tracker: IssueTracker, model: Model
) -> None:
    tracker.issues[5] = issue(5, title="A pull request", is_pull=True)

    looked_after(agent, tracker, model, {})

    asked = model.asked[0]
    assert asked.startswith(formula("gardener").prompt.replace("{label}", "backlog"))
    assert re.search("issue #4.*Greet\\s+by name\n", asked, re.DOTALL)
    assert "open issues\n#9 Greeting\n" in asked


def test_the_models_tree_is_removed_afterwards(
    agent: Services, tracker: IssueTracker, model: Model
) -> None:
    looked_after(agent, tracker, model, {})

    assert not model.trees[0].folder.exists()


def proposed(agent: Services, tracker: IssueTracker, model: Model, answer: object) -> Issue | None:
    model.answer = json.dumps(answer)
    before = {*tracker.issues}
    propose(agent, formula("planner"))
    new = {*tracker.issues} - before
    return tracker.issues[new.pop()] if new else None


def test_a_proposal_is_an_issue_that_says_who_made_it(
    agent: Services, tracker: IssueTracker, model: Model
) -> None:
    answer = {"title": " Add\n a test<!-- x -->", "body": f"Ask @ann.\n\n{TOKEN}<!-- hidden -->"}

    made = proposed(agent, tracker, model, answer)

    assert made is not None
    assert (made.title, made.author, made.labels) == ("Add a test", BOT, frozenset())
    assert made.body == "Ask @\u200bann.\n\n***\n\nProposed by **dev-qwen** (planner)."


def test_a_long_proposal_is_cut(agent: Services, tracker: IssueTracker, model: Model) -> None:
    answer = {"title": "x" * 2 * TITLE_LENGTH, "body": "y" * 2 * BODY_LENGTH}

    made = proposed(agent, tracker, model, answer)

    assert made is not None
    assert len(made.title) == TITLE_LENGTH
    assert len(made.body) < BODY_LENGTH + 100


@pytest.mark.parametrize(
    "answer",
    [
        {"title": None, "body": None},
        {"title": "", "body": "x"},
        {"title": " ", "body": "x"},
        {"title": "<!-- hidden -->", "body": "x"},
        {"title": "x"},
        {"title": "x", "body": 5},
        {"title": ["x"], "body": "x"},
        [],
    ],
)
def test_nothing_worth_an_issue_makes_none(
    answer: object, agent: Services, tracker: IssueTracker, model: Model
) -> None:
    assert proposed(agent, tracker, model, answer) is None
    assert (agent.reporter.state.last or {})["result"] == "nothing to propose"


@pytest.mark.parametrize(("kind", "due"), [("endpoint", True), ("turns", False)])
def test_a_session_that_fails_makes_no_issue(
    kind: str, agent: Services, tracker: IssueTracker, model: Model, *, due: bool
) -> None:
    model.kind = kind

    assert proposed(agent, tracker, model, {"title": "x", "body": "x"}) is None
    assert is_due(agent.data, formula("planner")) is due


def test_what_is_proposed_already_is_not_proposed_again(
    agent: Services, tracker: IssueTracker, model: Model
) -> None:
    assert proposed(agent, tracker, model, {"title": "greeting", "body": "x"}) is None


def test_what_a_person_labelled_meanwhile_stays_so(
    agent: Services, tracker: IssueTracker, model: Model
) -> None:
    before = tracker.issues[4]
    tracker.issues[4] = issue(4, "bug")
    model.answer = json.dumps({"labels": ["backlog"], "comment": "Fine."})

    triage.triage(agent, formula("gardener"), before)

    assert tracker.issues[4].labels == {"bug"}
    assert tracker.comments(4) == []


@pytest.mark.parametrize(("kind", "labels"), [("endpoint", set()), ("turns", {"needs-human"})])
def test_an_issue_whose_triage_failed_is_tried_again_or_a_persons(
    kind: str, labels: set[str], agent: Services, tracker: IssueTracker, model: Model
) -> None:
    model.kind = kind

    assert looked_after(agent, tracker, model, {"labels": ["backlog"]})[0] == labels


def test_an_answer_without_json_is_asked_for_once_more(
    agent: Services, tracker: IssueTracker, model: Model
) -> None:
    looked_after(agent, tracker, model, "It is a good issue.")

    assert len(model.asked) == 2
    assert "JSON" in model.asked[1]


def test_a_role_is_due_once_its_hours_have_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    daily, weekly = formula("planner"), formula("architect")
    assert is_due(tmp_path, daily)
    note_run(tmp_path, "planner")
    note_run(tmp_path, "architect")

    due = []
    for hours in (0, 23.9, 24, 167.9, 168):
        monkeypatch.setattr("time.time", lambda hours=hours: now + hours * HOUR)
        due.append((is_due(tmp_path, daily), is_due(tmp_path, weekly)))

    assert due == [
        *((False, False), (False, False), (True, False)),
        *((True, False), (True, True)),
    ]


@pytest.mark.parametrize("text", ["", "{"])
def test_a_broken_note_of_runs_does_no_harm(text: str, tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(text)

    assert is_due(tmp_path, formula("planner"))
    note_run(tmp_path, "planner")
    assert not is_due(tmp_path, formula("planner"))
