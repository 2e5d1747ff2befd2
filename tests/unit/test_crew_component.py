"""What a project's crew declares beside its agents."""

from pathlib import Path

import pytest
from declared import Secret, crew

from muster import compose
from muster.docker_host import DockerHost
from muster.forge import Administrator
from muster.keys import Keys

QWEN = '[agents.dev-qwen]\nbase_url = "http://10.0.0.5:8081"\nmodel = "qwen"\n'
REVIEW = QWEN.replace("dev-qwen", "review-qwen")
PLANNER = "[agents.planner]\n"
KEY = "sk-ant-a-real-key"

SHARED = ["Agent dev-qwen", "Network network"]
LABELS = [
    {"label": "muster.project", "value": "demo"},
    {"label": "muster.stack", "value": "live"},
]


@pytest.fixture(autouse=True)
def _compose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have compose installed, and every service's hash told by its name."""

    def hashes(text: str) -> dict[str, str]:
        names = [line.strip(" :") for line in text.splitlines() if line.startswith("  agents-")]
        return {name: f"hash of {name}" for name in names}

    monkeypatch.setattr(compose, "config_hashes", hashes)


def without_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "config_hashes", lambda _text: None)


def test_two_agents_are_twice_one_and_nothing_more(tmp_path: Path) -> None:
    one, two = crew(tmp_path, QWEN), crew(tmp_path, QWEN + REVIEW)
    assert {label: two[label] for label in one if label != "ComposeFile compose"} == {
        label: one[label] for label in one if label != "ComposeFile compose"
    }
    renamed = {label.replace("dev-qwen", "review-qwen") for label in one if "dev-qwen" in label}
    assert two.keys() - one.keys() == renamed


def test_an_empty_crew_is_a_network_and_a_compose_file(tmp_path: Path) -> None:
    assert sorted(crew(tmp_path, "")) == [
        "ComposeFile compose",
        "Crew demo",
        "Network network",
        "docker docker",
    ]


def test_no_order_of_the_roster_changes_an_agent(tmp_path: Path) -> None:
    assert crew(tmp_path, QWEN + REVIEW) == crew(tmp_path, REVIEW + QWEN)


# The network


def test_a_project_without_a_network_gets_its_own(tmp_path: Path) -> None:
    network = crew(tmp_path, QWEN)["Network network"]
    assert network.inputs == {"name": "muster-demo", "labels": LABELS}
    assert network.options == {
        "delete_before_replace": True,
        "hooks": ["clear-leftover-network", "explain-address-pools"],
        "provider": "docker docker id",
    }


def test_a_network_gets_the_options_that_the_roster_names(tmp_path: Path) -> None:
    options = 'network_options = { "com.docker.network.driver.mtu" = 1400 }'
    network = crew(tmp_path, QWEN, options)["Network network"]
    assert network.inputs["options"] == {"com.docker.network.driver.mtu": "1400"}


def test_a_network_that_exists_is_joined_and_not_declared(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN, 'network = "factory_net"')
    assert "Network network" not in declared
    assert declared["Container dev-qwen"].inputs["networksAdvanced"] == [
        {"name": "factory_net", "aliases": ["agents-dev-qwen"]}
    ]
    assert "name: factory_net" in declared["ComposeFile compose"].inputs["text"]


# The Docker engine

ENGINE = "tcp://10.0.0.5:2376"
REMOTE = DockerHost(ENGINE, "DOCKER_HOST", Path("/certs"))


def test_everything_of_a_crew_is_on_one_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not set for pulumi-docker, it reads from these variables."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "another")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    muster = f'local_forge = true\ndocker_host = "{ENGINE}"'
    declared = crew(tmp_path, QWEN, muster, docker_host=REMOTE)
    assert declared["docker docker"].inputs == {
        "host": ENGINE,
        "certPath": "/certs",
        "context": "",
        "caMaterial": "",
        "certMaterial": "",
        "keyMaterial": "",
    }
    docker = [
        one.options.get("provider")
        for label, one in declared.items()
        if label.startswith(("Container ", "Network", "Volume"))
    ]
    assert docker == 6 * ["docker docker id"]
    for label in ("CredentialFiles dev-qwen", "ContainerClaim dev-qwen"):
        inputs = declared[label].inputs
        assert (inputs["docker_host"], inputs["docker_certificates"]) == (ENGINE, "/certs")
        assert inputs["docker_engine"] == "the-engine"
    environment = declared["Command administrator"].inputs["environment"]
    assert environment["DOCKER_HOST"] == ENGINE


def test_an_engine_on_a_socket_uses_no_certificates(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN)
    inputs = declared["docker docker"].inputs
    assert (inputs["host"], inputs["certPath"]) == ("unix:///srv/docker.sock", "")
    assert "docker_certificates" not in declared["ContainerClaim dev-qwen"].inputs


# The compose view


