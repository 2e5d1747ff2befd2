"""Ask from where the agents ask: in a short-lived container on the crew's network."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import requests
from docker.models.containers import Container

from muster.docker import DockerError
from muster.doctor import inside
from muster.names import AGENT_LABEL

PROBE = ".doctor"
"""Stands for an agent's name in its labels; no agent's has a dot."""

_HOSTS = {"host.docker.internal": "host-gateway"}  # as in the agents' containers
_MEMORY = "128m"


@dataclass(frozen=True)
class Answer:
    """What a URL answered inside.

    Attributes:
        status: the HTTP status, None where no answer came.
        error: why none came.
    """

    status: int | None
    error: str


@dataclass(frozen=True)
class View:
    """What a container saw.

    Attributes:
        answers: by URL.
        ahead: seconds by which its clock is ahead of this machine's.
    """

    answers: dict[str, Answer]
    ahead: float


def look(
    client: docker.DockerClient,
    urls: Sequence[str],
    *,
    image: str,
    network: str,
    labels: Mapping[str, str],
) -> View | None:
    """Ask URLs from inside a container; None where its image has no Python to ask with.

    Args:
        client: the engine.
        urls: what to ask.
        image: the container's image.
        network: its network.
        labels: by which it is known to be ours, beside its own.

    Raises:
        DockerError: Docker refuses to run it, or it printed nothing of use.
    """
    with _container(client, urls, image, network, labels) as container:
        # Attached before it starts: Docker removes it, with its log, as soon as it ends.
        printed = container.attach(stdout=True, stderr=False, stream=True)
        began = time.time()
        try:
            container.start()
        except docker.errors.APIError as error:
            if "executable file not found" in str(error.explanation):
                return None
            raise DockerError(f"a container of image {image} does not start: {error}") from None
        text = b"".join(printed).decode()
    try:
        told = json.loads(text)
    except ValueError:
        raise DockerError(f"a container of image {image} could not ask: {text[:200]}") from None
    # Its clock was read between the two: the start of a container takes a part of a second.
    middle = min(max(told["time"], began), time.time())
    answers = {url: Answer(**answer) for url, answer in told["answers"].items()}
    return View(answers, told["time"] - middle)


@contextmanager
def _container(
    client: docker.DockerClient,
    urls: Sequence[str],
    image: str,
    network: str,
    labels: Mapping[str, str],
) -> Iterator[Container]:
    """Make the container; once it runs, it goes even where this process is killed."""
    try:
        container = client.containers.create(
            image,
            entrypoint=["python3", "-c", Path(inside.__file__).read_text(), *urls],
            command=[],
            network=network,
            labels={**labels, AGENT_LABEL: PROBE},
            extra_hosts=_HOSTS,
            auto_remove=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            mem_limit=_MEMORY,
        )
    except (docker.errors.APIError, requests.RequestException) as error:
        raise DockerError(f"no container of image {image} can be made: {error}") from None
    try:
        yield container
    finally:
        # Gone already, or about to be (409), unless it never started.
        with suppress(docker.errors.APIError):
            container.remove(force=True)
