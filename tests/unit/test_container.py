"""What an agent's container and its parts are called, and what it sees."""

import itertools
import json
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
        ("muster-endpoints", "/run/muster/endpoints", False),
        ("demo-agents-dev-qwen-credentials", "/run/secrets/muster", True),
    ]


def test_an_agent_of_the_anthropic_api_waits_in_no_queue(tmp_path: Path) -> None:
    found = project(tmp_path, "[agents.planner]\n")
    mounts = container.service(found, found.roster.agents["planner"]).mounts
    assert "muster-endpoints" not in [mount.volume for mount in mounts]


@pytest.mark.parametrize(("line", "read_only"), [("", True), ("read_only = false\n", False)])
def test_an_agents_root_file_system_is_read_only_unless_the_roster_says_otherwise(
    tmp_path: Path, line: str, *, read_only: bool
) -> None:
    found = project(tmp_path, QWEN + line)
    service = container.service(found, found.roster.agents["dev-qwen"])
    assert (service.read_only, service.tmpfs) == (read_only, {"/tmp": "exec"})  # noqa: S108


# Settings for work

DEFAULTS = {
    "authors": "writers",
    "check": [],
    "context_window": None,
    "diff_lines": 1000,
    "label": "backlog",
    "may_approve": False,
    "merge": "never",
    "minutes": 60,
    "network": "none",
    "protected_paths": [
        ".forgejo/workflows",
        ".gitea/workflows",
        ".github/workflows",
        ".claude",
        ".mcp.json",
    ],
    "sandbox": "on",
    "setup": [],
    "slots": 1,
    "tasks_per_day": None,
    "tokens": 2000000,
    "turns": 60,
}


def work_settings(folder: Path, agent: str, muster: str = "") -> str:
    """Return MUSTER_WORK of a crew of one."""
    found = project(folder, agent, muster)
    return container.environment(found, _only(found.roster.agents))["MUSTER_WORK"]


def test_an_agent_gets_every_default_of_the_settings_for_work(tmp_path: Path) -> None:
    for agent in (QWEN, "[agents.planner]\n"):
        assert json.loads(work_settings(tmp_path, agent)) == DEFAULTS


def test_settings_for_work_are_sorted_and_compact(tmp_path: Path) -> None:
    text = work_settings(tmp_path, QWEN)
    assert text == json.dumps(DEFAULTS, sort_keys=True, separators=(",", ":"))


def test_an_agent_gets_the_settings_of_the_crew_and_its_own(tmp_path: Path) -> None:
    crew = (
        '[muster.work]\nlabel = "ready"\nauthors = ["ann"]\nsetup = ["npm ci"]\n'
        'check = ["make test"]\nnetwork = "open"\nturns = 7\nminutes = 8\n'
        'merge = "when-approved"\nprotected_paths = ["infra"]\n'
        '[muster.endpoints."http://10.0.0.5:8081/"]\nslots = 2\n'
    )
    own = (
        "minutes = 9\ntokens = 10\ndiff_lines = 11\ntasks_per_day = 12\n"
        'context_window = 65536\nsandbox = "off"\nmay_approve = true\n'
    )
    assert json.loads(work_settings(tmp_path, QWEN + own, crew)) == {
        "authors": ["ann"],
        "check": ["make test"],
        "context_window": 65536,
        "diff_lines": 11,
        "label": "ready",
        "may_approve": True,
        "merge": "when-approved",
        "minutes": 9,
        "network": "open",
        "protected_paths": ["infra"],
        "sandbox": "off",
        "setup": ["npm ci"],
        "slots": 2,
        "tasks_per_day": 12,
        "tokens": 10,
        "turns": 7,
    }


def test_slots_belong_to_the_agents_of_that_endpoint_alone(tmp_path: Path) -> None:
    other = QWEN.replace("dev-qwen", "dev-two").replace("8081", "8082")
    crew = '[muster.endpoints."http://10.0.0.5:8081"]\nslots = 2\n'
    found = project(tmp_path, f"{QWEN}{other}[agents.planner]\n", crew)
    slots = {
        name: json.loads(container.work_settings(found, agent))["slots"]
        for name, agent in found.roster.agents.items()
    }
    assert slots == {"dev-qwen": 2, "dev-two": 1, "planner": 1}


@pytest.mark.parametrize("credentials", ["file", "env"])
def test_no_service_holds_a_key(tmp_path: Path, credentials: str) -> None:
    key = "sk-placeholder-of-this-test"
    found = project(tmp_path, f'{QWEN}api_key = "{key}"\ncredentials = "{credentials}"\n')
    assert key not in repr(container.service(found, _only(found.roster.agents)))


def _only(agents: dict[str, Agent]) -> Agent:
    (agent,) = agents.values()
    return agent
