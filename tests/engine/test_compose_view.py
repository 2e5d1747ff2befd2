"""`docker compose` on containers that it did not make."""

from __future__ import annotations

import dataclasses
import json
import secrets
import subprocess
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from crew import work
from patience import COMMAND

from muster import compose
from muster.compose import Mount, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker
    from docker.models.containers import Container
    from workplace import Workplace

IMAGE = "muster-agent"
ENVIRONMENT = {
    "AGENT_NAME": "one",
    "AGENT_ROLES": "dev",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
    "FORGE_REPO": "team/project",
    "FORGE_TOKEN_FILE": "/run/secrets/muster/forge_token",
    "FORGE_URL": "http://127.0.0.1:1",
    "MUSTER_WORK": json.dumps(work()),
    "POLL_INTERVAL": "1",
    "PRIMARY_BRANCH": "main",
    "PROJECT_NAME": "project",
}


class View:
    """Two agents' containers, made by the engine alone, and the compose file for them."""

    def __init__(self, client: docker.DockerClient, folder: Path) -> None:
        self.client = client
        self.project = f"t{secrets.token_hex(4)}"
        self.file = folder / "crew.compose.yaml"
        self.one, self.two = self._service("one"), self._service("two")
        self.services = (self.one, self.two)

    def _service(self, name: str) -> Service:
        container = f"{self.project}-agents-{name}"
        return Service(
            name=f"agents-{name}",
            container=container,
            image=IMAGE,
            environment=ENVIRONMENT,
            mounts=[
                Mount(f"{container}-data", "/home/agent/data"),
                Mount(f"{container}-credentials", "/run/secrets/muster", read_only=True),
            ],
            labels={"muster.project": self.project, "muster.agent": name},
            memory=256 * 1024 * 1024,
            cpus=0.5,
            pids=64,
            read_only=True,
        )

    def make(self) -> None:
        self.client.networks.create(self.project)
        text = compose.document(self.project, self.project, self.services)
        hashes = compose.config_hashes(text)
        assert hashes is not None, "compose is not installed: `make setup` brings it"
        compose.write(self.file, text)
        for service in self.services:
            self._start(service, hashes[service.name])

    def _start(self, service: Service, config_hash: str) -> None:
        labels = compose.labels(
            self.project,
            service.name,
            image_id=str(self.client.images.get(IMAGE).id),
            config_hash=config_hash,
            file=PurePosixPath("stacks/crew.compose.yaml"),
        )
        for mount in service.mounts:
            self.client.volumes.create(mount.volume)
        command = ["docker", "create", "--name", service.container, "--network", self.project]
        command += ["--read-only"] if service.read_only else []
        for path, options in service.tmpfs.items():
            command += ["--tmpfs", f"{path}:{options}"]
        command += ["--network-alias", service.name]
        for name, value in {**service.labels, **labels}.items():
            command += ["--label", f"{name}={value}"]
        for name, value in service.environment.items():
            command += ["--env", f"{name}={value}"]
        for mount in service.mounts:
            mode = "ro" if mount.read_only else "rw"
            command += ["--volume", f"{mount.volume}:{mount.path}:{mode}"]
        subprocess.run([*command, IMAGE], check=True, capture_output=True)
        self.container(service).start()

    def remove(self) -> None:
        """Remove by name whatever was made, however far it came."""
        label = f"muster.project={self.project}"
        for container in self.client.containers.list(all=True, filters={"label": label}):
            container.remove(force=True, v=True)
        for service in self.services:
            for mount in service.mounts:
                for volume in self.client.volumes.list(filters={"name": mount.volume}):
                    volume.remove()
        for network in self.client.networks.list(names=[self.project]):
            network.remove()

    def container(self, service: Service) -> Container:
        return self.client.containers.get(service.container)

    def running(self) -> dict[str, tuple[str, str]]:
        """Return id and time of start of each container that runs, by name."""
        found = self.client.containers.list(filters={"label": f"muster.project={self.project}"})
        return {str(item.name): (str(item.id), item.attrs["State"]["StartedAt"]) for item in found}

    def compose(self, *arguments: str) -> str:
        return run_compose(self.file, *arguments)


