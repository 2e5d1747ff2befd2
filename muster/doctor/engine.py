"""The Docker engine."""

import os
from collections.abc import Iterator
from pathlib import Path

from muster import docker, docker_engine, docker_host
from muster.doctor import mends
from muster.doctor.findings import Finding, well, wrong
from muster.doctor.subject import Subject

_SYSTEMD = Path("/run/systemd/system")


def answers(subject: Subject) -> Iterator[Finding]:
    """Ask whether the engine that the roster or the environment names answers, and which it is."""
    named = subject.docker_host
    try:
        host = docker_host.resolve(named, subject.environment)
        client = docker.connect_to(host)
        docker_engine.refuse_other_engines(client)
    except (docker.DockerError, docker_host.DockerHostError) as error:
        yield wrong(str(error), _mend(subject, named))
        return
    subject.client.put(client)
    yield well(f"Docker {client.version()['Version']} at {host}")


def _mend(subject: Subject, named: str | None) -> str:
    if named is not None:
        return mends.edit(subject.roster_path.get(), subject.line_of("muster", "docker_host"))
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        if subject.environment.get(variable):
            return f"unset {variable}"
    if docker_host.current_context(subject.environment) not in {None, "default"}:
        return "docker context use default"
    if _SYSTEMD.exists():
        return "systemctl start docker" if os.geteuid() == 0 else "sudo systemctl start docker"
    return mends.SET_UP
