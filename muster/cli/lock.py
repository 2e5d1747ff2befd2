"""One `muster` at a time changes a stack and its roster."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout


def folder(project: Path) -> Path:
    """Return where locks lie, and what has to be known after a crash; git ignores it."""
    return project / ".muster" / "locks"


@contextmanager
def alone(project: Path, stack: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the stack's lock; where another `muster` holds it, say who, and wait.

    The kernel lets go of the lock when its holder ends, however it ends.
    """
    where = folder(project)
    where.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(where / f"{stack}.lock"), where / f"{stack}.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{_described(holder)} is at work on stack {stack}: waiting for it (Ctrl-C leaves).")
        lock.acquire()
    try:
        holder.write_text(
            json.dumps(
                {
                    "process": os.getpid(),
                    "command": sys.argv[1] if len(sys.argv) > 1 else "",
                    "since": datetime.now().astimezone().strftime("%H:%M:%S"),
                }
            )
        )
        yield
    finally:
        lock.release()


def _described(holder: Path) -> str:
    try:
        told = json.loads(holder.read_text())
    except (OSError, ValueError):
        return "another muster"
    return f"muster {told['command']} (process {told['process']}, since {told['since']})"
