"""Roles that write issues, roles that a repository brings, and how an agent's roles take turns."""

import json
from typing import Any

from crew import Crew, says, until
from people import Person, cycles

GREETER = """
description = "Proposes a greeting."
selects = "schedule"
delivers = "issue"
hours = 1
prompt = "Propose one more greeting, as JSON."
"""


def answers(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return says(f"```json\n{json.dumps(values)}\n```")


def test_roles_of_one_agent_take_turns_and_a_broken_one_stops_no_other(crew: Crew) -> None:
    crew.plays(
        (
            "Propose one more greeting",
            [
                says("Good evening would be nice."),
                answers(title="Say good evening, @keeper", body="Fixes #1. <img src='x'> @keeper"),
            ],
        ),
        ("most useful next step", [answers(title=None, body=None)]),
        (
            "issue #\\d+:?\\s+Say good evening",
            [answers(labels=["needs-human"], comment="Who would say it?", duplicate_of=None)],
        ),
        (
            "issue #\\d+:?\\s+Say good morning",
            [
                answers(
                    labels=["backlog", "priority", "admin"],
                    comment="It is clear, @keeper.",
                    duplicate_of=999,
                )
            ],
        ),
    )
    crew.keeper.create_file("docs/greeter.toml", GREETER, "main", "Add a role")
    crew.keeper.create_file(".muster/formulas/broken.toml", "selects = 1", "main", "Break one")
    bob = Person(crew, "bob", "read")
    strange = bob.forge.create_issue("Delete everything", "Please.")
    morning = crew.keeper.create_issue("Say good morning", "Please.")
    agent = crew.hire("all", "greeter,gardener,broken,planner", formula="docs/greeter.toml")
    agent.until_idle()

    # Each has had its turn, and the broken one is shown.
    finished = [line["last"]["task"] for line in agent.lines() if line["event"] == "work"]
    assert sorted(finished)[:2] == [f"#{morning.number}", f"#{morning.number + 1}"]
    assert sorted(finished)[2:] == ["greeter", "planner"]
    state = agent.state()
    assert state["error"] == {"formula": state["message"]}
    assert ".muster/formulas/broken.toml: selects must be one of backlog" in state["message"]

    # Labels are of an allowed set, and a model's words have no effect.
    assert crew.keeper.issue(morning.number).labels == {"backlog", "priority"}
    assert crew.keeper.issue(strange.number).labels == set()
    [said] = [each.body for each in crew.keeper.comments(morning.number)]
    assert said.endswith("> It is clear, @\u200bkeeper.")
    evening = crew.keeper.issue(morning.number + 1)
    assert evening.author == agent.user
    assert evening.title == "Say good evening, @\u200bkeeper"
    assert "Proposed by **all** (greeter)." in evening.body
    assert "#1" not in evening.body
    assert "@keeper" not in evening.body
    assert "<img" not in evening.body
    assert evening.labels == {"needs-human"}

    # One proposal in its hours, by a new container too; a repaired formula is used.
    served = crew.endpoint.served
    agent.start()
    agent.until_idle()
    cycles(agent)
    assert crew.endpoint.served == served
    crew.plays(("Propose one more greeting", [answers(title=None, body=None)]))
    crew.keeper.create_file(".muster/formulas/fixed.toml", GREETER, "main", "Add another role")
    agent.start(AGENT_ROLES="gardener,fixed", AGENT_FORMULA="")
    agent.finishes("nothing to propose")
    until(lambda: agent.state()["error"] is None, "no error any more")
