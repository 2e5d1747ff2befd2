"""Recognises a disinto factory that runs on Nomad, whose agents `muster adopt` cannot take over."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import docker

from muster import roster_edit
from muster.docker import variables_of
from muster.factory import COMPOSE_FILE, FactoryError

_JOBS = Path("nomad", "jobs")
"""The Nomad jobs in a checkout of disinto, which a factory on compose has too."""

_FOLDER = "_factory"
"""Where `disinto init --backend=nomad` puts project files (docker/agents/entrypoint.sh)."""

_VOLUMES = ("agent-data", "project-repos")
"""Folders that are the volumes of Nomad's jobs (lib/init/nomad/cluster-up.sh); compose has none."""

_WRITTEN = re.compile(r"^#.*--backend=nomad\b", re.MULTILINE)
"""What `disinto init --backend=nomad` writes above a new project file (bin/disinto)."""

_LABEL = "com.hashicorp.nomad.alloc_id"
"""The label that Nomad's Docker driver gives every container (hashicorp/nomad: drivers/docker)."""

_DISINTOS_VARIABLE = "DISINTO_CONTAINER"
"""What disinto's jobs set for agents. Nomad names images by number, so an image tells nothing."""


def agents(client: docker.DockerClient) -> list[str]:
    """Return the names of disinto's agents that run because Nomad started them."""
    labelled: dict[str, str | list[str] | bool] = {"label": _LABEL}
    found = client.containers.list(filters=labelled, ignore_removed=True)
    return [str(each.name) for each in found if _DISINTOS_VARIABLE in variables_of(each.attrs)]


def refuse(file: Path, folder: Path, containers: Collection[str]) -> None:
    """Refuse a factory on Nomad; call it for one that no compose service runs of.

    Every checkout has the files of the Nomad jobs, and a compose file, so the jobs count only
    without one.

    Args:
        file: the project file.
        folder: the factory's folder.
        containers: disinto's agents that Nomad started on this Docker engine, by name.

    Raises:
        FactoryError: the factory runs on Nomad, here or on another host.
    """
    sign = next(_signs(file, folder, containers), None)
    if sign is not None:
        raise FactoryError(
            f"the factory {folder} runs on Nomad ({sign}), and muster adopt takes over services of "
            "Docker Compose only. Nothing was changed. To move an agent by hand, stop its job "
            "(nomad job stop JOB), and hire it with the account that it has "
            "(muster hire NAME ROLE --adopt)"
        )


def _signs(file: Path, folder: Path, containers: Collection[str]) -> Iterator[str]:
    if containers:
        yield f"Nomad started {', '.join(sorted(containers))}"
    if _WRITTEN.search(roster_edit.read(file)):
        yield f"disinto init --backend=nomad wrote {file.name}"
    if all((folder / each).is_dir() for each in _VOLUMES):
        yield f"the folders {' and '.join(_VOLUMES)} are volumes of Nomad's jobs"
    if (folder / COMPOSE_FILE).exists():
        return
    if folder.name == _FOLDER:
        yield f"disinto makes a folder {_FOLDER} only for Nomad"
    if (folder / _JOBS).is_dir():
        yield f"it has {_JOBS} and no {COMPOSE_FILE}"
