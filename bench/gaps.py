"""For how long containers do not run."""

import threading
from typing import Any, Self

import docker

_SECOND = 1e9


class Gaps:
    """Watches containers of a project end and start while it is entered.

    Attributes:
        seconds: for each container that ended and started again, how long it did not run, by
            name: from the engine's event `die` to the next `start`.
    """

    def __init__(self, client: docker.DockerClient, project: str) -> None:
        self.seconds: dict[str, float] = {}
        self._ended: dict[str, int] = {}
        self._events = client.events(
            decode=True,
            filters={"event": ["die", "start"], "label": f"muster.project={project}"},
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._events.close()
        self._thread.join()

    def _watch(self) -> None:
        for event in self._events:
            self._note(event)

    def _note(self, event: dict[str, Any]) -> None:
        name = event["Actor"]["Attributes"]["name"]
        if event["Action"] == "die":
            self._ended[name] = event["timeNano"]
        elif name in self._ended:
            self.seconds[name] = (event["timeNano"] - self._ended.pop(name)) / _SECOND
