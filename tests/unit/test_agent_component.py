"""What one agent's section declares: every resource, every input, every option that counts."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from declared import Declared, Secret, crew, declare, project

from components.crew import Crew
from muster import compose
from muster.docker_engine import DockerEngine
from muster.keys import Keys

QWEN = """
[agents.dev-qwen]
base_url = "http://10.0.0.5:8081"
model = "qwen"
forge_user = "Demo.Dev"
"""
PLANNER = "\n[agents.planner]\n"
KEY = "sk-ant-a-real-key"

ENVIRONMENT = {
    "AGENT_NAME": "dev-qwen",
    "AGENT_ROLES": "dev",
    "ANTHROPIC_BASE_URL": "http://10.0.0.5:8081",
    "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": "60",
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CONFIG_DIR": "/home/agent/data/claude",
    "CLAUDE_MODEL": "qwen",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "FORGE_BOT_USER_DEMO_DEV": "Demo.Dev",
    "FORGE_REPO": "acme/demo",
    "FORGE_URL": "https://forge.example.org",
    "MUSTER_WORK": (
        '{"authors":"writers","check":[],"context_window":null,"diff_lines":1000,'
        '"label":"backlog","may_approve":false,"merge":"never","minutes":60,"network":"none",'
        '"protected_paths":[".forgejo/workflows",".gitea/workflows",".github/workflows",'
        '".claude",".mcp.json"],"sandbox":"on","setup":[],"slots":1,"tasks_per_day":null,'
        '"tokens":2000000,"turns":60}'
    ),
    "POLL_INTERVAL": "60",
    "PRIMARY_BRANCH": "main",
    "PROJECT_NAME": "demo",
}
FILES = {
    "ANTHROPIC_API_KEY_FILE": "/run/secrets/muster/anthropic_api_key",
    "FORGE_TOKEN_FILE": "/run/secrets/muster/forge_token",
}
LABELS = {"muster.agent": "dev-qwen", "muster.project": "demo", "muster.stack": "live"}

DATA = {"volumeName": "demo-agents-dev-qwen-data", "containerPath": "/home/agent/data"}
REPOS = {"volumeName": "demo-agents-dev-qwen-repos", "containerPath": "/home/agent/repos"}
ENDPOINTS = {"volumeName": "muster-endpoints", "containerPath": "/run/muster/endpoints"}
CREDENTIALS = {
    "volumeName": "demo-agents-dev-qwen-credentials",
    "containerPath": "/run/secrets/muster",
}

CONTAINER = {
    "name": "demo-agents-dev-qwen",
    "image": "muster-agent",
    "envs": [f"{name}={value}" for name, value in sorted({**ENVIRONMENT, **FILES}.items())],
    "volumes": [
        {**DATA, "readOnly": False},
        {**REPOS, "readOnly": False},
        {**ENDPOINTS, "readOnly": False},
        {**CREDENTIALS, "readOnly": True},
    ],
    "networksAdvanced": [{"name": "muster-demo", "aliases": ["agents-dev-qwen"]}],
    "hosts": [{"host": "host.docker.internal", "ip": "host-gateway"}],
    "labels": [
        {"label": "muster.agent", "value": "dev-qwen"},
        {"label": "muster.pids", "value": "512"},
        {"label": "muster.project", "value": "demo"},
        {"label": "muster.stack", "value": "live"},
    ],
    "restart": "unless-stopped",
    "memory": 2048,
    "memorySwap": 2048,
    "cpus": "2.0",
    "logDriver": "json-file",
    "logOpts": {"max-file": "3", "max-size": "10m"},
    "securityOpts": ["no-new-privileges:true"],
    "readOnly": True,
    "tmpfs": {"/tmp": "exec"},  # noqa: S108
    "destroyGraceSeconds": 10,
    "capabilities": {"drops": ["ALL"]},
}

HELD = [
    "AccessToken dev-qwen",
    "BotPassword dev-qwen",
    "BotUser dev-qwen",
    "Container dev-qwen",
    "ContainerClaim dev-qwen",
    "CredentialFiles dev-qwen",
    "RepositoryAccess dev-qwen",
    "TokenSweep dev-qwen",
    "Volume dev-qwen-data",
    "Volume dev-qwen-repos",
]


@pytest.fixture(autouse=True)
def _no_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no compose on this machine, whatever it has."""
    monkeypatch.setattr(compose, "COMMANDS", ())


