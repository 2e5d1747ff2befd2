"""Asks an agent to take an issue, and watches what it does about it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from docker import DockerClient
from docker.models.containers import Container
from rich.text import Text

from muster import agent_container, agent_log, disinto_agents, docker
from muster.agent_log import Line
from muster.cli.log_view import LogView
from muster.cli.session import Session
from muster.cli.status_table import state_words
from muster.errors import INTERRUPTED, MusterError
from muster.printable import one_line

WAIT = 60.0
"""Seconds to wait for the agent's decision."""

_ANSWER = 30.0
"""Seconds to wait for the answer to the request."""

_MODULE = "runtime.request"
_UNDECIDED = {None, "starting", "idle", "claiming", "releasing", "stopped"}
"""States in which an agent with a task does not hold its issue."""


@dataclass(frozen=True)
class Decision:
    """What became of a request.

    Attributes:
        outcome: `taken`, `refused`, or `pending` if the agent has not decided yet.
        line: the last line of the log that was seen.
        interrupted: whether Ctrl-C ended the wait.
    """

    outcome: str
    line: Line | None
    interrupted: bool = False


def request(session: Session, name: str, issue: int, *, wait: bool) -> int:
    """Ask an agent to take an issue, report what it does, and return the exit code.

    Raises:
        MusterError: the agent cannot be asked, or does not take requests.
    """
    [agent] = session.agents([name])
    roster = session.roster()
    if disinto_agents.runs(agent):
        raise MusterError(disinto_agents.no_requests(roster, agent, issue))
    with docker.engine(roster.muster.docker_host) as client:
        container = agent_container.find(client, roster.name, agent)
        _expect_running(container, name)
        before = agent_container.last_line(container)
        with agent_container.new_log_lines(container, WAIT) as lines:
            answer = _ask(client, container, name, issue)
            if wait:
                show = session.screen.console.print
                found = decision(answer, lines, issue, before, show)
                session.screen.say(_result(found, name, issue))
            else:
                found = Decision("pending", before)
                session.screen.say(answer)
    line = found.line
    session.screen.report(
        {
            "stack": session.stack,
            "agent": name,
            "issue": issue,
            "answer": answer,
            "outcome": found.outcome,
            "state": line and line.state,
            "message": line and line.message,
        }
    )
    return INTERRUPTED if found.interrupted else int(found.outcome == "refused")


def _expect_running(container: Container, name: str) -> None:
    if container.status != "running":
        raise MusterError(
            f"agent {name} does not run: its container is {container.status}. "
            f"Run muster restart {name}"
        )


def _ask(client: DockerClient, container: Container, name: str, issue: int) -> str:
    """Run the request in the container; return the agent's answer.

    Raises:
        MusterError: the agent refuses, or its image does not take requests.
    """
    done = agent_container.run(client, container, ["python3", "-m", _MODULE, str(issue)], _ANSWER)
    if done.is_missing or "No module named" in done.stderr:
        raise MusterError(
            f"agent {name} does not take requests: its image, "
            f"{container.attrs['Config']['Image']}, does not contain Muster's runtime"
        )
    if done.code:
        said = one_line(done.stderr) or f"exit code {done.code}"
        raise MusterError(f"agent {name} did not accept the request: {said}")
    return one_line(done.stdout)


def decision(
    answer: str,
    lines: Iterable[str],
    issue: int,
    before: Line | None,
    show: Callable[[Text], None],
) -> Decision:
    """Show the answer, then the log until the agent has decided, the lines end, or Ctrl-C.

    Args:
        answer: what the agent answered. Ctrl-C ends the wait as soon as this is shown.
        lines: what the agent logs after the request.
        issue: the issue that it was asked to take.
        before: the last line before the request.
        show: shows a line.
    """
    view, seen = LogView(), before
    try:
        show(Text(answer))
        if before is not None and _holds(before, issue):
            return Decision("taken", before)
        for text in lines:
            for shown in view.shown(text):
                show(shown)
            line = agent_log.read(text)
            if line is None or line.state is None:
                continue
            seen = line
            if _holds(line, issue):
                return Decision("taken", line)
            if _refuses(line, issue, before):
                return Decision("refused", line)
    except KeyboardInterrupt:
        return Decision("pending", seen, interrupted=True)
    return Decision("pending", seen)


def _holds(line: Line, issue: int) -> bool:
    """Tell whether the agent has claimed the issue."""
    return line.works_on(issue) and line.state not in _UNDECIDED


def _refuses(line: Line, issue: int, before: Line | None) -> bool:
    """Tell whether the agent reports that it did not take the issue, or has ended with it."""
    refused = re.match(rf"Did not take #{issue}\b", line.message)
    ended = line.last is not None and line.last.task == f"#{issue}"
    return bool(refused) or (ended and line.last != (before and before.last))


def _result(found: Decision, name: str, issue: int) -> str:
    if found.outcome == "taken":
        return f"{name} took #{issue}. Follow it with muster logs {name} -f"
    if found.outcome == "refused":
        return f"{name} did not take #{issue}."
    now = f" ({state_words(found.line)})" if found.line else ""
    return f"No decision yet{now}. The request stands: muster logs {name} -f shows what happens"
