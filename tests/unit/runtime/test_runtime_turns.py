"""How the roles of one agent take turns, and what a role without a formula does to the others."""

from pathlib import Path

import pytest
from issue_tracker import IssueTracker, issue, pull
from runtime.formula import Formula, FormulaError
from runtime.poll import Cycle, Memory
from runtime.services import Services
from workshop import services, settings


class Turns(Cycle):
    """A cycle that notes whose turn it is, and does no work."""

    busy: frozenset[str] = frozenset()

    def _one(self, formula: Formula) -> bool:
        self.asked = [*getattr(self, "asked", []), formula.role]
        return formula.role in self.busy


def agent(tmp_path: Path, roles: str, **work: object) -> Services:
    return services(tmp_path, IssueTracker(), settings(work, AGENT_ROLES=roles))


def turn(agent: Services, memory: Memory, *busy: str) -> list[str]:
    cycle = Turns(agent, memory)
    cycle.busy = frozenset(busy)
    cycle.run(None)
    return cycle.asked


@pytest.fixture
def memory() -> Memory:
    made = Memory.empty(killed=False)
    made.settled = True
    return made


def test_a_role_that_always_has_work_leaves_the_others_their_turn(
    tmp_path: Path, memory: Memory
) -> None:
    crew = agent(tmp_path, "dev,gardener,planner,review")

    assert turn(crew, memory, "dev", "gardener", "planner") == ["review", "dev"]
    assert turn(crew, memory, "dev", "gardener", "planner") == ["review", "gardener"]
    assert turn(crew, memory, "dev", "planner") == ["review", "planner"]
    assert turn(crew, memory, "dev") == ["review", "dev"]


def test_reviews_come_first_every_time(tmp_path: Path, memory: Memory) -> None:
    crew = agent(tmp_path, "dev,review")

    assert turn(crew, memory, "dev", "review") == ["review"]
    assert turn(crew, memory, "dev", "review") == ["review"]


def test_a_role_without_a_formula_is_reported_after_the_others_had_their_turn(
    tmp_path: Path, memory: Memory
) -> None:
    crew = agent(tmp_path, "translator,gardener")

    assert turn(crew, memory, "gardener") == ["gardener"]
    with pytest.raises(FormulaError, match=r"role translator has no formula: add \.muster/"):
        turn(crew, memory)


def test_tasks_per_day_holds_for_every_role(tmp_path: Path, memory: Memory) -> None:
    roles = "review,gardener,planner"
    tracker = IssueTracker(issue(1), pull(2, author="other"))
    crew = services(tmp_path, tracker, settings({"tasks_per_day": 3}, AGENT_ROLES=roles))
    crew.reporter.spend(tasks=3)
    cycle = Cycle(crew, memory)

    assert not cycle.run(None)
    assert cycle.is_limited
    assert crew.reporter.state.waiting_for == "budget"
