"""The memory of the processes that the benchmark starts: engine, program and plugins."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

PROC = Path("/proc")
PAUSE = 0.2
"""Seconds between two looks."""

_KIBIBYTE = 1024
_PARTS = (
    ("pulumi-resource-docker", "plugin docker"),
    ("pulumi-resource-command", "plugin command"),
    ("pulumi-resource-pulumi-python", "plugin dynamic"),
    ("pulumi.dynamic", "plugin dynamic"),
    ("pulumi-language-python-exec", "program"),
    ("pulumi-language-python", "language host"),
    ("pulumi", "engine"),
)


class MemoryWatch:
    """Watches this process's descendants while it is entered.

    A process's peak is the kernel's own (`VmHWM`), so none is missed between two looks. Pages
    that processes share count for each of them.

    Attributes:
        peaks: the highest peak of each part in bytes: `engine`, `program`, `plugin docker`...
    """

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._done.set()
        self._thread.join()

    @property
    def total(self) -> int:
        """The sum of all peaks in bytes."""
        return sum(self.peaks.values())

    def _watch(self) -> None:
        while not self._done.wait(PAUSE):
            for process in _descendants(PROC / "self"):
                self._look(process)

    def _look(self, process: Path) -> None:
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            status = (process / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return
        part = next((part for word, part in _PARTS if word in command), "other")
        peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        for peak in peaks:
            self.peaks[part] = max(self.peaks.get(part, 0), int(peak) * _KIBIBYTE)


def _descendants(process: Path) -> Iterator[Path]:
    for children in process.glob("task/*/children"):
        try:
            pids = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for pid in pids:
            yield PROC / pid
            yield from _descendants(PROC / pid)
