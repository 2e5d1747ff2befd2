"""How each agent does: what the roster wants, and what state, Docker and the forge have."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from docker.models.containers import Container

from muster import agent_container, agent_log, docker, private_ca
from muster.accounts import accounts, is_mark, mark_of
from muster.container import WORK_VARIABLE
from muster.forge import Administrator, Forge, ForgeError, User
from muster.names import container_name
from muster.roster import Agent, Roster

PATIENCE = 2.0
"""Seconds for which a forge that does not answer is asked again: somebody looks at a screen."""

_READERS = 8


@dataclass(frozen=True)
class AgentStatus:
    """One agent's row.

    Attributes:
        name: the agent.
        bot_user: its account.
        roles: what it does.
        wanted: `running` or `stopped`, as the roster says; `fired` where it has no section.
        actual: Docker's word for its container; `none` without one, `unknown` without Docker.
        health: Docker's word for its health; None where nothing runs.
        line: the last line of its log; None before the first one, and for other images.
        sandbox: `on` or `off`, as its container was created; None for other images.
        endpoint: the endpoint's URL, or `anthropic`.
        issued_at: when its credentials were issued; None before it is hired.
        rotation: the rotation that is in force.
        image: the id of the image that its container was made from.
        drift: where roster, state, Docker and forge differ, each in words.
    """

    name: str
    bot_user: str
    roles: tuple[str, ...]
    wanted: str
    actual: str
    health: str | None
    line: agent_log.Line | None
    sandbox: str | None
    endpoint: str
    issued_at: datetime | None
    rotation: int | None
    image: str | None
    drift: list[str]

    @property
    def now(self) -> agent_log.Line | None:
        """What it does now; None unless it runs."""
        return self.line if self.actual == "running" else None

    @property
    def as_wanted(self) -> bool:
        """Whether it is as the roster wants it and, if it is to run, its cycles succeed."""
        if self.drift or self.wanted != "running":
            return not self.drift and self.actual not in {"running", "restarting", "unknown"}
        failed = self.line is not None and (self.line.result == "failed" or self.line.errors)
        return self.actual == "running" and self.health != "unhealthy" and not failed

    def report(self, now: datetime) -> dict[str, Any]:
        """Return the row for programs."""
        line = self.line
        return {
            "agent": self.name,
            "bot_user": self.bot_user,
            "roles": list(self.roles),
            "as_wanted": self.as_wanted,
            "wanted": self.wanted,
            "actual": self.actual,
            "health": self.health,
            **self._work(),
            "last_cycle": line
            and {
                "time": agent_log.iso(line.time),
                "age_seconds": round((now - line.time).total_seconds()),
                "result": line.result,
                "errors": dict(line.errors),
            },
            "endpoint": {
                "url": self.endpoint,
                **(line.endpoint if line else agent_log.Endpoint()).report(),
            },
            "sandbox": self.sandbox,
            "credentials": {
                "issued_at": agent_log.iso(self.issued_at),
                "age_days": self.issued_at and (now - self.issued_at).days,
                "rotation": self.rotation,
            },
            "image": self.image,
            "drift": self.drift,
        }

    def _work(self) -> dict[str, Any]:
        """Return what it does, did last and used today, for programs."""
        now, line = self.now, self.line
        queue = now and now.queue
        return {
            "state": now and now.state,
            "waiting_for": now and now.waiting_for,
            "queue": queue and {"position": queue[0], "length": queue[1]},
            "since": now and agent_log.iso(now.since),
            "task": now and now.task and now.task.report(),
            "pull": now and now.pull,
            "last": line and line.last and line.last.report(),
            "today": line and line.today and line.today.report(),
        }


@dataclass
class Seen:
    """What there is besides the roster; `None` where it could not be asked, and why in `unseen`.

    Attributes:
        recorded: what `recorded` returns.
        containers: the stack's containers, by name.
        images: the id of each image in use, as the engine has it now.
        users: the forge's accounts, by name in lower case.
        collaborators: the repository's collaborators, in lower case.
        unseen: why something could not be asked.
    """

    recorded: Mapping[str, Mapping[str, Any]]
    containers: Mapping[str, Container] | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, User] | None = None
    collaborators: set[str] | None = None
    unseen: list[str] = field(default_factory=list)


def recorded(deployment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a stack's exported state says of each agent that is hired.

    Account, credentials and container are their resources'. Roles, endpoint and rotation are what
    the last update said that went through: they may be missing, or older.
    """
    resources = [each for each in deployment.get("resources") or [] if not each.get("delete")]
    theirs = [each for each in resources if _OF_AN_AGENT in each["urn"]]
    said: Mapping[str, Any] = {}
    for each in resources:
        if each["type"] == "pulumi:pulumi:Stack":
            said = each.get("outputs", {}).get("agents", {})
    found: dict[str, dict[str, Any]] = {}
    for kind, keys in _FACTS.items():
        for each in theirs:
            name = each["urn"].rsplit("::", 1)[-1]
            if each["type"].endswith(kind) and each.get("outputs"):
                facts = found.setdefault(name, dict(said.get(name, {})))
                facts |= {key: each["outputs"][key] for key in keys}
                facts |= {f"{kind}:id": each["id"]}
    return {name: facts for name, facts in found.items() if "user_id" in facts}


