"""Goes to an agent's container and to the pages of its work."""

import os
import shutil
import sys
import webbrowser

from muster import agent_container, docker, docker_host, project
from muster.agent_log import Line
from muster.cli.session import Session
from muster.docker_host import DockerHost
from muster.roster import Agent

_SHELL = "command -v bash >/dev/null && exec bash; exec sh"
"""The container's best shell; every image of agents has `sh`."""


def shell(session: Session, name: str) -> None:
    """Run a shell in an agent's container in place of this process.

    Raises:
        MusterError: the agent, its container or Docker's command line is missing.
    """
    [agent] = session.agents([name])
    roster = session.roster()
    with docker.engine(roster.muster.docker_host) as client:
        container = agent_container.find(client, roster.name, agent)
        if container.status != "running":
            raise docker.DockerError(f"container {container.name} is {container.status}: muster up")
    program = shutil.which("docker")
    if program is None:
        raise docker.DockerError("muster shell needs Docker's command line: install docker")
    host = docker_host.resolve(roster.muster.docker_host)
    arguments = shell_arguments(host, str(container.name), terminal=sys.stdin.isatty())
    os.execv(program, arguments)  # noqa: S606 - Docker's own program


def shell_arguments(host: DockerHost, container: str, *, terminal: bool) -> list[str]:
    """Return the command that runs a shell in a container of an engine."""
    how = "--interactive", *(["--tty"] if terminal else [])
    return ["docker", *host.options, "exec", *how, container, "sh", "-c", _SHELL]


def open_page(session: Session, name: str | None, *, pull_requests: bool) -> None:
    """Open a page of the forge: of an agent, the repository's pull requests, or the repository.

    Raises:
        MusterError: the agent does not exist.
    """
    roster = session.roster()
    port = project.port(session.engine.configuration().get("forgePort"))
    forge = project.forge_url(roster, port)
    page = f"{forge}/{roster.repo}"
    if pull_requests:
        page += "/pulls"
    elif name is not None:
        [agent] = session.agents([name])
        with docker.engine(roster.muster.docker_host) as client:
            try:
                container = agent_container.find(client, roster.name, agent)
            except docker.DockerError:  # a stopped agent's page can be seen all the same
                line = None
            else:
                line = agent_container.last_line(container)
        page = page_of(agent, line, forge, roster.repo)
    session.screen.report({"url": page})
    if not session.screen.as_json:
        session.screen.say(page)
        webbrowser.open(page)


def page_of(agent: Agent, line: Line | None, forge: str, repo: str) -> str:
    """Return the page of what an agent works on: its pull request, its issue, or its bot user."""
    if line is None or line.task is None:
        return f"{forge}/{agent.forge_user}"
    if line.pull is not None or line.task.kind == "pull":
        return f"{forge}/{repo}/pulls/{line.pull or line.task.number}"
    return f"{forge}/{repo}/issues/{line.task.number}"
