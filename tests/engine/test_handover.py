"""Containers that give way to others."""

import secrets
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from muster import handover
from muster.handover import HandoverError

# Times are in nanoseconds; what is left out the image's own check says.
FAILING: dict[str, Any] = {
    "test": ["CMD-SHELL", "echo out of order; exit 1"],
    "interval": 10**9,
    "start_period": 10**6,
    "retries": 1,
}
PASSING: dict[str, Any] = {"test": ["CMD", "true"], "interval": 10**9}
NONE: dict[str, Any] = {"test": ["NONE"]}
RESTART: Any = {"Name": "unless-stopped"}


def started(
    client: docker.DockerClient, name: str, check: dict[str, Any], script: str = "sleep infinity"
) -> Container:
    return client.containers.run(
        "muster-agent",
        name=name,
        healthcheck=check,
        entrypoint=["sh", "-c", script],
        init=True,
        detach=True,
        restart_policy=RESTART,
    )


@pytest.fixture
def name(docker_client: docker.DockerClient) -> Iterator[str]:
    """A name for containers, which go afterwards."""
    made = f"t{secrets.token_hex(4)}"
    yield made
    for each in docker_client.containers.list(all=True, filters={"name": made}):
        each.remove(force=True)


def test_containers_are_told_as_they_become_healthy(
    docker_client: docker.DockerClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "STEADY", 2.0)
    for kind, check in (("checked", PASSING), ("unchecked", NONE)):
        started(docker_client, f"{name}-{kind}", check)
    containers = {"a": f"{name}-checked", "b": f"{name}-unchecked"}
    assert set(handover.until_healthy(docker_client, containers, 30)) == {"a", "b"}


def test_an_unhealthy_container_is_told_with_what_its_check_says(
    docker_client: docker.DockerClient, name: str
) -> None:
    started(docker_client, name, FAILING)
    with pytest.raises(HandoverError, match=f"a: .*{name} is not healthy: out of order"):
        list(handover.until_healthy(docker_client, {"a": name}, 30))


def test_a_container_that_crashes_and_restarts_is_not_healthy(
    docker_client: docker.DockerClient, name: str
) -> None:
    """It is "running" at most moments."""
    started(docker_client, name, NONE, "sleep 0.5; exit 1")
    with pytest.raises(HandoverError, match=f"a: .*{name} crashed [0-9]+ times: docker logs"):
        list(handover.until_healthy(docker_client, {"a": name}, 60))


def test_waiting_ends_also_where_nothing_comes(
    docker_client: docker.DockerClient, name: str
) -> None:
    with pytest.raises(HandoverError, match=f"{name} is not healthy: it is gone"):
        list(handover.until_healthy(docker_client, {"a": name}, 0))


def test_a_name_goes_back_unless_a_new_container_has_it(
    docker_client: docker.DockerClient, name: str
) -> None:
    one, two = (started(docker_client, f"{name}-{kind}", NONE) for kind in ("one", "two"))
    with handover.set_aside(docker_client, [one, two]) as free:
        assert free == [f"{name}-one", f"{name}-two"]
        docker_client.containers.create("muster-agent", name=f"{name}-two")
    for each in (one, two):
        each.reload()
    assert one.name == f"{name}-one"
    assert two.name == f"{name}-two{handover.ASIDE}"
    assert two.status == "running"
