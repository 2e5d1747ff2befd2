"""What Docker is asked while a factory's containers give way to Muster's."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container

from muster.docker import variables_of
from muster.errors import MusterError
from muster.old_service import Service
from muster.words import counted

ASIDE = "-before-muster"
"""What is added to the name of a container that a new one needs."""

PAUSE = 1.0
"""Seconds between two looks."""

STEADY = 20.0
"""Seconds that a container without a health check must run without a restart.

disinto's entrypoint takes about 15 s to end if the forge refuses its credentials.
"""

RESTARTS = 3
"""So many restarts of a new container are a crash loop."""

_LABEL = "com.docker.compose"


class HandoverError(MusterError):
    """A new container does not become healthy, or Docker refuses; old containers run on."""


def containers_of(client: docker.DockerClient, folder: Path) -> dict[str, list[Container]]:
    """Return the containers of the compose project in a folder, by service.

    Compose labels them; so they are found whatever their names and the compose file say by now.
    """
    found: dict[str, list[Container]] = {}
    labelled: dict[str, str | list[str] | bool] = {"label": f"{_LABEL}.service"}
    for each in client.containers.list(all=True, filters=labelled, ignore_removed=True):
        if Path(each.labels.get(f"{_LABEL}.project.working_dir", "/")).resolve() == folder:
            found.setdefault(each.labels[f"{_LABEL}.service"], []).append(each)
    return found


def service_of(container: Container) -> Service:
    """Return what a container tells of its service."""
    attributes: dict[str, Any] = container.attrs
    mounts = attributes["Mounts"]  # in any order
    return Service(
        networks=tuple(attributes["NetworkSettings"]["Networks"]),
        volumes=tuple(sorted(each["Name"] for each in mounts if each["Type"] == "volume")),
        environment=variables_of(attributes),
        image=str(attributes["Config"]["Image"]),
        image_environment=_variables_of_image(container),
        host_paths=tuple(each["Destination"] for each in mounts if each["Type"] == "bind"),
    )


def _variables_of_image(container: Container) -> dict[str, str]:
    """Return the variables that a container has from its image."""
    try:
        image = container.image
    except docker.errors.ImageNotFound:  # removed by force, which Docker allows if nothing runs
        return {}
    return variables_of(image.attrs) if image else {}


@contextmanager
def set_aside(client: docker.DockerClient, old: Collection[Container]) -> Iterator[list[str]]:
    """Give containers other names, by which compose knows them as well, while they run on.

    A factory calls its containers `disinto-agents-<name>`, and so does Muster in a project of the
    name disinto. Where no new container took a name in the end, the old one has it back.

    Yields:
        The names that are free now.
    """
    names = {str(each.id): str(each.name) for each in old}
    try:
        for each in old:
            each.rename(f"{each.name}{ASIDE}")
        yield list(names.values())
    finally:
        for key, name in names.items():
            _name_back(client, key, name)


def _name_back(client: docker.DockerClient, container: str, name: str) -> None:
    try:
        found = client.containers.get(container)
    except docker.errors.NotFound:
        return
    if found.name != name and not client.containers.list(all=True, filters={"name": f"^/{name}$"}):
        found.rename(name)


def until_healthy(
    client: docker.DockerClient, containers: Mapping[str, str], seconds: float
) -> Iterator[str]:
    """Wait for containers, and tell each one's agent once it is healthy.

    A container whose image has no health check counts as healthy once it has run for `STEADY`
    seconds: Docker reports one that crashes and restarts as running too.

    Args:
        client: the engine.
        containers: the containers' names by agent.
        seconds: how long that may take altogether.

    Raises:
        HandoverError: a container is unhealthy, or the time is over.
    """
    waiting = dict(containers)
    limit = time.monotonic() + seconds
    seen: dict[tuple[str, str], float] = {}
    while waiting:
        for agent, name in list(waiting.items()):
            state, restarts = _state(client, name)
            now = time.monotonic()
            began = seen.setdefault((name, str(state.get("StartedAt"))), now)
            health = state.get("Health") or {}
            status = health.get("Status")
            if status is None and restarts >= RESTARTS:
                raise HandoverError(
                    f"{agent}: its new container {name} crashed {counted(restarts, 'time')}: "
                    f"docker logs {name} shows why"
                )
            is_steady = state.get("Status") == "running" and now - began >= STEADY
            if status == "healthy" or (status is None and is_steady):
                del waiting[agent]
                yield agent
            elif status == "unhealthy" or now > limit:
                said = ([each["Output"].strip() for each in health.get("Log") or []] or [""])[-1]
                raise HandoverError(
                    f"{agent}: its new container {name} is not healthy: "
                    f"{said or status or state.get('Status', 'it is gone')}"
                )
        if waiting:
            time.sleep(PAUSE)


def _state(client: docker.DockerClient, name: str) -> tuple[dict[str, Any], int]:
    """Return a container's state, empty if it is gone, and how often it was restarted."""
    try:
        attributes = client.containers.get(name).attrs
    except docker.errors.NotFound:
        return {}, 0
    return attributes["State"], int(attributes.get("RestartCount") or 0)


def remove(container: Container) -> str:
    """Stop and remove a container, or find that it is gone; its volumes stay.

    Returns:
        Its name.

    Raises:
        HandoverError: Docker refuses.
    """
    try:
        container.reload()
        container.stop()
        container.remove()
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        raise HandoverError(f"container {container.name}: {error.explanation}") from None
    return str(container.name)