_OF_AN_AGENT = "muster:index:Agent$"
CONTAINER = "docker:index/container:Container"
_FACTS = {
    "forgejo:BotUser": ("user_id",),
    "forgejo:AccessToken": ("issued_at",),
    CONTAINER: (),
}
"""What is read of an agent's resources, by their kinds."""


def look(
    roster: Roster,
    stack: str,
    deployment: Mapping[str, Any],
    forge: tuple[str, Administrator] | str,
) -> tuple[list[AgentStatus], list[str]]:
    """Ask state, Docker and forge how the crew does.

    Args:
        roster: the roster.
        stack: the stack's name.
        deployment: the stack's exported state.
        forge: the forge's URL and its administrator, or why it is not asked.

    Returns:
        A row an agent, and why something could not be asked.
    """
    seen = Seen(recorded(deployment))
    with ThreadPoolExecutor(_READERS) as pool:
        asking = None
        if isinstance(forge, str):
            seen.unseen.append(forge)
        else:
            asking = pool.submit(_ask_forge, seen, roster, *forge)
        lines = _ask_docker(seen, roster, stack, pool)
        if asking is not None:
            asking.result()
    names = [*roster.agents, *(name for name in seen.recorded if name not in roster.agents)]
    return [_status(name, roster, stack, seen, lines.get(name)) for name in names], seen.unseen


def _ask_docker(
    seen: Seen, roster: Roster, stack: str, pool: ThreadPoolExecutor
) -> dict[str, agent_log.Line | None]:
    try:
        with docker.engine(roster.muster.docker_host) as client:
            containers = docker.containers_of(client, stack)
            images = {agent.image for agent in roster.agents.values()}
            seen.containers = containers
            seen.images = {
                image: found for image in images if (found := docker.local_image_id(client, image))
            }
            names = {*roster.agents, *seen.recorded}
            made = {
                name: containers[container]
                for name in names
                if (container := container_name(roster.name, name)) in containers
            }
            return dict(zip(made, pool.map(agent_container.last_line, made.values()), strict=True))
    except docker.DockerError as error:
        seen.unseen.append(str(error))
        return {}


def _ask_forge(seen: Seen, roster: Roster, url: str, administrator: Administrator) -> None:
    private_ca.trust_for_forge(url, private_ca.file_of(roster, roster.muster))
    forge = Forge(url, administrator.api, patience=PATIENCE)
    try:
        names = {agent.forge_user for agent in roster.agents.values()}
        names |= {str(said["forgejo:BotUser:id"]) for said in seen.recorded.values()}
        seen.users, _ = accounts(forge, {name.lower() for name in names})
        seen.collaborators = forge.collaborators(roster.repo)
    except ForgeError as error:
        seen.unseen.append(f"forge {url}: {error}")


def _sandbox(container: Container | None) -> str | None:
    """Read from a container's environment whether its sandbox is on."""
    variables = docker.variables_of(container.attrs) if container else {}
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        return str(json.loads(variables[WORK_VARIABLE])["sandbox"])
    return None


