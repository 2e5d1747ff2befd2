"""The log that an agent's runtime keeps in its data volume: Docker's goes with the container."""

from contextlib import suppress

import docker
import docker.errors
from docker.models.containers import Container
from docker.types import Mount

from muster.agent_container import NoFileError, file_lines
from muster.container import DATA_PATH
from muster.docker import holder
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
    mount = Mount(DATA_PATH, f"{name}-data", read_only=True)
    with holder(client, f"{name}-log", mount, labels(stack, project, agent)) as reader:
        return of_container(reader)
