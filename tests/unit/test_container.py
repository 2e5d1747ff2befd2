"""What an agent's container and its parts are called, and what it sees."""

import itertools
from pathlib import Path

import pytest
from declared import project

from muster import compose, container, local_forge, names
from muster.roster import Agent

QWEN = '[agents.dev-qwen]\nbase_url = "http://10.0.0.5:8081"\nmodel = "qwen"\n'


@pytest.mark.parametrize(
    ("user", "upper"),
    [("dev-qwen", "DEV_QWEN"), ("Demo.Dev_2", "DEMO_DEV_2"), ("x", "X")],
)
def test_a_bot_users_name_in_capitals_can_stand_in_a_variables_name(user: str, upper: str) -> None:
    assert names.user_upper(user) == upper


def test_what_is_made_is_named_by_project_and_agent() -> None:
    assert names.service_name("dev-qwen") == "agents-dev-qwen"
    assert names.container_name("demo", "dev-qwen") == "demo-agents-dev-qwen"
    assert names.credentials_container_name("demo", "dev-qwen") == "demo-credentials-dev-qwen"
    assert names.network_name("demo") == "muster-demo"


def test_no_two_containers_of_a_project_share_a_name() -> None:
    agents = ["dev", "agents-dev", "credentials-dev", "dev-credentials", "forge", "agents"]
    called = [local_forge.container_name("demo")]
    for agent in agents:
        called += [
            names.container_name("demo", agent),
            names.credentials_container_name("demo", agent),
        ]
    assert [one for one, other in itertools.pairwise(sorted(called)) if one == other] == []


def test_what_is_made_for_an_agent_says_whose_it_is() -> None:
    assert names.labels("live", "demo", "dev-qwen") == {
        "muster.project": "demo",
        "muster.stack": "live",
        "muster.agent": "dev-qwen",
    }
    assert names.labels("live", "demo") == {"muster.project": "demo", "muster.stack": "live"}


def test_an_environment_is_listed_sorted() -> None:
    assert compose.lines({"B": "2", "A_B": "x=y", "A": ""}) == ["A=", "A_B=x=y", "B=2"]


def test_an_agents_service_holds_its_limits_and_mounts(tmp_path: Path) -> None:
    found = project(tmp_path, f'{QWEN}memory = "512m"\ncpus = 1.5\npids = 99\n')
    service = container.service(found, found.roster.agents["dev-qwen"])
    assert (service.memory, service.cpus, service.pids) == (512 * 1024**2, 1.5, 99)
    assert [(mount.volume, mount.path, mount.read_only) for mount in service.mounts] == [
        ("demo-agents-dev-qwen-data", "/home/agent/data", False),
        ("demo-agents-dev-qwen-repos", "/home/agent/repos", False),
        ("demo-agents-dev-qwen-credentials", "/run/secrets/muster", True),
    ]


@pytest.mark.parametrize("credentials", ["file", "env"])
def test_no_service_holds_a_key(tmp_path: Path, credentials: str) -> None:
    key = "sk-placeholder-of-this-test"
    found = project(tmp_path, f'{QWEN}api_key = "{key}"\ncredentials = "{credentials}"\n')
    assert key not in repr(container.service(found, _only(found.roster.agents)))


def _only(agents: dict[str, Agent]) -> Agent:
    (agent,) = agents.values()
    return agent