def test_an_agents_container_carries_the_labels_of_the_compose_view(tmp_path: Path) -> None:
    labels = crew(tmp_path, QWEN)["Container dev-qwen"].inputs["labels"]
    assert {entry["label"]: entry["value"] for entry in labels} == {
        "com.docker.compose.config-hash": "hash of agents-dev-qwen",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.image": "sha256:agent",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project": "muster-demo",
        "com.docker.compose.project.config_files": "stacks/live.compose.yaml",
        "com.docker.compose.project.working_dir": "stacks",
        "com.docker.compose.service": "agents-dev-qwen",
        "muster.agent": "dev-qwen",
        "muster.pids": "512",
        "muster.project": "demo",
        "muster.stack": "live",
    }
    assert [entry["label"] for entry in labels] == sorted(entry["label"] for entry in labels)


def test_the_compose_file_describes_the_containers_and_holds_no_secret(tmp_path: Path) -> None:
    declared = crew(tmp_path, f'{QWEN}credentials = "env"\n{PLANNER}', keys=Keys(KEY))
    file = declared["ComposeFile compose"]
    assert file.inputs.keys() == {"path", "text", "digest"}
    assert file.inputs["path"] == "stacks/live.compose.yaml"
    text = file.inputs["text"]
    for line in declared["Container planner"].inputs["envs"]:
        assert line in text
    for secret in (KEY, "the-token", "the-password"):
        assert secret not in text


def test_a_disabled_agent_is_no_service_of_the_compose_file(tmp_path: Path) -> None:
    declared = crew(tmp_path, f"{QWEN}enabled = false\n{REVIEW}")
    text = declared["ComposeFile compose"].inputs["text"]
    assert "agents-review-qwen" in text
    assert "dev-qwen" not in text


def test_without_compose_there_is_no_view_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_compose(monkeypatch)
    caplog.set_level("INFO")
    declared = crew(tmp_path, QWEN)
    assert "ComposeFile compose" not in declared
    assert "com.docker.compose" not in repr(declared)
    assert "docker compose is not installed" in caplog.text


# The .env file


def test_without_an_env_file_no_key_is_written(tmp_path: Path) -> None:
    assert not [label for label in crew(tmp_path, QWEN) if label.startswith("EnvFile")]


def test_an_env_file_keeps_each_agents_keys_and_the_shared_ones(tmp_path: Path) -> None:
    agent = f'{QWEN}forge_user = "demo-dev"\n'
    declared = crew(tmp_path, agent + REVIEW, 'env_file = ".env"')
    files = {label: one for label, one in declared.items() if label.startswith("EnvFile")}
    assert {label: one.inputs for label, one in files.items()} == {
        f"EnvFile {name}": {"path": ".env", "values": Secret(values)}
        for name, values in {
            "dev-qwen": {
                "FORGE_TOKEN_DEMO_DEV": "the-token",
                "FORGE_PASS_DEMO_DEV": "the-password",
            },
            "review-qwen": {
                "FORGE_TOKEN_REVIEW_QWEN": "the-token",
                "FORGE_PASS_REVIEW_QWEN": "the-password",
            },
            "crew": {"ANTHROPIC_BASE_URL": "http://10.0.0.5:8081"},
        }.items()
    }


def test_the_old_token_is_swept_after_the_env_file_has_the_new_one(tmp_path: Path) -> None:
    declared = crew(tmp_path, f"{QWEN}enabled = false\n", 'env_file = ".env"')
    assert "EnvFile dev-qwen" in declared["TokenSweep dev-qwen"].depends_on


def test_an_endpoint_that_the_crew_does_not_share_is_nobodys_in_the_env_file(
    tmp_path: Path,
) -> None:
    declared = crew(tmp_path, QWEN + REVIEW.replace("8081", "8082"), 'env_file = ".env"')
    assert "EnvFile crew" not in declared


def test_a_real_key_never_stands_beside_an_endpoint_in_the_env_file(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN + PLANNER, 'env_file = ".env"', keys=Keys(KEY))
    assert declared["EnvFile crew"].inputs["values"] == Secret({"ANTHROPIC_API_KEY": KEY})


def test_a_key_that_no_agent_uses_stays_out_of_the_env_file(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN, 'env_file = ".env"', keys=Keys(KEY))
    assert KEY not in repr(declared)


# The local forge

LOCAL = "local_forge = true\n"
PORT = 3001
COMMAND_ENVIRONMENT = {
    "MUSTER_FORGE_URL": "http://127.0.0.1:3001",
    "FORGE_ADMIN_USER": "root",
    "FORGE_ADMIN_PASS": Secret("Admin-Pass-1"),
}


def test_a_local_forge_is_exactly_these_resources(tmp_path: Path) -> None:
    declared = crew(tmp_path, "", LOCAL, forge_port=PORT)
    assert declared.children("LocalForge demo") == [
        "Command administrator",
        "Command repository",
        "Container forge",
        "Volume forge",
    ]
    assert declared.children("Crew demo") == [
        "ComposeFile compose",
        "LocalForge demo",
        "Network network",
    ]