def secrecy(output: pulumi.Output[Any]) -> Awaitable[bool]:
    """Tell whether an output is a secret, once that is known."""
    return asyncio.ensure_future(output.is_secret())


def environment(declared: Declared) -> dict[str, Any]:
    lines = [line.value if isinstance(line, Secret) else line for line in declared.inputs["envs"]]
    return dict(line.split("=", 1) for line in lines)


# One agent with a model of its own and credentials in files


def test_an_agent_is_exactly_these_resources(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN)
    assert declared.children("Agent dev-qwen") == HELD
    assert sorted(declared.keys() - HELD) == [
        "Agent dev-qwen",
        "Crew demo",
        "Network network",
        "docker docker",
    ]


def test_an_agents_resources_at_the_forge_have_exactly_these_inputs(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN)
    forge, user = "https://forge.example.org", "BotUser dev-qwen id"
    inputs = {label: one.inputs for label, one in declared.items()}
    assert inputs["BotUser dev-qwen"] == {
        "forge": forge,
        "user": "Demo.Dev",
        "mark": "muster:live/demo/dev-qwen",
        "full_name": "dev-qwen (agent of demo, by Muster)",
        "email": "demo.dev@muster.invalid",
        "adopt": False,
    }
    assert inputs["BotPassword dev-qwen"] == {
        "forge": forge,
        "user": user,
        "mark": "muster:live/demo/dev-qwen",
    }
    assert inputs["AccessToken dev-qwen"] == {
        "forge": forge,
        "user": user,
        "password": Secret("the-password"),
        "scopes": ["read:user", "write:issue", "write:repository"],
        "repositories": ["acme/demo"],
    }
    assert inputs["RepositoryAccess dev-qwen"] == {
        "forge": forge,
        "repository": "acme/demo",
        "user": user,
        "mark": "muster:live/demo/dev-qwen",
        "permission": "write",
    }
    assert inputs["TokenSweep dev-qwen"] == {
        "forge": forge,
        "user": user,
        "mark": "muster:live/demo/dev-qwen",
        "password": Secret("the-password"),
        "kept": 7,
    }
    assert inputs["ContainerClaim dev-qwen"] == {
        "container": "demo-agents-dev-qwen",
        "helper": "demo-credentials-dev-qwen",
        "volume": "demo-agents-dev-qwen-credentials",
        "labels": LABELS,
        "network": "muster-demo",
        "docker_host": "unix:///srv/docker.sock",
        "docker_engine": "the-engine",
    }


def test_an_agent_gets_its_permission_in_each_of_its_repositories(tmp_path: Path) -> None:
    fields = (
        'roles = ["review"]\npermission = "read"\nrepositories = ["acme/handbook", "Acme/Demo"]'
    )
    declared = crew(tmp_path, f"{QWEN}{fields}\n")
    access = {label: one.inputs for label, one in declared.items() if label.startswith("Repo")}
    assert {label: (one["repository"], one["permission"]) for label, one in access.items()} == {
        "RepositoryAccess dev-qwen": ("acme/demo", "read"),
        "RepositoryAccess dev-qwen-acme/handbook": ("acme/handbook", "read"),
    }
    token = declared["AccessToken dev-qwen"]
    assert token.inputs["repositories"] == ["acme/demo", "acme/handbook"]
    assert token.depends_on >= access.keys()
    assert environment(declared["Container dev-qwen"])["FORGE_PERMISSION"] == "read"


def test_bot_users_get_addresses_of_the_rosters_domain(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN, 'email_domain = "Bots.example.org"')
    email = "demo.dev@bots.example.org"
    assert declared["BotUser dev-qwen"].inputs["email"] == email
    assert environment(declared["Container dev-qwen"])["FORGE_BOT_EMAIL"] == email


def test_an_agents_container_has_exactly_these_inputs(tmp_path: Path) -> None:
    assert crew(tmp_path, QWEN)["Container dev-qwen"].inputs == CONTAINER


def test_an_agents_volumes_have_exactly_these_inputs(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN)
    for kind in ("data", "repos"):
        assert declared[f"Volume dev-qwen-{kind}"].inputs == {
            "name": f"demo-agents-dev-qwen-{kind}",
            "labels": [{"label": label, "value": LABELS[label]} for label in sorted(LABELS)],
        }


