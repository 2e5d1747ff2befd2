"""The model servers, and the forge, as the agents see them: from inside their network."""

import http
import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import docker

from muster import names, project
from muster.docker import has_network, local_image_id
from muster.doctor import mends, probe
from muster.doctor.findings import Finding, NotAskedError, well, wrong
from muster.doctor.subject import Subject
from muster.roster import Agent, Muster, Roster, problem

_BRIDGE = "bridge"
"""Docker's own network, which stands for the crew's before that is made."""

_HOST = "host.docker.internal"
_PATIENCE = 1.0


def health(subject: Subject) -> Iterator[Finding]:
    """Ask each endpoint once for its health, and the forge whether it is there."""
    roster, client = subject.roster.get(), subject.client.get()
    crew = [agent for agent in roster.agents.values() if agent.enabled]
    if not crew:
        raise NotAskedError("no agent is enabled")
    endpoints = _endpoints(crew)
    forge = project.internal_forge_url(roster)
    urls = [*(f"{url}/health" for url in endpoints), forge]
    network = project.network(roster)
    is_made = has_network(client, network)
    view = _view(client, roster, crew, subject.stack.get(), network if is_made else _BRIDGE, urls)
    subject.clock_ahead.put(view.ahead)
    where = f"network {network}" if is_made else "Docker's bridge, for the crew's network to come"
    if is_made or not roster.muster.local_forge:  # which is on that network
        yield _forge(roster, forge, view.answers[forge], where)
    for url, agents in endpoints.items():
        found = _endpoint(subject, roster, url, agents, view.answers[f"{url}/health"], where)
        subject.checked |= {(agent, "endpoint"): bool(found.ok) for agent in agents}
        yield found
    if anthropic := [agent.name for agent in crew if agent.base_url is None]:
        yield well(f"the Anthropic API ({', '.join(anthropic)}): not called, that costs money")


def _endpoints(crew: list[Agent]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for agent in crew:
        if agent.base_url:
            found.setdefault(agent.base_url, []).append(agent.name)
    return found


def _view(  # noqa: PLR0913, PLR0917 - what a container needs
    client: docker.DockerClient,
    roster: Roster,
    crew: list[Agent],
    stack: str,
    network: str,
    urls: list[str],
) -> probe.View:
    """Ask in an image of the agents', or else in Muster's own, which has what asking takes."""
    images = dict.fromkeys([*(agent.image for agent in crew), Muster().image])
    labels = names.labels(stack, roster.name)
    for image in images:
        if local_image_id(client, image):
            view = probe.look(client, urls, image=image, network=network, labels=labels)
            if view is not None:
                return view
    raise NotAskedError(f"no image has a python3 to ask with: {', '.join(images)}")


def _forge(roster: Roster, url: str, answer: probe.Answer, where: str) -> Finding:
    if answer.status is not None and answer.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return well(f"the forge at {url} answers inside {where}")
    said = answer.error if answer.status is None else f"it answered {answer.status}"
    found = problem(
        roster,
        ("muster", "forge_internal_url"),
        f"the forge at {url} does not answer inside {where}: {said}. Name it as containers "
        "reach it",
    )
    return wrong(str(found), mends.edit(roster.path, found.line))


def _endpoint(  # noqa: PLR0913, PLR0917 - whose endpoint, and what it answered where
    subject: Subject,
    roster: Roster,
    url: str,
    agents: list[str],
    answer: probe.Answer,
    where: str,
) -> Finding:
    of = f"{url} ({', '.join(agents)})"
    if answer.status == http.HTTPStatus.OK:
        return well(f"{of} is in health, asked inside {where}")
    complaint, mend = _complaint(subject, url, answer, where)
    found = problem(roster, ("agents", agents[0], "base_url"), f"{of} {complaint}")
    return wrong(str(found), mend or mends.edit(roster.path, found.line))


def _complaint(subject: Subject, url: str, answer: probe.Answer, where: str) -> tuple[str, str]:
    """Say what is wrong with an endpoint, and what mends it where that is not the roster."""
    if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        return "answers 503: it loads its model, say", subject.muster("doctor")
    if answer.status is not None:
        return f"answers {answer.status} at /health: no llama-server is there", ""
    said = f"does not answer inside {where}: {answer.error}"
    parts = urlsplit(url)
    if parts.hostname != _HOST or parts.port is None:
        return f"{said}. Start it, or correct base_url", ""
    start = f"llama-server --host 0.0.0.0 --port {parts.port}"
    if not _listens_here(parts.port):
        return f"{said}. Start it, with its model, or correct base_url", start
    said += (
        ". On this machine it answers: it listens on loopback alone, or a firewall keeps "
        "containers out. Start it again, with its model, on all addresses"
    )
    return said, start


def _listens_here(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE):
        return True
    return False