def run_compose(file: Path, *arguments: str) -> str:
    """Run compose as a user would; return what it printed on standard output."""
    command = compose.command()
    assert command is not None
    done = subprocess.run(
        [*command, "-f", str(file), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def view(docker_client: docker.DockerClient, tmp_path: Path) -> Iterator[View]:
    made = View(docker_client, tmp_path)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def test_up_leaves_running_what_muster_started(view: View) -> None:
    before = view.running()
    view.compose("up", "-d")
    view.compose("up", "-d", "agents-one")
    assert view.running() == before
    assert len(before) == 2


def test_up_replaces_nothing_when_another_agent_joins_the_file(view: View) -> None:
    before = view.running()
    third = dataclasses.replace(view.one, name="agents-three", container=f"{view.project}-three")
    text = compose.document(view.project, view.project, [*view.services, third])
    compose.write(view.file, text)
    view.compose("up", "-d", "agents-one", "agents-two")
    assert view.running() == before


def test_ps_lists_the_crew_by_service(view: View) -> None:
    lines = view.compose("ps", "--format", "json").splitlines()
    assert {json.loads(line)["Service"]: json.loads(line)["Name"] for line in lines} == {
        service.name: service.container for service in view.services
    }


def test_config_shows_a_service_and_needs_no_environment(view: View) -> None:
    assert "container_name: " + view.one.container in view.compose("config", "agents-one")


def test_logs_shows_what_the_agent_printed(view: View) -> None:
    for line in view.container(view.one).logs(stream=True, follow=True):
        assert json.loads(line)["agent"] == "one"
        break
    assert '"agent": "one"' in view.compose("logs", "--no-log-prefix", "agents-one")


def test_exec_runs_in_the_agents_container(view: View) -> None:
    found = view.compose("exec", "-T", "agents-two", "cat", "/etc/hostname").strip()
    assert str(view.container(view.two).id).startswith(found)


def test_stop_and_start_keep_the_container(view: View) -> None:
    before = view.running()
    view.compose("stop", "agents-one")
    assert set(view.running()) == {view.two.container}
    view.compose("start", "agents-one")
    after = view.running()
    assert after[view.one.container][0] == before[view.one.container][0]
    assert after[view.two.container] == before[view.two.container]


def test_restart_restarts_one_agent_alone(view: View) -> None:
    before = view.running()
    view.compose("restart", "agents-one")
    after = view.running()
    assert after[view.one.container][0] == before[view.one.container][0]
    assert after[view.one.container][1] > before[view.one.container][1]
    assert after[view.two.container] == before[view.two.container]


def test_down_takes_away_one_agents_container_and_no_work(view: View) -> None:
    before = view.running()
    view.compose("down", "--volumes", "agents-one")
    assert view.running() == {view.two.container: before[view.two.container]}
    for mount in view.one.mounts:
        assert view.client.volumes.get(mount.volume).name == mount.volume


def test_down_takes_away_the_crews_containers_and_leaves_the_network(view: View) -> None:
    view.compose("down")
    assert view.running() == {}
    assert [network.name for network in view.client.networks.list(names=[view.project])] == [
        view.project
    ]


def test_up_after_down_brings_back_an_agent_like_the_one_before(view: View) -> None:
    view.compose("down", "agents-one")
    view.compose("up", "-d", "agents-one")
    made = view.container(view.one)
    host = made.attrs["HostConfig"]
    config = made.attrs["Config"]
    assert made.status == "running"
    assert set(config["Env"]) >= {f"{name}={value}" for name, value in ENVIRONMENT.items()}
    assert config["Labels"].items() >= view.one.labels.items()
    assert {(m["Name"], m["Destination"], m["RW"]) for m in made.attrs["Mounts"]} == {
        (mount.volume, mount.path, not mount.read_only) for mount in view.one.mounts
    }
    assert host["Memory"] == host["MemorySwap"] == view.one.memory
    assert host["NanoCpus"] == view.one.cpus * 1_000_000_000
    assert host["PidsLimit"] == view.one.pids
    assert host["ReadonlyRootfs"] == view.one.read_only
    assert host["Tmpfs"] == view.one.tmpfs
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["CapDrop"] == ["ALL"]
    assert host["ExtraHosts"] == ["host.docker.internal:host-gateway"]
    assert host["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-file": "3", "max-size": "10m"},
    }
    assert "agents-one" in made.attrs["NetworkSettings"]["Networks"][view.project]["Aliases"]


def test_compose_leaves_running_what_pulumi_hired(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    before = workplace.container("dev-qwen").id
    file = workplace.folder / "stacks" / f"{workplace.name}.compose.yaml"
    run_compose(file, "up", "-d")
    run_compose(file, "restart", "agents-dev-qwen")
    assert workplace.container("dev-qwen").id == before
    workplace.preview("--refresh", "--expect-no-changes")


def test_pulumi_takes_back_an_agent_that_compose_made_anew(workplace: Workplace) -> None:
    """In a repair, and in a rotation that has seen no drift."""
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    composed = made_anew(workplace)
    workplace.up("--refresh")
    assert workplace.container("dev-qwen").id != composed

    composed = made_anew(workplace)
    workplace.roster(workplace.agent("dev-qwen", rotation=2))
    workplace.up()
    assert workplace.container("dev-qwen").id != composed
    workplace.preview("--refresh", "--expect-no-changes")


def made_anew(workplace: Workplace) -> str:
    """Have compose replace the container by one that works; return its id."""
    file = workplace.folder / "stacks" / f"{workplace.name}.compose.yaml"
    run_compose(file, "down", "agents-dev-qwen")
    run_compose(file, "up", "-d", "agents-dev-qwen")
    container = workplace.container("dev-qwen")
    first = next(iter(container.logs(stream=True, follow=True)))
    assert json.loads(first)["forge"]["status"] == 200
    return str(container.id)
