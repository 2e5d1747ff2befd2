"""How the dynamic resources in Docker find the engine that they are on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from components.provider import Props
from muster.docker import DockerError, connect, connect_to, in_use
from muster.docker_engine import describe
from muster.docker_host import DockerHost
from muster.project import Project


class OtherEngineError(DockerError):
    """An engine answers, and it is not the one that a resource is on."""


def docker_place(project: Project) -> dict[str, str | None]:
    """Return the inputs by which a resource is found again: the way to the engine, and its ID."""
    certificates = project.docker_host.certificates
    return {
        "docker_host": project.docker_host.address,
        "docker_certificates": None if certificates is None else str(certificates),
        "docker_engine": project.docker_engine.id,
    }


@contextmanager
def engine(props: Props) -> Iterator[docker.DockerClient]:
    """Connect to a resource's engine: the recorded way, or else as `docker ps` does.

    The engine may be reached another way by now, or from another machine; its ID tells.

    Raises:
        OtherEngineError: the recorded way leads to another engine.
        DockerError: no engine answers, or it refuses what is asked meanwhile.
    """
    with in_use(_find(props)) as client:
        yield client


def _find(props: Props) -> docker.DockerClient:
    id_, address = props.get("docker_engine"), props.get("docker_host")
    ways: list[Callable[[], docker.DockerClient]] = [lambda: connect(None)]
    if address:
        certificates = props.get("docker_certificates")
        recorded = DockerHost(address, certificates=Path(certificates) if certificates else None)
        ways.insert(0, lambda: connect_to(recorded))
    errors: list[DockerError] = []
    for way in ways:
        try:
            client = way()
        except DockerError as error:
            errors.append(error)
            continue
        if id_ in {None, describe(client).id}:
            return client
        client.close()
        errors.append(
            OtherEngineError(
                "the Docker engine that answers is not the one that the crew is on: choose that "
                f"one (it was reached at {address}) with DOCKER_HOST or docker context use. If it "
                "no longer exists: pulumi refresh"
            )
        )
    raise errors[0]
