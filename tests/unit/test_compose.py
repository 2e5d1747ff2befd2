"""The compose file's text, and what compose itself makes of it where it is installed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path, PurePosixPath

import pytest
import yaml

from muster import compose
from muster.compose import Mount, Service

QWEN = Service(
    name="agents-dev-qwen",
    container="demo-agents-dev-qwen",
    image="muster-agent",
    environment={"POLL_INTERVAL": "60", "CLAUDE_MODEL": "1e3", "AGENT_ROLES": "dev,review"},
    mounts=[
        Mount("demo-agents-dev-qwen-data", "/home/agent/data"),
        Mount("demo-agents-dev-qwen-credentials", "/run/secrets/muster", read_only=True),
    ],
    labels={"muster.project": "demo", "muster.agent": "dev-qwen"},
    memory=2147483648,
    cpus=2.0,
    pids=512,
    read_only=True,
)
PLANNER = dataclasses.replace(QWEN, name="agents-planner", container="demo-agents-planner")

QWEN_ALONE = """\
# The crew of demo, for docker compose. Muster writes this file.
name: muster-demo
services:
  agents-dev-qwen:
    container_name: demo-agents-dev-qwen
    image: muster-agent
    environment:
    - AGENT_ROLES=dev,review
    - CLAUDE_MODEL=1e3
    - POLL_INTERVAL=60
    labels:
    - muster.agent=dev-qwen
    - muster.project=demo
    networks:
    - crew
    extra_hosts:
    - host.docker.internal=host-gateway
    volumes:
    - type: volume
      source: demo-agents-dev-qwen-data
      target: /home/agent/data
      read_only: false
    - type: volume
      source: demo-agents-dev-qwen-credentials
      target: /run/secrets/muster
      read_only: true
    restart: unless-stopped
    mem_limit: 2147483648
    memswap_limit: 2147483648
    cpus: 2.0
    pids_limit: 512
    read_only: true
    tmpfs:
    - /tmp:exec
    security_opt:
    - no-new-privileges:true
    cap_drop:
    - ALL
    logging:
      driver: json-file
      options:
        max-file: '3'
        max-size: 10m
networks:
  crew:
    external: true
    name: muster-demo
volumes:
  demo-agents-dev-qwen-credentials:
    external: true
    name: demo-agents-dev-qwen-credentials
  demo-agents-dev-qwen-data:
    external: true
    name: demo-agents-dev-qwen-data