def test_the_volume_that_all_crews_share_is_nobodys_to_declare_or_remove(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN, "keep_volumes = false")
    named = [label for label, one in declared.items() if "muster-endpoints" in repr(one.inputs)]
    assert named == ["Container dev-qwen"]


def test_credentials_are_secret_files_in_a_volume_of_their_own(tmp_path: Path) -> None:
    assert crew(tmp_path, QWEN)["CredentialFiles dev-qwen"].inputs == {
        "volume": "demo-agents-dev-qwen-credentials",
        "path": "/run/secrets/muster",
        "files": Secret({"forge_token": "the-token", "anthropic_api_key": "sk-no-key-required"}),
        "owner": 1000,
        "helper": "demo-credentials-dev-qwen",
        "labels": LABELS,
        "docker_host": "unix:///srv/docker.sock",
        "docker_engine": "the-engine",
    }


def test_an_agents_resources_have_exactly_these_options(tmp_path: Path) -> None:
    """What cannot exist twice is deleted first; what must follow the credentials is triggered."""
    declared = crew(tmp_path, QWEN)
    assert {label: declared[label].options for label in HELD} == {
        "AccessToken dev-qwen": {
            "trigger": [1, "BotPassword dev-qwen id"],
            "secret_outputs": ["token"],
        },
        "BotPassword dev-qwen": {"trigger": 1, "secret_outputs": ["password"]},
        "BotUser dev-qwen": {"delete_before_replace": True},
        "Container dev-qwen": {
            "delete_before_replace": True,
            "trigger": ["sha256:agent", "the-delivery"],
            "hooks": ["clear-leftover-container", "limit-processes"],
            "provider": "docker docker id",
        },
        "ContainerClaim dev-qwen": {},
        "CredentialFiles dev-qwen": {},
        "RepositoryAccess dev-qwen": {"delete_before_replace": True},
        "TokenSweep dev-qwen": {},
        "Volume dev-qwen-data": {"retain_on_delete": True, "provider": "docker docker id"},
        "Volume dev-qwen-repos": {"retain_on_delete": True, "provider": "docker docker id"},
    }


def test_no_trigger_is_a_secret_for_a_secret_one_never_fires(tmp_path: Path) -> None:
    triggers = [one.options.get("trigger") for one in crew(tmp_path, QWEN).values()]
    assert "Secret(" not in repr(triggers)


def test_the_old_token_is_swept_after_the_container_was_swapped(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN)
    assert "Container dev-qwen" in declared["TokenSweep dev-qwen"].depends_on
    assert {"ContainerClaim dev-qwen", "CredentialFiles dev-qwen"} <= (
        declared["Container dev-qwen"].depends_on
    )
    assert "RepositoryAccess dev-qwen" in declared["ContainerClaim dev-qwen"].depends_on
    assert "AccessToken dev-qwen" in declared["CredentialFiles dev-qwen"].depends_on


def test_what_a_killed_engine_leaves_of_an_agent_is_claimed_before_it_can(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN)
    assert "ContainerClaim dev-qwen" in declared["CredentialFiles dev-qwen"].depends_on
    assert {"Volume dev-qwen-data", "Volume dev-qwen-repos"} <= (
        declared["ContainerClaim dev-qwen"].depends_on
    )


# Variants


def test_another_rotation_is_another_trigger_and_nothing_else(tmp_path: Path) -> None:
    before, after = crew(tmp_path, QWEN), crew(tmp_path, f"{QWEN}rotation = 2\n")
    assert {label for label in before if before[label] != after[label]} == {
        "AccessToken dev-qwen",
        "BotPassword dev-qwen",
    }
    assert after["BotPassword dev-qwen"].options["trigger"] == 2
    assert after["AccessToken dev-qwen"].options["trigger"] == [2, "BotPassword dev-qwen id"]
    assert {label: one.inputs for label, one in before.items()} == {
        label: one.inputs for label, one in after.items()
    }


def test_an_age_limit_is_an_input_of_both_credentials(tmp_path: Path) -> None:
    declared = crew(tmp_path, f"{QWEN}max_credential_age_days = 90\n")
    assert declared["BotPassword dev-qwen"].inputs["max_age_days"] == 90
    assert declared["AccessToken dev-qwen"].inputs["max_age_days"] == 90


