"""A container in an agent's place, which logs what a test wants and works on nothing."""

import json
from datetime import UTC, datetime
from typing import Any

from docker.models.containers import Container
from workplace import Workplace

from muster.names import container_name, labels
from muster.roster import Muster

DATA = "/home/agent/data"
FOREVER = "sleep infinity"

BEGUN = {
    "agent": "dev-qwen",
    "event": "state",
    "message": "",
    "state": "idle",
    "waiting_for": None,
    "task": None,
    "pull": None,
    "queue": None,
    "last": None,
    "today": {"tasks": 0, "tokens": 0, "minutes": 0.0},
    "result": "ok",
    "endpoint": {"status": 200, "ms": 3},
    "error": None,
}


def line(message: str, **changes: Any) -> str:  # noqa: ANN401
    """Return a line as the runtime logs it."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": now, "since": now, **BEGUN, "message": message, **changes})


def printing(*lines: str) -> str:
    """Return a command of the shell that prints lines."""
    return "\n".join(["cat <<'EOF'", *lines, "EOF"])


def stand_in(
    place: Workplace,
    agent: str,
    script: str,
    image: str = Muster().image,
    **options: Any,  # noqa: ANN401
) -> Container:
    """Run a script of the shell in an agent's place; `sleep` ends with the container."""
    name = container_name(place.name, agent)
    return place.client.containers.run(
        image,
        entrypoint=["sh", "-c", script],
        name=name,
        labels=labels(place.name, place.name, agent),
        init=True,
        detach=True,
        **options,
    )
