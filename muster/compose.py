"""The compose view: `docker compose` works on the containers that Muster made.

Compose takes a container for its own by its labels, and leaves it alone in `up -d` while the
`config-hash` label is what it would write itself and the container is on the networks and volumes
that the compose file names (seen with compose 2.40). The file describes each container whole, so
that `down` followed by `up -d` brings back an agent that works. It holds no secret: an agent with
`credentials = "env"`, as all of runtime disinto are, comes back without its credentials, and
`pulumi up --refresh` cures that.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from muster.errors import MusterError

COMMANDS = (("docker", "compose"), ("docker-compose",))
"""Compose as Docker's plugin and as a program of its own."""

TIMEOUT = 30
"""Seconds that compose may take for an answer."""

_NETWORK = "crew"
_LABEL = "com.docker.compose"


class ComposeError(MusterError):
    """Compose refuses the document; the message is compose's own."""


@dataclass(frozen=True)
class Mount:
    """A volume in a container.

    Attributes:
        volume: the volume's name.
        path: where the container sees it.
        read_only: whether the container may only read it.
    """

    volume: str
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Service:
    """An agent's container, without what is secret.

    What has a default here is the same for every agent.

    Attributes:
        name: the service's name, and its alias on the network.
        container: the container's name.
        image: the image, as the roster names it.
        environment: the environment without credentials.
        mounts: the volumes.
        labels: the labels by which Muster knows the container.
        memory: the limit in bytes, swap included.
        cpus: the limit in processors.
        pids: the limit in processes.
        read_only: whether the root file system is read-only.
        tmpfs: the mount options of temporary file systems, by path.
        restart: when Docker starts the container again.
        hosts: addresses of hosts by name.
        security_options: Docker's security options.
        dropped_capabilities: what the container's root may not do.
        added_capabilities: the exceptions to that.
        user: the user that it starts as; None for the image's.
        uploads: files that it begins with, by path. Compose does not bring them back.
        log_driver: where the output goes.
        log_options: how it is rotated.
    """

    name: str
    container: str
    image: str
    environment: Mapping[str, str]
    mounts: Sequence[Mount]
    labels: Mapping[str, str]
    memory: int
    cpus: float
    pids: int
    read_only: bool
    tmpfs: Mapping[str, str] = field(
        # Docker's default is noexec, and compilers run what they build here.
        default_factory=lambda: {"/tmp": "exec"}  # noqa: S108
    )
    restart: str = "unless-stopped"
    hosts: Mapping[str, str] = field(
        default_factory=lambda: {"host.docker.internal": "host-gateway"}
    )
    security_options: Sequence[str] = ("no-new-privileges:true",)
    dropped_capabilities: Sequence[str] = ("ALL",)
    added_capabilities: Sequence[str] = ()
    user: str | None = None
    uploads: Mapping[str, str] = field(default_factory=dict)
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(
        default_factory=lambda: {"max-file": "3", "max-size": "10m"}
    )


def project_name(project: str) -> str:
    """Return the compose project of a project's crew.

    Never the project's own name: the factory's `up --remove-orphans` would remove the crew.
    """
    return f"muster-{project}"


def document(project: str, network: str, services: Sequence[Service]) -> str:
    """Return the compose file's text; the same crew gives the same text.

    Args:
        project: the project's name.
        network: the name of the Docker network that the crew is on.
        services: the agents whose containers run, in any order.
    """
    ordered = sorted(services, key=lambda service: service.name)
    volumes = sorted(mount.volume for service in ordered for mount in service.mounts)
    content = {
        "name": project_name(project),
        "services": {service.name: _service(service) for service in ordered},
        "networks": {_NETWORK: {"external": True, "name": network}},
        "volumes": {volume: {"external": True, "name": volume} for volume in volumes},
    }
    text = yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    text = text.replace("$", "$$")  # compose would put variables in place of a single one
    return f"# The crew of {project}, for docker compose. Muster writes this file.\n{text}"


def config_hashes(text: str) -> dict[str, str] | None:
    """Return the hash of each service in a compose file's text, as compose labels it.

    A service's hash depends on that service alone; the environment that Muster runs in is kept
    away from compose, which would take variables for settings.

    Returns:
        The hashes by service, None where compose 2 or later is not installed.

    Raises:
        ComposeError: Compose takes the text for no compose file.
    """
    program = command()
    if program is None:
        return None
    done = _run([*program, "-f", "-", "--env-file", os.devnull, "config", "--hash", "*"], text)
    if done.returncode != 0:
        raise ComposeError(f"{' '.join(program)} config: {done.stderr.strip()}")
    return dict(line.split() for line in done.stdout.splitlines())


def command() -> tuple[str, ...] | None:
    """Return the command that is compose 2 or later, None where there is none."""
    for program in COMMANDS:
        if shutil.which(program[0]) is None:
            continue
        done = _run([*program, "version", "--short"])
        version = done.stdout.strip().removeprefix("v")
        if done.returncode == 0 and not version.startswith("1."):
            return program
    return None


def labels(
    project: str, service: str, *, image_id: str, config_hash: str, file: PurePosixPath
) -> dict[str, str]:
    """Return the labels by which compose takes a container for a service's.

    Args:
        project: the project's name.
        service: the service's name.
        image_id: the id of the container's image.
        config_hash: the service's hash, from `config_hashes`.
        file: the compose file, relative to the folder of Pulumi.yaml: compose only shows it, and
            an absolute path would replace every container when another checkout does the next `up`.
    """
    return {
        f"{_LABEL}.config-hash": config_hash,
        f"{_LABEL}.container-number": "1",
        f"{_LABEL}.image": image_id,
        f"{_LABEL}.oneoff": "False",
        f"{_LABEL}.project": project_name(project),
        f"{_LABEL}.project.config_files": str(file),
        f"{_LABEL}.project.working_dir": str(file.parent),
        f"{_LABEL}.service": service,
    }


def write(path: Path, text: str) -> bool:
    """Write the compose file where it differs; a reader sees the old text or the new one.

    Returns:
        Whether it differed.
    """
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return True


def _service(service: Service) -> dict[str, Any]:
    """Return a service as the compose specification words it.

    Environment and labels are lists: as values of their own, YAML would take 1e3 for a number.
    """
    given = {"cap_add": list(service.added_capabilities), "user": service.user}
    return {
        "container_name": service.container,
        "image": service.image,
        "environment": lines(service.environment),
        "labels": lines(service.labels),
        "networks": [_NETWORK],
        "extra_hosts": lines(service.hosts),
        "volumes": [_mount(mount) for mount in service.mounts],
        "restart": service.restart,
        "mem_limit": service.memory,
        "memswap_limit": service.memory,
        "cpus": service.cpus,
        "pids_limit": service.pids,
        "read_only": service.read_only,
        "tmpfs": [f"{path}:{options}" for path, options in service.tmpfs.items()],
        "security_opt": list(service.security_options),
        "cap_drop": list(service.dropped_capabilities),
        "logging": {"driver": service.log_driver, "options": dict(service.log_options)},
        **{key: value for key, value in given.items() if value},
    }


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "type": "volume",
        "source": mount.volume,
        "target": mount.path,
        "read_only": mount.read_only,
    }


def lines(values: Mapping[str, str]) -> list[str]:
    """Return values as Docker lists them, sorted, so that diffs are quiet."""
    return [f"{name}={values[name]}" for name in sorted(values)]


def _run(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run compose without the variables that change what it makes of a file."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG") if name in os.environ
    }
    return subprocess.run(  # noqa: S603 - a fixed command
        command,
        input=text,
        env=kept,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