def test_credentials_in_the_environment_are_secrets_among_sorted_variables(tmp_path: Path) -> None:
    declared = crew(tmp_path, f'{QWEN}credentials = "env"\n')
    credentials = {
        "ANTHROPIC_API_KEY": "sk-no-key-required",
        "FORGE_PASS": "the-password",
        "FORGE_TOKEN": "the-token",
    }
    lines = [f"{name}={value}" for name, value in sorted({**ENVIRONMENT, **credentials}.items())]
    secret = {"FORGE_PASS=the-password", "FORGE_TOKEN=the-token"}
    assert declared["Container dev-qwen"].inputs == {
        **CONTAINER,
        "envs": [Secret(line) if line in secret else line for line in lines],
        "volumes": CONTAINER["volumes"][:3],  # type: ignore[index]
    }
    assert declared["Container dev-qwen"].options["trigger"] == ["sha256:agent"]
    assert declared.children("Agent dev-qwen") == sorted({*HELD} - {"CredentialFiles dev-qwen"})


def test_a_disabled_agent_is_hired_without_a_container(tmp_path: Path) -> None:
    declared = crew(tmp_path, f"{QWEN}enabled = false\n")
    assert declared.children("Agent dev-qwen") == [
        "AccessToken dev-qwen",
        "BotPassword dev-qwen",
        "BotUser dev-qwen",
        "RepositoryAccess dev-qwen",
        "TokenSweep dev-qwen",
        "Volume dev-qwen-data",
        "Volume dev-qwen-repos",
    ]
    assert "AccessToken dev-qwen" in declared["TokenSweep dev-qwen"].depends_on


def test_an_anthropic_agent_gets_the_key_as_a_secret_and_no_endpoint(tmp_path: Path) -> None:
    declared = crew(tmp_path, PLANNER, keys=Keys(KEY))
    files = declared["CredentialFiles planner"].inputs["files"]
    assert files == Secret({"forge_token": "the-token", "anthropic_api_key": KEY})
    seen = environment(declared["Container planner"])
    assert not seen.keys() & {
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_ATTRIBUTION_HEADER",
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS",
        "CLAUDE_MODEL",
    }


def test_an_agent_with_an_endpoint_never_gets_the_real_key(tmp_path: Path) -> None:
    for credentials in ("file", "env"):
        agent = f'{QWEN}credentials = "{credentials}"\n'
        assert KEY not in repr(crew(tmp_path, agent, keys=Keys(KEY)))


@pytest.mark.parametrize("of", ["dev-qwen", "http://10.0.0.5:8081"])
def test_an_own_endpoints_real_key_is_delivered_as_a_secret(tmp_path: Path, of: str) -> None:
    declared = crew(tmp_path, QWEN, keys=Keys(None, {of: KEY}))
    files = declared["CredentialFiles dev-qwen"].inputs["files"]
    assert files == Secret({"forge_token": "the-token", "anthropic_api_key": KEY})
    assert KEY not in repr(declared["Container dev-qwen"].inputs)


def test_a_subscriptions_token_has_its_own_variable(tmp_path: Path) -> None:
    token = "sk-ant-oat01-made-up"
    planner = PLANNER + 'credentials = "env"\n'
    seen = environment(crew(tmp_path, planner, keys=Keys(token))["Container planner"])
    assert "CLAUDE_CODE_OAUTH_TOKEN" in seen
    assert "ANTHROPIC_API_KEY" not in seen


def test_kept_volumes_are_retained_and_others_deleted(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN, "keep_volumes = false")
    assert [label for label, one in declared.items() if "retain_on_delete" in one.options] == []


def test_limits_reach_the_container_in_dockers_units(tmp_path: Path) -> None:
    found = crew(tmp_path, f'{QWEN}memory = "1536m"\ncpus = 0.5\npids = 64\n')
    inputs = found["Container dev-qwen"].inputs
    assert (inputs["memory"], inputs["memorySwap"], inputs["cpus"]) == (1536, 1536, "0.5")
    assert {"label": "muster.pids", "value": "64"} in inputs["labels"]


@pytest.mark.parametrize(
    ("lacking", "limits"),
    [
        ({"limits_swap": False}, {"memory": 2048, "memorySwap": -1, "cpus": "2.0"}),
        (
            {"limits_swap": False, "limits_memory": False},
            {"memorySwap": -1, "cpus": "2.0"},
        ),
        ({"limits_cpus": False}, {"memory": 2048, "memorySwap": 2048}),
    ],
)
def test_a_limit_is_what_the_engine_reports_of_it(
    tmp_path: Path, lacking: dict[str, bool], limits: dict[str, object]
) -> None:
    """Another would be a change for ever: no update makes it so."""
    engine = DockerEngine("the-engine", **lacking)
    inputs = crew(tmp_path, QWEN, docker_engine=engine)["Container dev-qwen"].inputs
    shown = {key: inputs[key] for key in ("memory", "memorySwap", "cpus") if key in inputs}
    assert shown == limits


