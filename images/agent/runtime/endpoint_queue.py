"""One session at a time per endpoint, first come first served, across a host's containers.

Each contender has a ticket: a file in a folder on a shared volume, which it keeps locked (flock).
Tickets are numbered in the order of arrival, and the first `slots` of them hold the endpoint. The
kernel drops the lock when a process ends, however it ends; the others then remove the ticket.

    <volume>/<SHA-256 of the endpoint's URL>/mutex
                                             000000000007.holding.dev-qwen
                                             000000000008.waiting.review-qwen
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

POLL_SECONDS = 0.25
MUTEX_POLL_SECONDS = 0.01

_PORTS = {"http": 80, "https": 443}


class CancelledError(Exception):
    """The contender was stopped before its turn."""


@dataclass(frozen=True)
class Contender:
    """An agent that holds an endpoint or waits for it.

    Attributes:
        agent: Its name.
        holds: Whether it holds the endpoint.
        since: When it came, in seconds since 1970.
    """

    agent: str
    holds: bool
    since: float


class EndpointQueue:
    """The queue of one endpoint, as one agent sees it.

    Args:
        volume: The folder that all agents of the host share.
        url: The endpoint.
        slots: How many sessions the endpoint serves at once.
        agent: The agent's name.
    """

    def __init__(self, volume: Path, url: str, slots: int, agent: str) -> None:
        self._folder = _folder(volume, url)
        self._slots = slots
        self._agent = agent

    @contextmanager
    def turn(
        self, on_wait: Callable[[int, int], None], stopped: Callable[[], bool]
    ) -> Iterator[None]:
        """Wait for a slot, and hold it until the block ends.

        Args:
            on_wait: Called at each change with the position among those that wait, which starts
                at 1, and their number. Not called if a slot is free.
            stopped: Called at each poll: whether to stop waiting.

        Raises:
            CancelledError: `stopped` returned true.
            OSError: The volume cannot be written to.
        """
        _make(self._folder)
        with _mutex(self._folder, stopped):
            ticket = _Ticket.draw(self._folder, self._agent)
        try:
            self._wait(ticket, on_wait, stopped)
            yield
        finally:
            ticket.discard()

    def _wait(
        self, ticket: "_Ticket", on_wait: Callable[[int, int], None], stopped: Callable[[], bool]
    ) -> None:
        reported = None
        while True:
            with _mutex(self._folder, stopped):
                numbers = [_number(path) for path in _living(self._folder)]
                ahead = sum(number < ticket.number for number in numbers)
                if ahead < self._slots:
                    ticket.hold()
                    return
            place = (ahead - self._slots + 1, len(numbers) - self._slots)
            if place != reported:
                on_wait(*place)
                reported = place
            if stopped():
                raise CancelledError
            time.sleep(POLL_SECONDS)


def listing(volume: Path, url: str) -> list[Contender]:
    """Return who holds an endpoint and who waits for it, in the order of arrival."""
    folder = _folder(volume, url)
    if not folder.exists():
        return []
    contenders = []
    with _mutex(folder, lambda: False):
        for path in _living(folder):
            _, state, agent = path.name.split(".", 2)
            with suppress(FileNotFoundError):  # it needs no mutex to leave
                since = path.stat().st_mtime
                contenders.append(Contender(agent, state == "holding", since))
    return contenders


class _Ticket:
    def __init__(self, path: Path, lock: int) -> None:
        self.number = _number(path)
        self._path = path
        self._lock = lock

    @classmethod
    def draw(cls, folder: Path, agent: str) -> "_Ticket":
        """Take the number after the last one; needs the mutex."""
        number = max(map(_number, _tickets(folder)), default=0) + 1
        path = folder / f"{number:012}.waiting.{agent}"
        lock = _open(path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(path, lock)

    def hold(self) -> None:
        """Show others that the waiting is over."""
        name = self._path.name.replace(".waiting.", ".holding.", 1)
        self._path = self._path.rename(self._path.with_name(name))

    def discard(self) -> None:
        """Give the slot, or the place in the queue, to the next."""
        try:
            self._path.unlink(missing_ok=True)
        finally:
            os.close(self._lock)


def _living(folder: Path) -> list[Path]:
    """Return the tickets whose owners live, in order; remove the others. Needs the mutex."""
    return [path for path in sorted(_tickets(folder)) if _lives(path)]


def _tickets(folder: Path) -> Iterator[Path]:
    return folder.glob("*.*.*")


def _number(ticket: Path) -> int:
    return int(ticket.name.partition(".")[0])


def _lives(path: Path) -> bool:
    """Tell whether a ticket has an owner, and remove it if not."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if not _try_lock(lock):
            return True
        path.unlink(missing_ok=True)
    finally:
        os.close(lock)
    return False


@contextmanager
def _mutex(folder: Path, stopped: Callable[[], bool]) -> Iterator[None]:
    lock = _open(folder / "mutex")
    try:
        while not _try_lock(lock):
            if stopped():
                raise CancelledError
            time.sleep(MUTEX_POLL_SECONDS)
        yield
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    """Open a file to lock it, readable by the users of all containers whatever this one's umask."""
    lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    with suppress(PermissionError):  # its owner did it
        os.fchmod(lock, 0o644)
    return lock


def _make(folder: Path) -> None:
    """Make the folder, writable for the users of all containers."""
    folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # its owner did it
        folder.chmod(0o777)


def _folder(volume: Path, url: str) -> Path:
    """Return an endpoint's folder; spellings of one URL have the same."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    same = f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"
    return volume / hashlib.sha256(same.encode()).hexdigest()