"""


def document(*services: Service) -> str:
    return compose.document("demo", "muster-demo", services)


@pytest.fixture
def command() -> tuple[str, ...]:
    """The compose that a user would run."""
    found = compose.command()
    if found is None:
        pytest.skip("compose is not installed: `make setup` brings it")
    return found


def hashes(text: str) -> dict[str, str]:
    found = compose.config_hashes(text)
    assert found is not None
    return found


def test_the_file_describes_the_container_whole() -> None:
    assert document(QWEN) == QWEN_ALONE


def test_a_volume_that_agents_share_is_named_once() -> None:
    shared = Mount("muster-endpoints", "/run/muster/endpoints")
    one = dataclasses.replace(QWEN, mounts=[shared])
    two = dataclasses.replace(PLANNER, mounts=[shared])
    assert yaml.safe_load(document(one, two))["volumes"] == {
        "muster-endpoints": {"external": True, "name": "muster-endpoints"}
    }
    assert document(one, two).count("  muster-endpoints:\n") == 1


def test_the_same_crew_gives_the_same_text() -> None:
    assert document(QWEN, PLANNER) == document(PLANNER, QWEN)


def test_a_crew_of_nobody_is_a_valid_file(command: tuple[str, ...]) -> None:
    assert command
    assert hashes(document()) == {}


def test_compose_reads_every_value_as_it_was_written(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    values = {
        "DOLLARS": "$HOME ${HOME} $$",
        "NUMBER": "1e3",
        "YES": "yes",
        "TIME": "1:30",
        "QUOTES": "'\"\\",
        "HASH": "a # b",
        "COLON": "a: b",
        "LINES": "one\ntwo",
        "SPACES": " both ends ",
        "LETTERS": "ü ß 漢",
        "EMPTY": "",
        "LONG": "word " * 100,
    }
    path = tmp_path / "crew.yaml"
    compose.write(path, document(dataclasses.replace(QWEN, environment=values)))
    done = subprocess.run(
        [*command, "-f", str(path), "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    read = json.loads(done.stdout)["services"]["agents-dev-qwen"]["environment"]
    # What compose prints is a compose file again, so it doubles each dollar.
    assert {name: value.replace("$$", "$") for name, value in read.items()} == values
    assert done.stderr == ""


def test_a_service_keeps_its_hash_when_others_are_hired_and_fired(
    command: tuple[str, ...],
) -> None:
    assert command
    alone, together = hashes(document(QWEN)), hashes(document(QWEN, PLANNER))
    assert alone["agents-dev-qwen"] == together["agents-dev-qwen"]
    assert set(together) == {"agents-dev-qwen", "agents-planner"}
    assert together["agents-dev-qwen"] != together["agents-planner"]


def test_a_service_that_changes_changes_its_hash(command: tuple[str, ...]) -> None:
    assert command
    environment = {**QWEN.environment, "POLL_INTERVAL": "61"}
    for changed in (
        dataclasses.replace(QWEN, environment=environment),
        dataclasses.replace(QWEN, read_only=False),
    ):
        assert hashes(document(QWEN)) != hashes(document(changed))


def test_the_hash_is_the_one_that_compose_prints_for_the_file(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "crew.yaml"
    compose.write(path, document(QWEN))
    done = subprocess.run(
        [*command, "-f", path.name, "config", "--hash", "agents-dev-qwen"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["agents-dev-qwen", hashes(document(QWEN))["agents-dev-qwen"]]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COMPOSE_PROJECT_NAME", "other"),
        ("COMPOSE_PROFILES", "some"),
        ("COMPOSE_FILE", "/nowhere.yaml"),
        ("COMPOSE_ENV_FILES", "/nowhere.env"),
        ("DOCKER_DEFAULT_PLATFORM", "linux/arm64"),
        ("DOCKER_HOST", "tcp://127.0.0.1:1"),
        ("POLL_INTERVAL", "1"),
    ],
)
def test_the_hash_does_not_depend_on_the_users_environment(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    assert command
    before = hashes(document(QWEN))
    monkeypatch.setenv(variable, value)
    assert hashes(document(QWEN)) == before


def test_the_hash_does_not_depend_on_where_muster_runs(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command
    before = hashes(document(QWEN))
    (tmp_path / ".env").write_text("COMPOSE_PROJECT_NAME=other\nCOMPOSE_PROFILES=some\n")
    monkeypatch.chdir(tmp_path)
    assert hashes(document(QWEN)) == before


def test_what_is_no_compose_file_is_an_error_in_composes_words(command: tuple[str, ...]) -> None:
    assert command
    with pytest.raises(compose.ComposeError, match="services"):
        compose.config_hashes("services: 5\n")


def test_without_compose_there_are_no_hashes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compose.config_hashes(QWEN_ALONE) is None


def test_compose_1_counts_as_no_compose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "docker-compose"
    program.write_text("#!/bin/sh\necho 1.29.2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compose.config_hashes(QWEN_ALONE) is None


def test_the_labels_are_those_of_compose() -> None:
    assert compose.labels(
        "demo",
        "agents-dev-qwen",
        image_id="sha256:1",
        config_hash="2",
        file=PurePosixPath("stacks/demo.compose.yaml"),
    ) == {
        "com.docker.compose.config-hash": "2",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.image": "sha256:1",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project": "muster-demo",
        "com.docker.compose.project.config_files": "stacks/demo.compose.yaml",
        "com.docker.compose.project.working_dir": "stacks",
        "com.docker.compose.service": "agents-dev-qwen",
    }


def test_a_file_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "demo.compose.yaml"
    assert compose.write(path, QWEN_ALONE)
    before = path.stat()
    assert not compose.write(path, QWEN_ALONE)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_differs_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "demo.compose.yaml"
    compose.write(path, document(QWEN))
    assert compose.write(path, document(QWEN, PLANNER))
    assert path.read_text(encoding="utf-8") == document(QWEN, PLANNER)
    assert list(tmp_path.iterdir()) == [path]
