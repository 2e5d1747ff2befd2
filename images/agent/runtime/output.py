"""Runs commands that are not trusted: what they print is bounded, and nothing of them runs on."""

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runtime import processes

CHUNK = 1 << 16
DRAIN_SECONDS = 1.0
"""How long the end of a stream may take once all its writers were killed."""


@dataclass(frozen=True)
class Command:
    """A command, its working folder and its environment."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code, None if it was stopped.
        output: The first bytes of its standard output.
        errors: The last bytes of its standard error; of both if they are one.
        is_cut: Whether `output` is not all of it.
    """

    code: int | None
    output: bytes
    errors: bytes
    is_cut: bool


class _Drain(threading.Thread):
    """Reads a stream to its end and keeps a limited part: the first bytes, or the last."""

    def __init__(self, stream: IO[bytes], limit: int, *, last: bool) -> None:
        super().__init__(daemon=True)
        self.kept = bytearray()
        self.size = 0
        self._stream, self._limit, self._last = stream, limit, last
        self.start()

    def run(self) -> None:
        """Read."""
        while chunk := self._stream.read1(CHUNK):  # type: ignore[attr-defined]
            self.size += len(chunk)
            if self._last:
                self.kept += chunk
                del self.kept[: -self._limit]
            else:
                self.kept += chunk[: self._limit - len(self.kept)]


def run(
    command: Command,
    seconds: float,
    limit: int,
    *,
    together: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Ended:
    """Run a command, then kill everything that it started.

    Args:
        command: The command.
        seconds: How long it may take.
        limit: How many bytes of each stream are kept.
        together: Whether standard output goes where standard error goes.
        stopped: Whether to end it early.

    Raises:
        OSError: It cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603
        command.argv,
        cwd=command.cwd,
        env=command.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if together else subprocess.PIPE,
        start_new_session=True,
    )
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    # The last stream is where errors go; of the other one the beginning counts.
    drains = [_Drain(each, limit, last=each is streams[-1]) for each in streams]
    code = processes.wait(process, seconds, stopped)
    processes.kill_descendants(0.0)
    for drain, stream in zip(drains, streams, strict=True):
        drain.join(DRAIN_SECONDS)
        if not drain.is_alive():
            stream.close()
    output = drains[0]
    return Ended(code, bytes(output.kept), bytes(drains[-1].kept), output.size > limit)
