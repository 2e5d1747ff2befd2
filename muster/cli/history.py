"""Who changed a crew, what and when: kept in the messages of Pulumi's history."""

import getpass
import itertools
import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

_MESSAGE = re.compile(r"(muster( .*)?) \((\S+@\S+)\)")
_KINDS = {"update": "up"}
"""Pulumi's words for the runs that its history has, where its command has another one."""

_CHANGES = {
    "create": "created",
    "update": "changed",
    "replace": "replaced",
    "delete": "removed",
}


@dataclass(frozen=True)
class Run:
    """One update of the stack.

    Attributes:
        time: when it began.
        who: `user@host`; None for plain `pulumi`, which does not record it.
        command: what was typed, without options.
        result: Pulumi's word: `succeeded`, `failed` or `in-progress`.
        changes: how many resources it changed, by Pulumi's operation.
    """

    time: datetime
    who: str | None
    command: str
    result: str
    changes: Mapping[str, int]

    def report(self) -> dict[str, Any]:
        """Return the run for programs."""
        return {
            "time": self.time.isoformat(),
            "who": self.who,
            "command": self.command,
            "result": self.result,
            "changes": dict(self.changes),
        }


def message() -> str:
    """Return what the history keeps of an update: the command without options, and who ran it."""
    words = itertools.takewhile(lambda word: not word.startswith("-"), sys.argv[1:])
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{' '.join(['muster', *words])} ({user}@{socket.gethostname()})"


def runs(recorded: list[dict[str, Any]]) -> list[Run]:
    """Return the runs that Pulumi's history has, in its order: the last one first."""
    return [_run(each) for each in recorded]


def _run(recorded: Mapping[str, Any]) -> Run:
    kind = recorded["kind"]
    found = _MESSAGE.fullmatch(recorded.get("message") or "")
    changes = recorded.get("resourceChanges") or {}
    return Run(
        time=datetime.fromisoformat(recorded["startTime"]).astimezone(UTC),
        who=found[3] if found else None,
        command=found[1] if found else f"pulumi {_KINDS.get(kind, kind)}",
        result=recorded["result"],
        changes={op: changes[op] for op in _CHANGES if changes.get(op)},
    )


def table(found: list[Run]) -> Table:
    """Return a row for each run."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("WHEN", "WHO", "COMMAND", "RESULT", "CHANGES"):
        shown.add_column(title, overflow="fold")
    for run in found:
        counts = [f"{run.changes[op]} {word}" for op, word in _CHANGES.items() if op in run.changes]
        shown.add_row(
            f"{run.time.astimezone():%Y-%m-%d %H:%M}",
            Text(run.who or "-"),
            Text(run.command),
            Text(run.result, "red" if run.result == "failed" else ""),
            ", ".join(counts) or "nothing",
        )
    return shown
