"""The crew that was hired: access to the repository, tokens, containers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import docker
import docker.errors

from muster import preflight
from muster.doctor import mends
from muster.doctor.findings import CALLS_AT_ONCE, Finding, NotAskedError, not_asked, well, wrong
from muster.doctor.hired import Hired
from muster.doctor.subject import Subject
from muster.forge import Basic, ForbiddenError, Forge, Token, UnauthorizedError, takes_password
from muster.names import container_name
from muster.roster import Agent, Roster, problem

_ALLOWS = {
    "read": {"read", "write", "admin", "owner"},
    "write": {"write", "admin", "owner"},
}
"""The permissions that include one."""


def access(subject: Subject) -> Iterator[Finding]:
    """Ask whether the repository is there, and each agent's token and bot user get to it."""
    roster, forge = subject.roster.get(), subject.as_administrator()
    repository = forge.repository(roster.repo)
    if repository is None:
        message = f"the forge at {forge.url} has no repository {roster.repo}"
        mend = (
            subject.muster("up")
            if roster.muster.local_forge
            else mends.edit(roster.path, subject.line_of("repo"))
        )
        yield wrong(str(problem(roster, ("repo",), message)), mend)
        return
    for each in preflight.unusable(forge, roster, repository):
        yield wrong(str(each), mends.edit(roster.path, each.line))
    hired = subject.state.get().hired
    for name in roster.agents:
        if name not in hired:
            yield not_asked(f'agent "{name}" is not hired yet ({subject.muster("up")})')
    crew = {name: hired[name] for name in roster.agents if name in hired}
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        settings = map(roster.agents.__getitem__, crew)
        asked = pool.map(partial(_obstacles, forge, roster), settings, crew.values())
        obstacles = dict(zip(crew, asked, strict=True))
    for name, found in obstacles.items():
        subject.checked[name, "token"] = not found
        for obstacle in found:
            yield wrong(f'agent "{name}": {obstacle}', subject.muster("up"))
    can = [name for name, found in obstacles.items() if not found]
    said = f": {', '.join(can)} can use it, with working tokens" if can else ""
    yield well(f"{roster.repo} is there{said}")


def _obstacles(forge: Forge, roster: Roster, agent: Agent, hired: Hired) -> list[str]:
    """Say what keeps an agent from its work at the forge."""
    if hired.token is None:
        return ["it was hired half-way and has no token"]
    found = []
    try:
        Forge(forge.url, Token(hired.token)).whoami_if_shown()
    except UnauthorizedError:
        found.append("the forge does not take its token: it was revoked there")
    except ForbiddenError as error:
        found.append(f"bot user {hired.user} may not log in: {error.message}")
    if hired.password is not None and not found:
        bot = Basic(hired.user, hired.password)
        if takes_password(forge.url, bot) is False:
            found.append(
                f"the forge does not take the password that Muster set for bot user {hired.user}: "
                "somebody changed it, and the other one works until the next update"
            )
    for repo in roster.repositories_of(agent):
        if forge.collaborator_permission(repo, hired.user) not in _ALLOWS[agent.permission]:
            verb = "write to" if agent.permission == "write" else "read"
            found.append(f"bot user {hired.user} may not {verb} {repo}")
    return found


def containers(subject: Subject) -> Iterator[Finding]:
    """Ask whether the containers of the agents that were hired run, and are in health."""
    roster, client = subject.roster.get(), subject.client.get()
    hired = subject.state.get().hired
    crew = [agent for agent in roster.agents.values() if agent.enabled and agent.name in hired]
    if not crew:
        raise NotAskedError("no agent is hired and enabled")
    running = []
    for agent in crew:
        name = container_name(roster.name, agent.name)
        message, mend = _complaint(subject, client, agent.name, name)
        if message:
            yield wrong(f'agent "{agent.name}": container {name} {message}', mend)
        else:
            running.append(agent.name)
    if running:
        yield well(f"running: {', '.join(running)}")


def _complaint(
    subject: Subject, client: docker.DockerClient, agent: str, name: str
) -> tuple[str, str]:
    """Return what is wrong with a container, and what mends it; nothing where it is well."""
    try:
        state = client.containers.get(name).attrs["State"]
    except docker.errors.NotFound:
        return "is not there", subject.muster("up")
    if state["Status"] == "restarting":
        return (
            f"ends again and again, with exit code {state['ExitCode']}",
            subject.muster("logs", agent),
        )
    if state["Status"] != "running":
        return f"does not run: it is {state['Status']}", subject.muster("up")
    health = state.get("Health") or {}
    if health.get("Status") == "unhealthy":
        said = "".join(each["Output"] for each in health["Log"][-1:]).strip()
        return f"is not in health: {said}", subject.muster("logs", agent)
    return "", ""
