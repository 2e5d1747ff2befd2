"""Ends processes: one with its exit code kept, and everything that descends from this one."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.005
STOPPED_POLL_SECONDS = 0.2

KILL_SECONDS = 10.0
"""How long killing may take: a hostile process forks and leaves its group all the time."""

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    group: int
    session: int
    started: int
    """Clock ticks since boot: with `pid` it is unique."""


def become_subreaper() -> None:
    """Become the parent of every descendant whose parent ends, in place of process 1.

    Without this `kill_descendants` does not find processes that detached themselves.

    Raises:
        OSError: The kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def wait(
    process: subprocess.Popen[str] | subprocess.Popen[bytes],
    seconds: float,
    stopped: Callable[[], bool],
) -> int | None:
    """Wait for a process, and return its exit code; None if it was ended early.

    Args:
        process: The process.
        seconds: How long it may take.
        stopped: Called several times a second: whether to end it early.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not stopped():
        with suppress(subprocess.TimeoutExpired):
            return process.wait(STOPPED_POLL_SECONDS)
    terminate(process, 1.0)
    return None


def terminate(process: subprocess.Popen[str] | subprocess.Popen[bytes], grace: float) -> None:
    """End a process, not its children: SIGTERM, and SIGKILL if it still runs after `grace` s."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(KILL_SECONDS)


def kill_descendants(grace: float) -> bool:
    """End everything that descends from this process, whatever its session or process group.

    Call `become_subreaper` first. A `Popen` that was not waited for before loses its exit code.

    Args:
        grace: Seconds between SIGTERM and SIGKILL; with 0 there is no SIGTERM.

    Returns:
        Whether none is left. It gives up after `KILL_SECONDS`.
    """
    if grace > 0:
        for process in _descendants():
            _send(process, signal.SIGTERM)
        if _all_ended(grace, lambda: None):
            return True
    return _all_ended(KILL_SECONDS, _kill)


def _all_ended(seconds: float, hurry: Callable[[], None]) -> bool:
    deadline = time.monotonic() + seconds
    while _reap():
        if time.monotonic() > deadline:
            return False
        hurry()
        time.sleep(POLL_SECONDS)
    return True


def _kill() -> None:
    descendants = _descendants()
    # All of a group at once, so that none can fork and leave in between. A session that is not
    # this process's was made by a descendant and has only descendants in it.
    own = os.getsid(0)
    for group in {process.group for process in descendants if process.session != own}:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    for process in descendants:
        _send(process, signal.SIGKILL)


def _reap() -> bool:
    """Collect the children that ended; return whether there are others.

    A subreaper without children has no descendants. This is certain, while a look into /proc can
    miss a process that forks and ends all the time.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        return False
    return True


def _send(process: _Process, number: signal.Signals) -> None:
    """Send a signal to exactly this process, even if its number is in use again."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(process.pid)
        try:
            now = _read(process.pid)
            if now and now.started == process.started:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)


def _descendants() -> list[_Process]:
    children: dict[int, list[_Process]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if process := _read(int(folder.name)):
            children.setdefault(process.parent, []).append(process)
    found: list[_Process] = []
    parents = [os.getpid()]
    while parents:
        generation = children.get(parents.pop(), [])
        found += generation
        parents += [process.pid for process in generation]
    return found


def _read(pid: int) -> _Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name before the last ")" may hold anything; see proc_pid_stat(5) for the fields.
    fields = stat.rpartition(")")[2].split()
    parent, group, session = map(int, fields[1:4])
    return _Process(pid, parent, group, session, int(fields[19]))
