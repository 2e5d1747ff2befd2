"""What the loop and the health check tell each other, in files on the data volume."""

import json
from pathlib import Path
from typing import Any

FILE = Path.home() / "data" / "last_cycle.json"
_DRAFT = FILE.with_suffix(".tmp")
CHECKED = FILE.with_name("checked")
"""Stands there once a health check has seen a cycle of this container."""


def clear() -> None:
    """Forget the last cycle: one of an earlier container, with earlier credentials.

    Raises:
        OSError: The folder cannot be written to.
    """
    _DRAFT.touch()
    FILE.unlink(missing_ok=True)
    CHECKED.unlink(missing_ok=True)


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