def _status(
    name: str, roster: Roster, stack: str, seen: Seen, line: agent_log.Line | None
) -> AgentStatus:
    agent, said = roster.agents.get(name), seen.recorded.get(name, {})
    containers = seen.containers
    container = (containers or {}).get(container_name(roster.name, name))
    issued = said.get("issued_at")
    wanted = "fired" if agent is None else "running" if agent.enabled else "stopped"
    actual = "unknown" if containers is None else container.status if container else "none"
    bot_user = agent.forge_user if agent else said.get("bot_user", name)
    return AgentStatus(
        name=name,
        bot_user=bot_user,
        roles=tuple(agent.roles if agent else said.get("roles", ())),
        wanted=wanted,
        actual=actual,
        health=_health(container),
        line=line,
        sandbox=_sandbox(container),
        endpoint=(agent.base_url or "anthropic") if agent else said.get("endpoint", ""),
        issued_at=datetime.fromisoformat(issued).astimezone(UTC) if issued else None,
        rotation=said.get("rotation"),
        image=str(container.attrs["Image"]) if container else None,
        drift=[
            *_roster_drift(agent, said),
            *_docker_drift(agent, container, wanted, seen),
            *_forge_drift(agent, mark_of(stack, roster.name, name), seen),
        ],
    )


def _health(container: Container | None) -> str | None:
    if container is None or container.status != "running":
        return None
    return str((container.attrs["State"].get("Health") or {}).get("Status", "unchecked"))


def _roster_drift(agent: Agent | None, said: Mapping[str, Any]) -> Iterator[str]:
    if agent is None:
        yield "not in the roster any more: muster up fires it"
        return
    if not said:
        yield "not hired yet: muster up"
        return
    now = {
        "rotation": agent.rotation,
        "roles": list(agent.roles),
        "endpoint": agent.base_url or "anthropic",
        "bot_user": agent.forge_user,
    }
    changed = [key for key, value in now.items() if said.get(key, value) != value]
    if changed:
        yield f"{', '.join(changed)} changed in the roster: muster up"


def _docker_drift(
    agent: Agent | None, container: Container | None, wanted: str, seen: Seen
) -> Iterator[str]:
    if seen.containers is None or agent is None or agent.name not in seen.recorded:
        return
    running = container is not None and container.status == "running"
    if wanted == "running" and container is not None and container.status == "restarting":
        yield f"container crashes and restarts: muster logs {agent.name} shows why"
    elif wanted == "running" and not running:
        yield f"container {container.status if container else 'is gone'}: muster up"
    elif wanted == "stopped" and running:
        yield "container runs: muster up stops it"
    made = seen.recorded[agent.name].get(f"{CONTAINER}:id")
    if running and made is not None and container is not None and container.id != made:
        yield "container made anew by somebody else, docker compose say: muster up replaces it"
    newer = seen.images.get(agent.image)
    if container is not None and newer is not None and container.attrs["Image"] != newer:
        yield f"image {agent.image} is newer than the container: muster up"


def _forge_drift(agent: Agent | None, mark: str, seen: Seen) -> Iterator[str]:
    if seen.users is None or agent is None or agent.name not in seen.recorded:
        return
    user = seen.users.get(agent.forge_user.lower())
    said = seen.recorded[agent.name]
    if user is None and str(said["forgejo:BotUser:id"]).lower() == agent.forge_user.lower():
        for other in seen.users.values():
            if other.login_name == mark:
                yield f"account {agent.forge_user} was renamed to {other.login}: muster preview"
                return
    if user is None:
        yield f"account {agent.forge_user} is gone: muster up"
        return
    if is_mark(user.login_name) and user.login_name != mark:
        yield f"account {user.login} is another agent's, or name was changed: muster preview"
        return
    if user.login_name != mark:
        yield f"account {user.login} has lost its mark (login_name): muster up sets it again"
    if user.prohibit_login:
        yield f"account {user.login} is barred: muster up"
    if seen.collaborators is not None and user.login.lower() not in seen.collaborators:
        yield f"account {user.login} is no collaborator: muster up"
