"""What the loop and the health check tell each other, in files on the data volume."""

import json
from pathlib import Path
from typing import Any

FILE = Path.home() / "data" / "last_cycle.json"
_DRAFT = FILE.with_suffix(".tmp")
HEALTHY = FILE.with_name("healthy")
"""Stands there while the last health check was a good one."""


def clear() -> None:
    """Forget the last cycle: one of an earlier container, with earlier credentials.

    Raises:
        OSError: The folder cannot be written to.
    """
    _DRAFT.touch()
    FILE.unlink(missing_ok=True)
    mark(healthy=False)


def write(record: dict[str, object]) -> None:
    """Keep `record`; a reader sees the old one or the new one, never a part."""
    _DRAFT.write_text(json.dumps(record), "utf-8")
    _DRAFT.replace(FILE)


def read() -> dict[str, Any]:
    """Return the last record.

    Raises:
        FileNotFoundError: No cycle has ended yet.
    """
    record: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return record


def mark(*, healthy: bool) -> None:
    """Note how a health check ended: while all is well, the next may take its time."""
    if healthy:
        HEALTHY.touch()
    else:
        HEALTHY.unlink(missing_ok=True)
