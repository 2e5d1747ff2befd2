"""What Muster reads from agents' containers and runs in them: logs, files, commands."""

import tarfile
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Protocol

import docker
import docker.errors
from docker.models.containers import Container

from muster import agent_log
from muster.container import DATA_PATH
from muster.docker import DockerError, remove_leftover_container
from muster.names import container_name
from muster.printable import one_line
from muster.roster import Agent
from muster.runtimes import AGENT_UID

TRANSCRIPT = f"{DATA_PATH}/sessions/last.jsonl"
"""The messages of the agent's last session, a JSON line each."""

_NOT_EXECUTABLE = (126, 127)
"""Exit codes of a command that the container does not have, as in a shell."""

_TAIL = 10
"""Lines of a log of which the last readable one counts: a container may also log other lines."""

_IN_MEMORY = 2**20
"""Bytes of a file beyond which it is kept on the disk while it is read."""


class NoFileError(DockerError):
    """The container has no such file."""


@dataclass(frozen=True)
class Done:
    """A command that ended.

    Attributes:
        code: its exit code.
        stdout: what it printed.
        stderr: what it printed on standard error.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def is_missing(self) -> bool:
        """Whether the container has no such command."""
        return self.code in _NOT_EXECUTABLE


@dataclass(frozen=True)
class Run:
    """How long a container has run, as Docker reports it.

    Attributes:
        since: when it was started last.
        seconds: how long ago that was.
        restarts: how often Docker has restarted it, because it ended.
        last: the last line of its log, safe to print; empty if there is none.
    """

    since: datetime
    seconds: float
    restarts: int
    last: str


class _Closable(Protocol):
    def close(self) -> None: ...


def find(client: docker.DockerClient, project: str, agent: Agent) -> Container:
    """Return an agent's container.

    Raises:
        DockerError: it does not exist; the message names the command that creates it.
    """
    name = container_name(project, agent.name)
    try:
        return client.containers.get(name)
    except docker.errors.NotFound:
        command = "muster up" if agent.enabled else f"muster start {agent.name}"
        raise DockerError(f"container {name} not found: {command} creates it") from None


def run_of(container: Container) -> Run:
    """Return how long a running container has run, and what it logged last."""
    attributes = container.attrs
    since = datetime.fromisoformat(attributes["State"]["StartedAt"])
    logged = (one_line(line) for line in reversed(_last_lines(container)))
    return Run(
        since=since,
        seconds=(datetime.now(UTC) - since).total_seconds(),
        restarts=int(attributes.get("RestartCount") or 0),
        last=next(filter(None, logged), ""),
    )


def last_line(container: Container) -> agent_log.Line | None:
    """Return the last line that a container's runtime logged; None if the container is gone."""
    return agent_log.last(_last_lines(container))


def _last_lines(container: Container) -> list[str]:
    try:
        logged = bytes(container.logs(tail=_TAIL))
    except docker.errors.APIError:
        return []
    return logged.decode(errors="replace").splitlines()


def log_lines(
    container: Container, *, since: datetime | None, follow: bool, timed: bool = False
) -> Iterator[str]:
    """Return the lines that a container logged, as they come.

    Args:
        container: the container.
        since: the time from which on lines count, to the second; None is the first.
        follow: whether to go on until the container ends.
        timed: whether each line begins with Docker's time and a space.
    """
    return _lines(container.logs(stream=True, follow=follow, since=since, timestamps=timed))


@contextmanager
def new_log_lines(container: Container, seconds: float) -> Iterator[Iterator[str]]:
    """Follow what a container logs from now on, for at most so many seconds."""
    stream = container.logs(stream=True, follow=True, tail=0)
    with _closed_after(stream, seconds):
        yield _lines(stream)


def file_lines(container: Container, path: str) -> Iterator[str]:
    """Return the lines of a file in a container, which need not run.

    A last line that is still being written is left out. Links are not followed: Docker reads as
    root.

    Raises:
        NoFileError: there is no such file.
        DockerError: the file cannot be read to its end.
    """
    try:
        pieces, _ = container.get_archive(path)
    except docker.errors.NotFound:
        raise NoFileError(f"{container.name} has no file {path}") from None
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as packed:
        packed.writelines(pieces)
        packed.seek(0)
        yield from _unpacked(packed, f"{path} in {container.name}")


def file_in_image(
    client: docker.DockerClient,
    image: str,
    paths: Iterable[str],
    *,
    helper: str,
    labels: Mapping[str, str],
) -> list[str]:
    """Return the lines of the first of these files that an image has, none if it has none.

    They are read from a container that never starts.

    Args:
        client: the engine.
        image: the image.
        paths: where the file may be.
        helper: the container's name.
        labels: the container's labels.

    Raises:
        DockerError: a container of that name is somebody else's, or Docker refuses.
    """
    remove_leftover_container(client, helper, labels)
    container = client.containers.create(
        image, ["-"], name=helper, network_mode="none", labels=dict(labels)
    )
    try:
        for path in paths:
            with suppress(NoFileError):
                return list(file_lines(container, path))
    finally:
        container.remove(v=True)
    return []


def _unpacked(packed: IO[bytes], name: str) -> Iterator[str]:
    try:
        with tarfile.open(fileobj=packed) as archive:
            member = archive.next()
            content = archive.extractfile(member) if member and member.isreg() else None
            if content is None:
                raise NoFileError(f"{name} is not a regular file")
            for line in content:
                if line.endswith(b"\n"):
                    yield line.decode(errors="replace").rstrip("\n")
    except tarfile.TarError as error:
        raise DockerError(f"{name} cannot be read: {error}") from None


def run(
    client: docker.DockerClient, container: Container, command: Sequence[str], seconds: float
) -> Done:
    """Run a command in a running container, as the agent's user.

    Raises:
        DockerError: it did not end within so many seconds.
    """
    api = client.api
    started = api.exec_create(container.id, list(command), user=str(AGENT_UID))["Id"]
    stdout, stderr = bytearray(), bytearray()
    stream = api.exec_start(started, stream=True, demux=True)
    with _closed_after(stream, seconds):
        for out, err in stream:
            stdout += out or b""
            stderr += err or b""
    code = api.exec_inspect(started)["ExitCode"]
    if code is None:
        raise DockerError(f"{' '.join(command)} in {container.name}: no answer after {seconds:g} s")
    return Done(code, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


@contextmanager
def _closed_after(stream: _Closable, seconds: float) -> Iterator[None]:
    """Close a stream after so many seconds, which ends whoever reads it."""
    timer = threading.Timer(seconds, _close, [stream])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _close(stream)


def _close(stream: _Closable) -> None:
    with suppress(OSError):  # closed already
        stream.close()


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Split what comes piece by piece into lines."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")
