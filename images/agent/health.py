"""The container's health check: `python3 health.py`.

Exit codes are Docker's: 0 is healthy, 1 is not. Healthy means that the last cycle is recent and
that the forge accepted the token in it. An endpoint that is down does not count: the agent waits
for it, and another container would wait as well.
"""

import os
import sys
from datetime import UTC, datetime

import state

GRACE = 30
"""Seconds that a cycle may take, waiting for servers that do not answer."""


def complaint() -> str | None:
    """Return why the agent is not healthy, or None where it is."""
    try:
        record = state.read()
    except FileNotFoundError:
        return "no cycle yet"
    age = abs((datetime.now(UTC) - datetime.fromisoformat(record["time"])).total_seconds())
    if age > 2 * int(os.environ["POLL_INTERVAL"]) + GRACE:
        return f"the last cycle is {age:.0f} s old"
    errors: dict[str, str] = record["error"] or {}
    return errors.get("forge")


def main() -> int:
    """Print the verdict and return the exit code."""
    reason = complaint()
    state.mark(healthy=reason is None)
    print(reason or "healthy")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
