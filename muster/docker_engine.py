"""What kind of Docker engine answers, and what that means for a crew."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import docker

from muster.docker import DockerError
from muster.docker_host import DockerHost
from muster.roster import Problem, Roster, problem

if TYPE_CHECKING:
    from muster.toml_file import Place

HOST = "host.docker.internal"
"""The engine's machine, as containers see it."""


@dataclass(frozen=True)
class DockerEngine:
    """An engine, as it describes itself.

    Attributes:
        id: what tells it from other engines, however it is reached; another one after its data
            folder was removed.
        is_rootless: whether it runs without root, in a network of its own.
        limits_memory: whether the kernel limits memory. If not, the engine drops the limit and
            reports 0.
        limits_swap: whether the kernel counts swap. If not, the engine reports -1 for any limit.
        limits_cpus: whether the kernel limits processor time. If not, the engine refuses or
            forgets a limit.
        limits_pids: whether the kernel limits the number of processes. If not, the engine fails to
            set a limit of a running container.
    """

    id: str
    is_rootless: bool = False
    limits_memory: bool = True
    limits_swap: bool = True
    limits_cpus: bool = True
    limits_pids: bool = True


def describe(client: docker.DockerClient) -> DockerEngine:
    """Ask an engine what it is."""
    info = client.info()
    return DockerEngine(
        id=str(info.get("ID") or ""),
        is_rootless="name=rootless" in (info.get("SecurityOptions") or ()),
        limits_memory=bool(info.get("MemoryLimit", True)),
        limits_swap=bool(info.get("SwapLimit", True)),
        limits_cpus=bool(info.get("CpuCfsQuota", True)),
        limits_pids=bool(info.get("PidsLimit", True)),
    )


def refuse_other_engines(client: docker.DockerClient) -> None:
    """Make sure that Docker answers; Podman answers its API too, with a version of its own.

    Raises:
        DockerError: it is Podman.
    """
    for part in client.version().get("Components") or ():
        if part.get("Name") == "Podman Engine":
            raise DockerError(
                f"this is Podman {part.get('Version')}, not Docker: Muster needs Docker Engine. "
                "Install it (docs.docker.com/engine/install), and name it with DOCKER_HOST, "
                "docker context use, or [muster] docker_host"
            )


def warnings(host: DockerHost, engine: DockerEngine, roster: Roster) -> Iterator[Problem]:
    """Report what works less well for a crew on this engine."""
    if host.is_remote and roster.muster.local_forge:
        yield problem(
            roster,
            ("muster", "local_forge"),
            f"the Docker engine is on another machine ({host}), and the local forge listens on "
            "that machine's loopback: forward its port to this machine, e.g. with ssh -L",
        )
    lost = [
        name
        for name, works in (
            ("memory", engine.limits_memory),
            ("cpus", engine.limits_cpus),
            ("pids", engine.limits_pids),
        )
        if not works
    ]
    if lost:
        yield problem(
            roster,
            ("muster", lost[0]),
            f"this Docker engine cannot limit {', '.join(lost)}, so the agents run without: enable "
            "the control groups that docker info warns about",
        )
    if engine.is_rootless:
        yield from _rootless(roster)


def _rootless(roster: Roster) -> Iterator[Problem]:
    """Report addresses that do not lead to this machine from a rootless engine's containers.

    `host-gateway` is the engine's own bridge there (moby/moby#41904, seen with Docker 20.10 and
    slirp4netns 1.2). This machine's address on its network leads to it, but not to its loopback.
    """
    places: dict[Place, str | None] = {
        ("agents", agent.name, "base_url"): agent.base_url for agent in roster.agents.values()
    }
    if not roster.muster.local_forge:
        key = ("muster", "forge_internal_url")
        places[key if roster.muster.forge_internal_url else ("forge_url",)] = (
            roster.forge_url_inside
        )
    for place, url in places.items():
        if url and urlsplit(url).hostname == HOST:
            yield problem(
                roster,
                place,
                f"this Docker engine is rootless, and {HOST} is its own network there, not this "
                "machine: write this machine's address on its network, e.g. http://192.168.1.5:"
                f"{urlsplit(url).port or 80}, and let the server listen on that address",
            )
