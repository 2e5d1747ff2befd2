"""What the agents report themselves: why they wait, from the last lines of their logs."""

import http
from collections.abc import Iterable, Iterator
from contextlib import suppress

import docker
from docker.models.containers import Container

from muster import agent_container, disinto_agents
from muster.agent_log import Line
from muster.docker import DockerError
from muster.doctor import mends
from muster.doctor.findings import Finding, NotAskedError, not_asked, well, wrong
from muster.doctor.subject import Subject
from muster.roster import Agent

_IN_TURN = {"queue", "budget"}
"""What agents wait for when all is well."""


def waiting(subject: Subject) -> Iterator[Finding]:
    """Check that nothing keeps a running agent from its work."""
    crew = list(_running(subject, subject.client.get()))
    if not crew:
        raise NotAskedError("no agent runs")
    for agent, container in crew:
        if disinto_agents.runs(agent):
            yield judged_run(subject, agent, agent_container.run_of(container))
    yield from judged(
        subject,
        (
            (agent, agent_container.last_line(container))
            for agent, container in crew
            if not disinto_agents.runs(agent)
        ),
    )


def judged_run(subject: Subject, agent: Agent, run: agent_container.Run) -> Finding:
    """Judge an agent that reports no state by its container."""
    message = disinto_agents.report(agent, run)
    logs = subject.muster("logs", agent.name)
    if disinto_agents.crashes(run):
        return wrong(f"{message}. It crashes and restarts again and again", logs)
    return not_asked(f"{message} ({logs})")


def judged(subject: Subject, lines: Iterable[tuple[Agent, Line | None]]) -> Iterator[Finding]:
    """Judge agents by the last lines of their logs.

    What an earlier check has found already is not reported again.
    """
    states = []
    for agent, line in lines:
        if line is None or line.state is None:
            yield not_asked(f'agent "{agent.name}" has not reported its state')
        elif line.waiting_for is None or line.waiting_for in _IN_TURN:
            states.append(f"{agent.name} is {line.state}")
        else:
            yield from _obstacle(subject, agent, line, line.waiting_for)
    if states:
        yield well(", ".join(states))


def _running(subject: Subject, client: docker.DockerClient) -> Iterator[tuple[Agent, Container]]:
    """Return each agent that runs, with its container."""
    roster, hired = subject.roster.get(), subject.state.get().hired
    for agent in roster.agents.values():
        if agent.enabled and agent.name in hired:
            with suppress(DockerError):  # reported with the containers
                container = agent_container.find(client, roster.name, agent)
                if container.status == "running":
                    yield agent, container


def _obstacle(subject: Subject, agent: Agent, line: Line, cause: str) -> Iterator[Finding]:
    known = subject.checked.get((agent.name, cause))
    why = line.errors.get(cause) or "; ".join(line.errors.values()) or line.message
    message = f'agent "{agent.name}" does no work, waiting for its {cause}: {why}'
    if known is False:
        return
    if known and cause == "endpoint" and _may_be_over(line):
        yield well(f'agent "{agent.name}" waits for its endpoint, which answers again by now')
    elif known and cause == "token":
        yield wrong(
            f"{message}. The token in the stack's state works: replace the one in the container",
            subject.muster("rotate", agent.name),
        )
    else:
        yield wrong(message, _mend(subject, agent, cause))


def _may_be_over(line: Line) -> bool:
    """Tell whether the endpoint did not answer, or not yet, when the line was written."""
    status = line.endpoint.status
    return status is None or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR


def _mend(subject: Subject, agent: Agent, cause: str) -> str:
    """Return the command that removes a cause."""
    place = {"sandbox": (), "endpoint": ("base_url",), "window": ("base_url",)}.get(cause)
    if place is None or (place and not agent.base_url):
        return subject.muster("logs", agent.name)
    line = subject.line_of("agents", agent.name, *place)
    return mends.edit(subject.roster_path.get(), line)
