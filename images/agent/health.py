"""The container's health check: `python3 health.py`.

Exit codes are Docker's: 0 is healthy, 1 is not. Healthy means that the last cycle is recent and
that the forge accepted the token in it. An endpoint that is down does not count: the agent waits
for it, and another container would wait as well.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import state

if TYPE_CHECKING:
    from collections.abc import Mapping

GRACE = 30
"""Seconds that a cycle may take, waiting for servers that do not answer."""


def complaint(record: Mapping[str, Any]) -> str | None:
    """Return why an agent with this last cycle is not healthy, or None where it is."""
    age = abs((datetime.now(UTC) - datetime.fromisoformat(record["time"])).total_seconds())
    if age > 2 * int(os.environ["POLL_INTERVAL"]) + GRACE:
        return f"the last cycle is {age:.0f} s old"
    errors: Mapping[str, str] = record["error"] or {}
    return errors.get("forge")


def main() -> int:
    """Print the verdict and return the exit code."""
    try:
        record = state.read()
    except FileNotFoundError:
        print("no cycle yet")
        return 1
    state.CHECKED.touch()
    reason = complaint(record)
    print(reason or "healthy")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
