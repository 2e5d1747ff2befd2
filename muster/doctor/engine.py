"""The Docker engine."""

import os
from collections.abc import Iterator
from pathlib import Path

from muster import docker
from muster.doctor import mends
from muster.doctor.findings import Finding, well, wrong
from muster.doctor.subject import Subject

_SYSTEMD = Path("/run/systemd/system")


def answers(subject: Subject) -> Iterator[Finding]:
    """Ask whether the engine that the roster or the environment names answers."""
    host = subject.docker_host
    try:
        client = subject.client.put(docker.connect(host))
    except docker.DockerError as error:
        yield wrong(str(error), _mend(subject, host))
        return
    where = host or subject.environment.get("DOCKER_HOST") or "this machine"
    yield well(f"Docker {client.version()['Version']} on {where}")


def _mend(subject: Subject, host: str | None) -> str:
    if host is not None:
        return mends.edit(subject.roster_path.get(), subject.line_of("muster", "docker_host"))
    if subject.environment.get("DOCKER_HOST"):
        return "unset DOCKER_HOST"
    if _SYSTEMD.exists():
        return "systemctl start docker" if os.geteuid() == 0 else "sudo systemctl start docker"
    return mends.SET_UP
