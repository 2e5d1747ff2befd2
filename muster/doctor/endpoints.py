"""The model servers, and the forge, as the agents see them: from inside their network."""

import http
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from muster import hosts, keys, private_ca, project
from muster.docker import has_network
from muster.docker_engine import HOST
from muster.doctor import mends, probe
from muster.doctor.findings import Finding, NotAskedError, not_asked, warning, well, wrong
from muster.doctor.probe import Page, Question
from muster.doctor.subject import Subject
from muster.endpoint import OAUTH_PREFIX, Endpoint, Reply, Way, too_small
from muster.printable import one_line
from muster.roster import Agent, ContainerSettings, Roster, problem
from muster.words import capacity, counted

_PATIENCE = 1.0


def served(subject: Subject, *, ask_model: bool = False) -> Iterator[Finding]:
    """Ask each endpoint whether it serves its agents' models, and the forge whether it answers.

    Args:
        subject: whom it is about.
        ask_model: have each model reply to one request, which may cost something.
    """
    roster, client = subject.roster.get(), subject.client.get()
    crew = [agent for agent in roster.agents.values() if agent.enabled]
    if not crew:
        raise NotAskedError("no agent is enabled")
    questions = _questions(subject, roster, crew, ask_model=ask_model)
    forge = project.internal_forge_url(roster)
    network = project.network(roster)
    is_made = has_network(client, network)
    place = probe.Place(client, roster, subject.stack.get())
    page = Page(forge, way(roster, roster.muster))
    view = probe.view(place, crew, [page], list(questions))
    subject.clock_ahead.put(view.ahead)
    where = f"network {network}" if is_made else "Docker's bridge, for the crew's network to come"
    if is_made or not roster.muster.local_forge:  # which is on that network
        yield _forge(roster, forge, view.pages[page], where)
    for question, agents in questions.items():
        found, reply = view.endpoints[question]
        of = _Of(subject, roster, question, agents, where)
        subject.checked |= {(agent.name, "endpoint"): found.error is None for agent in agents}
        yield of.finding(found)
        if found.error is None:
            yield from of.window(found)
            if ask_model:
                yield of.reply(reply)


def _questions(
    subject: Subject, roster: Roster, crew: list[Agent], *, ask_model: bool
) -> Mapping[Question, list[Agent]]:
    """Return what to ask, once for all agents that have the same endpoint, model, key and way."""
    found: dict[Question, list[Agent]] = {}
    known = keys.find(subject.environment, subject.configured)
    for agent in crew:
        key = known.of(agent)
        if key is not None:  # the roster's check reports the others
            is_for_claude_code = agent.base_url is None and key.startswith(OAUTH_PREFIX)
            ask = ask_model and not is_for_claude_code
            question = Question(agent.base_url, key, agent.model, ask, way(roster, agent))
            found.setdefault(question, []).append(agent)
    return found


def way(roster: Roster, settings: ContainerSettings) -> Way:
    """Return how an agent, or the crew, reaches endpoints."""
    found = hosts.proxies(settings.env)
    return Way(private_ca.of(roster, settings) or "", tuple(sorted(found.items())))


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


class _Of:
    """Reports on one endpoint of some agents."""

    def __init__(
        self, subject: Subject, roster: Roster, question: Question, agents: list[Agent], where: str
    ) -> None:
        self._subject, self._roster, self._question = subject, roster, question
        self._agents, self._where = agents, where
        url = question.url or "the Anthropic API"
        self._name = f"{url} ({', '.join(agent.name for agent in agents)})"

    def finding(self, found: Endpoint) -> Finding:
        """Report whether the endpoint serves its model."""
        if found.error is None:
            return well(one_line(f"{self._name}: {self._facts(found)}, seen from {self._where}"))
        field, complaint, mend = self._complaint(found)
        place = problem(
            self._roster,
            ("agents", self._agents[0].name, field),
            one_line(f"{self._name}: {complaint}"),
        )
        return wrong(str(place), mend or mends.edit(self._roster.path, place.line))

    def window(self, found: Endpoint) -> Iterator[Finding]:
        """Report a context window in which Muster's runtime cannot work."""
        if self._question.url is None:
            return
        for agent in self._agents:
            size = agent.context_window or found.window
            said = too_small(size) if size else "the endpoint does not report its context window"
            if said is not None:
                place = ("agents", agent.name, "context_window")
                said += "" if size else ": set context_window, e.g. context_window = 65536"
                yield warning(str(problem(self._roster, place, said)))

    def reply(self, reply: Reply | None) -> Finding:
        """Report what the model replied."""
        if reply is None:
            return not_asked(
                f"{self._name}: the token of a Claude subscription works with Claude Code alone"
            )
        seconds = f"{reply.seconds:.1f} s"
        if not reply.ok:
            message = f"{self._name}: {self._model} did not reply, after {seconds}: {reply.text}"
            place = problem(
                self._roster, ("agents", self._agents[0].name, "base_url"), one_line(message)
            )
            return wrong(str(place), mends.edit(self._roster.path, place.line))
        used = f", {counted(reply.tokens, 'token')}" if reply.tokens else ""
        text = f'"{reply.text}"' if reply.text else "without text"
        return well(one_line(f"{self._name}: {self._model} replied {text} in {seconds}{used}"))

    @property
    def _model(self) -> str:
        return self._question.model or "its first model"

    def _facts(self, found: Endpoint) -> str:
        """Return what the endpoint reports about itself, in words."""
        facts = [found.server] if found.server else []
        model = self._question.model
        if found.serves_model:
            facts.append(f"serves {model}")
        elif found.server == "llama-server" and found.models:
            facts.append(f"serves {found.models[0]} under any name")
        elif found.status == http.HTTPStatus.NOT_FOUND:
            facts.append("answers, but does not list its models")
        else:
            accepted = self._question.url is None and found.status == http.HTTPStatus.OK
            facts.append("accepts the key" if accepted else "answers")
        return ", ".join([*facts, *capacity(found.window, found.slots)])

    def _complaint(self, found: Endpoint) -> tuple[str, str, str]:
        """Return the field, what is wrong, and what fixes it if that is not in the roster."""
        error = str(found.error)
        if found.reachable is False:
            return "base_url", *self._no_answer(str(found.cause))
        if found.loading:
            return "base_url", error, self._subject.muster("doctor")
        if found.refused:
            return "api_key", error, self._subject.muster("key", self._agents[0].name)
        return ("model" if found.serves_model is False else "base_url"), error, ""

    def _no_answer(self, cause: str) -> tuple[str, str]:
        said = f"does not answer inside {self._where}: {cause}"
        parts = urlsplit(self._question.url or "")
        if not parts.hostname:
            return f"{said}. Check the network and its proxy", self._subject.muster("doctor")
        if parts.hostname != HOST or parts.port is None:
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