def test_a_local_forges_container_has_exactly_these_inputs(tmp_path: Path) -> None:
    declared = crew(tmp_path, "", LOCAL, forge_port=PORT)
    container = declared["Container forge"]
    assert container.inputs == {
        "name": "demo-forge",
        "image": "muster-forge",
        "envs": [
            "GITEA_APP_INI=/var/lib/gitea/custom/conf/app.ini",
            "GITEA__cron_0x2E_update_checker__ENABLED=false",
            "GITEA__database__DB_TYPE=sqlite3",
            "GITEA__log__LEVEL=Warn",
            "GITEA__mailer__ENABLED=false",
            "GITEA__security__INSTALL_LOCK=true",
            "GITEA__server__DISABLE_SSH=true",
            "GITEA__server__OFFLINE_MODE=true",
            "GITEA__server__ROOT_URL=http://127.0.0.1:3001/",
            "GITEA__service__DISABLE_REGISTRATION=true",
        ],
        "ports": [{"internal": 3000, "external": 3001, "ip": "127.0.0.1"}],
        "volumes": [{"volumeName": "demo-forge-data", "containerPath": "/var/lib/gitea"}],
        "networksAdvanced": [{"name": "muster-demo"}],
        "labels": LABELS,
        "restart": "unless-stopped",
        "logDriver": "json-file",
        "logOpts": {"max-size": "10m", "max-file": "3"},
        "securityOpts": ["no-new-privileges:true"],
        "healthcheck": {
            "tests": ["CMD", "curl", "-fsS", "http://127.0.0.1:3000/api/v1/version"],
            "interval": "2s",
            "timeout": "5s",
            "startPeriod": "1m0s",
            "retries": 5,
        },
        "wait": True,
        "waitTimeout": 120,
    }
    assert container.options == {
        "delete_before_replace": True,
        "trigger": ["sha256:forge"],
        "hooks": ["clear-leftover-container"],
        "provider": "docker docker id",
    }
    assert declared["Volume forge"].inputs == {"name": "demo-forge-data", "labels": LABELS}


def test_a_local_forges_data_is_kept_as_the_agents_volumes_are(tmp_path: Path) -> None:
    kept = crew(tmp_path, "", LOCAL)["Volume forge"]
    removed = crew(tmp_path, "", f"{LOCAL}keep_volumes = false")["Volume forge"]
    docker = {"provider": "docker docker id"}
    assert (kept.options, removed.options) == ({"retain_on_delete": True, **docker}, docker)


def test_a_local_forges_administrator_and_repository_are_made_by_commands(tmp_path: Path) -> None:
    """The password stands in the environment as a secret, never in the command."""
    declared = crew(tmp_path, "", LOCAL, forge_port=PORT)
    assert declared["Command administrator"].inputs == {
        "create": "python -m muster.local_forge administrator",
        "environment": {**COMMAND_ENVIRONMENT, "MUSTER_FORGE_CONTAINER": "demo-forge"},
        "triggers": ["Container forge id"],
    }
    assert declared["Command repository"].inputs == {
        "create": "python -m muster.local_forge repository",
        "environment": {
            **COMMAND_ENVIRONMENT,
            "MUSTER_FORGE_REPOSITORY": "acme/demo",
            "MUSTER_FORGE_BRANCH": "main",
        },
        "triggers": ["Container forge id", "acme/demo"],
    }


def test_a_crew_is_hired_only_after_its_local_forge_is_ready(tmp_path: Path) -> None:
    declared = crew(tmp_path, QWEN, LOCAL, forge_port=PORT)
    assert "Container forge" in declared["Command administrator"].depends_on
    assert "Command administrator" in declared["Command repository"].depends_on
    assert "Command repository" in declared["BotUser dev-qwen"].depends_on


def test_a_crew_with_a_local_forge_speaks_to_it(tmp_path: Path) -> None:
    """By a name that no other project's forge answers to on a network that both join."""
    declared = crew(tmp_path, QWEN, LOCAL, forge_port=PORT)
    assert declared["BotUser dev-qwen"].inputs["forge"] == "http://127.0.0.1:3001"
    assert "FORGE_URL=http://demo-forge:3000" in declared["Container dev-qwen"].inputs["envs"]
    assert declared["Container forge"].inputs["name"] == "demo-forge"


def test_no_secret_is_declared_as_a_plain_input(tmp_path: Path) -> None:
    declared = crew(
        tmp_path,
        f'{QWEN}credentials = "env"\n{PLANNER}',
        f'{LOCAL}env_file = ".env"',
        keys=Keys(KEY),
        administrator=Administrator("root", "Admin-Pass-1", "the-pat"),
    )
    plain = repr([_without_secrets(one.inputs) for one in declared.values()])
    for secret in (KEY, "the-token", "the-password", "Admin-Pass-1", "the-pat"):
        assert secret not in plain


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return None if isinstance(value, Secret) else value
