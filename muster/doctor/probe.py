"""Ask from where the agents ask: in a short-lived container on the crew's network."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container

from muster import endpoint, hosts, names, project
from muster.docker import DockerError, archive_of, has_network, local_image_id
from muster.doctor.findings import NotAskedError
from muster.endpoint import Endpoint, Reply, Way
from muster.names import AGENT_LABEL
from muster.roster import Agent, Muster, Roster

PROBE = ".doctor"
"""Stands for an agent's name in its labels; no agent's has a dot."""

_BRIDGE = "bridge"
"""Docker's own network, which stands for the crew's before that is made."""

_HOSTS = {"host.docker.internal": "host-gateway"}  # as in the agents' containers
_MEMORY = "128m"
_FOLDER = ".muster-doctor"
"""The folder in the container's root for all that asking takes."""

_QUESTIONS = "questions.json"
"""The file with the questions: a command line would show their keys."""

SCRIPT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from muster import endpoint; "
    f"endpoint.main(sys.argv[1] + '/{_QUESTIONS}')"
)
"""Asks; its argument is the folder, whose modules come before another version in Muster's image."""


@dataclass(frozen=True)
class Question:
    """An endpoint to ask about.

    Attributes:
        url: its address; None is the Anthropic API.
        key: its key.
        model: the model that has to be served there.
        ask: whether to have the model reply, which may cost something.
        way: how it is reached.
    """

    url: str | None
    key: str = field(repr=False)
    model: str | None
    ask: bool = False
    way: Way = endpoint.AS_HERE


@dataclass(frozen=True)
class Page:
    """A page of which only the status matters.

    Attributes:
        url: its address.
        way: how it is reached.
    """

    url: str
    way: Way = endpoint.AS_HERE


@dataclass(frozen=True)
class Answer:
    """What a page answered inside.

    Attributes:
        status: the HTTP status; None without an answer.
        error: why none came.
    """

    status: int | None
    error: str


@dataclass(frozen=True)
class View:
    """What a container saw.

    Attributes:
        pages: the answers of pages.
        endpoints: what was found for each question, and the model's reply if it was asked.
        ahead: seconds by which its clock is ahead of this machine's.
    """

    pages: Mapping[Page, Answer]
    endpoints: Mapping[Question, tuple[Endpoint, Reply | None]]
    ahead: float


@dataclass(frozen=True)
class Place:
    """A crew's place on an engine.

    Attributes:
        client: the engine.
        roster: the crew's roster.
        stack: the stack's name.
    """

    client: docker.DockerClient
    roster: Roster
    stack: str


def view(
    place: Place, crew: Sequence[Agent], pages: Sequence[Page], questions: Sequence[Question]
) -> View:
    """Ask on the crew's network, in an image of the agents' or else in Muster's own.

    Raises:
        DockerError: Docker refuses to run a container.
        NotAskedError: no image has what asking takes.
    """
    client, network = place.client, project.network(place.roster)
    images = dict.fromkeys([*(agent.image for agent in crew), Muster().image])
    for image in images:
        if local_image_id(client, image):
            found = look(
                client,
                pages,
                questions,
                image=image,
                network=network if has_network(client, network) else _BRIDGE,
                labels=names.labels(place.stack, place.roster.name),
            )
            if found is not None:
                return found
    raise NotAskedError(f"no image has a python3 to ask with: {', '.join(images)}")


def look(  # noqa: PLR0913 - what a container needs
    client: docker.DockerClient,
    pages: Sequence[Page],
    questions: Sequence[Question],
    *,
    image: str,
    network: str,
    labels: Mapping[str, str],
) -> View | None:
    """Ask from inside a container; None if its image has no Python to ask with.

    Args:
        client: the engine.
        pages: what to open.
        questions: the endpoints.
        image: the container's image.
        network: its network.
        labels: by which it is known to be ours, beside its own.

    Raises:
        DockerError: Docker refuses to run it, or it printed nothing of use.
    """
    with _container(client, image, network, labels) as container:
        asked = {"pages": [*map(asdict, pages)], "endpoints": [*map(asdict, questions)]}
        _put(container, asked)
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
    return View(
        pages=dict(zip(pages, (Answer(**each) for each in told["pages"]), strict=True)),
        endpoints=dict(zip(questions, map(_read, told["endpoints"]), strict=True)),
        ahead=told["time"] - middle,
    )


def _read(answered: Mapping[str, Any]) -> tuple[Endpoint, Reply | None]:
    found, reply = answered["found"], answered["reply"]
    return Endpoint(**{**found, "models": tuple(found["models"])}), reply and Reply(**reply)


@contextmanager
def _container(
    client: docker.DockerClient,
    image: str,
    network: str,
    labels: Mapping[str, str],
) -> Iterator[Container]:
    """Make the container; once it runs, it goes even where this process is killed."""
    try:
        container = client.containers.create(
            image,
            entrypoint=["python3", "-c", SCRIPT, f"/{_FOLDER}"],
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


def files(questions: Mapping[str, object]) -> dict[str, str]:
    """Return what asking takes, by path in a folder."""
    sources = [Path(str(module.__file__)) for module in (endpoint, hosts)]
    return {
        "muster/__init__.py": "",
        _QUESTIONS: json.dumps(questions),
        **{f"muster/{source.name}": source.read_text() for source in sources},
    }


def _put(container: Container, questions: Mapping[str, object]) -> None:
    """Put the questions below the container's root folder, which every image has."""
    named = {f"{_FOLDER}/{name}": text for name, text in files(questions).items()}
    # Whoever the image's user is may read them; nobody else is in the container.
    packed = archive_of(named, owner=0, mode=0o444)
    try:
        container.put_archive("/", packed)
    except docker.errors.APIError as error:
        raise DockerError(f"{container.name} does not take a file: {error}") from None
