"""Hiring: `pulumi up` turns a roster into a working crew."""

import json
from pathlib import Path

from asking import api_status, git_works, wait_until
from workplace import Workplace


def test_hiring_gives_an_agent_a_working_user_token_and_container(
    workplace: Workplace, tmp_path: Path
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()

    user = workplace.forge.user(workplace.user("dev-qwen"))
    assert user is not None
    assert user.restricted
    token = workplace.token("dev-qwen")
    assert api_status(workplace.server.url, token) == 200
    assert git_works(workplace.server.url, workplace.repo, user.login, token, tmp_path)
    container = workplace.container("dev-qwen")

    def proven() -> bool:
        cycles = [json.loads(line) for line in container.logs().decode().splitlines()]
        return any(cycle["forge"]["status"] == 200 for cycle in cycles)

    wait_until(proven)


def test_an_agent_that_joins_a_crew_leaves_the_others_as_they_are(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    container, token = workplace.container("dev-qwen").id, workplace.token("dev-qwen")

    workplace.roster(workplace.agent("dev-qwen") + workplace.agent("review-qwen"))
    planned = workplace.preview()
    assert not any("dev-qwen" in found for steps in planned.values() for found in steps)
    workplace.up()

    assert api_status(workplace.server.url, workplace.token("review-qwen")) == 200
    assert workplace.container("review-qwen").status == "running"
    assert workplace.container("dev-qwen").id == container
    assert workplace.token("dev-qwen") == token


def test_a_second_up_changes_nothing_and_its_preview_is_empty(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen") + workplace.agent("review-qwen"))
    workplace.up()
    before = workplace.container("dev-qwen").id

    assert workplace.preview("--expect-no-changes") == {}
    printed = workplace.up("--expect-no-changes")

    assert workplace.container("dev-qwen").id == before
    assert "unchanged" in printed


def test_hiring_ends_when_registrations_fill_the_programs_threads(workplace: Workplace) -> None:
    """The program has four threads an operation; each may wait for an agent's hook."""
    crew = [f"a{number}" for number in range(9)]
    workplace.roster("".join(workplace.agent(name, poll_interval=60) for name in crew))
    workplace.up("--parallel", "2")
    assert {workplace.container(name).status for name in crew} == {"running"}


def test_the_state_says_nothing_of_the_programs_frames(workplace: Workplace) -> None:
    """The engine writes all of the state at every step: with them it is half as big again."""
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    traced = {resource["type"] for resource in workplace.state() if "stackTrace" in resource}
    assert traced <= {"pulumi:pulumi:Stack"}
