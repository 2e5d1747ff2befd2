"""The container's health check: `python3 -m runtime.health`.

Exit codes are Docker's: 0 is healthy, 1 is not. An agent that waits is healthy, whatever it waits
for; a forge that refuses the token, or a process that shows no sign of life, is not.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from runtime import state

PATIENCE = 60
"""Seconds without a sign of life; there is one every ten."""


def complaint(record: Mapping[str, Any]) -> str | None:
    """Return why an agent with this state is not healthy, or None if it is."""
    age = abs((datetime.now(UTC) - datetime.fromisoformat(record["time"])).total_seconds())
    if age > PATIENCE:
        return f"no sign of life for {age:.0f} s"
    if record["waiting_for"] == "token":
        return str((record["error"] or {}).get("forge", "the forge refuses the token"))
    return None


def main() -> int:
    """Print the verdict and return the exit code."""
    try:
        record = state.read(state.DATA)
    except FileNotFoundError:
        print("no state yet")
        return 1
    if not record["cycle"]:
        print("no cycle yet")
        return 1
    with suppress(OSError):  # a full disk
        (state.DATA / state.CHECKED).touch()
    written = (state.DATA / state.FILE).stat().st_mtime
    seen = datetime.fromtimestamp(written, UTC).isoformat()
    reason = complaint(record | {"time": seen})
    print(reason or "healthy")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
