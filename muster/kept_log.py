"""The log that an agent's runtime keeps in its data volume: Docker's goes with the container."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import docker
import docker.errors
from docker.models.containers import Container
from docker.types import Mount

from muster.agent_container import NoFileError, file_lines
from muster.container import DATA_PATH
from muster.docker import EMPTY_IMAGE, make_empty_image, remove_leftover_container
from muster.names import container_name, labels

FILES = (f"{DATA_PATH}/log.1.jsonl", f"{DATA_PATH}/log.jsonl")
"""The older part and the newer one; see `images/agent/runtime/state.py`."""


def of_container(container: Container) -> list[str]:
    """Return the lines in the data volume of a container, which need not run."""
    found: list[str] = []
    for path in FILES:
        with suppress(NoFileError):  # an image of somebody else's, or a short log
            found += file_lines(container, path)
    return found


def of_volume(client: docker.DockerClient, project: str, stack: str, agent: str) -> list[str]:
    """Return the lines in the data volume of an agent without a container.

    Raises:
        DockerError: Docker refuses.
    """
    name = container_name(project, agent)
    try:
        client.volumes.get(f"{name}-data")
    except docker.errors.NotFound:
        return []
    with _reader(client, f"{name}-log", f"{name}-data", labels(stack, project, agent)) as reader:
        return of_container(reader)


@contextmanager
def _reader(
    client: docker.DockerClient, name: str, volume: str, marks: dict[str, str]
) -> Iterator[Container]:
    """Create a container with a volume, which never starts: Docker reads files out of it."""
    make_empty_image(client)
    remove_leftover_container(client, name, marks)
    reader = client.containers.create(
        EMPTY_IMAGE,
        ["-"],
        name=name,
        network_mode="none",
        labels=marks,
        mounts=[Mount(DATA_PATH, volume, read_only=True)],
    )
    try:
        yield reader
    finally:
        reader.remove()