def test_an_engine_that_cannot_limit_processes_is_not_asked_to(tmp_path: Path) -> None:
    """A rootless engine without control groups answers 500, and the update would fail."""
    engine = DockerEngine("the-engine", limits_pids=False)
    declared = crew(tmp_path, QWEN, docker_engine=engine)
    assert declared["Container dev-qwen"].options["hooks"] == ["clear-leftover-container"]


def test_a_root_file_system_that_can_be_written_to_is_the_containers_alone(
    tmp_path: Path,
) -> None:
    found = crew(tmp_path, f"{QWEN}read_only = false\n")
    assert found["Container dev-qwen"].inputs == {**CONTAINER, "readOnly": False}


def test_another_limit_of_processes_changes_the_container_alone(tmp_path: Path) -> None:
    """Docker replaces a volume whose labels change, and with it the agent's work."""
    before, after = crew(tmp_path, QWEN), crew(tmp_path, f"{QWEN}pids = 64\n")
    changed = {label for label in before if before[label] != after[label]}
    assert changed == {"Container dev-qwen"}


def test_every_field_for_the_agent_reaches_its_environment(tmp_path: Path) -> None:
    more = (
        'roles = ["review", "night-watch"]\ncompact_pct = 85\npoll_interval = 5\n'
        'formula = "formulas/dev.md"\nturns = 5\n'
    )
    assert environment(crew(tmp_path, QWEN + more)["Container dev-qwen"]) == {
        **ENVIRONMENT,
        **FILES,
        "AGENT_ROLES": "review,night-watch",
        "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": "85",
        "POLL_INTERVAL": "5",
        "AGENT_FORMULA": "formulas/dev.md",
        "MUSTER_WORK": ENVIRONMENT["MUSTER_WORK"].replace('"turns":60', '"turns":5'),
    }


def test_containers_reach_the_forge_by_its_inner_address(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN, 'forge_internal_url = "http://forgejo:3000"')
    assert environment(declared["Container dev-qwen"])["FORGE_URL"] == "http://forgejo:3000"
    assert declared["BotUser dev-qwen"].inputs["forge"] == "https://forge.example.org"


def test_no_names_of_agents_make_two_resources_one(tmp_path: Path) -> None:
    """One agent's name may be another's with the word for one of its parts."""
    names = ["dev", "dev-credentials", "dev-data", "dev-repos", "credentials-dev", "crew"]
    agents = "".join(
        f'[agents.{name}]\nbase_url = "http://10.0.0.5:8081"\nmodel = "qwen"\n' for name in names
    )
    declared = crew(tmp_path, agents)
    assert len(declared) == 3 + len(names) * (1 + len(HELD))
    containers = [one.inputs["name"] for label, one in declared.items() if "Container " in label]
    assert len(set(containers)) == len(containers)


def test_what_a_stack_says_of_an_agent_is_no_secret(tmp_path: Path) -> None:
    found = project(tmp_path, f"{QWEN}enabled = true\n{PLANNER}enabled = false\n")
    said: list[dict[str, Any]] = []
    secret: list[bool] = []

    def program() -> pulumi.Output[Any]:
        agents = Crew(found).agents.values()
        summaries = pulumi.Output.all(*(agent.summary() for agent in agents))
        is_secret: pulumi.Output[bool] = pulumi.Output.from_input(secrecy(summaries))
        return pulumi.Output.all(summaries.apply(said.extend), is_secret.apply(secret.append))

    declare(program)
    issued = {"token_last_eight": "he-token", "issued_at": "2026-01-02T03:04:06+00:00"}
    assert said == [
        {
            "bot_user": "Demo.Dev",
            "container": "demo-agents-dev-qwen",
            "roles": ["dev"],
            "endpoint": "http://10.0.0.5:8081",
            "rotation": 1,
            **issued,
        },
        {
            "bot_user": "planner",
            "container": None,
            "roles": ["dev"],
            "endpoint": "anthropic",
            "rotation": 1,
            **issued,
        },
    ]
    assert secret == [False]
