"""The lines that several containers logged, in the order of time, and those that they log now."""

import heapq
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from docker.models.containers import Container

from muster import agent_container, agent_log

_OVERLAP = timedelta(seconds=2)
"""How far a log that is followed is read back: Docker takes whole seconds only."""


@dataclass(frozen=True, order=True)
class Logged:
    """A line of an agent's log.

    Attributes:
        time: when Docker took it, in RFC 3339 with nanoseconds, so that texts sort as times.
        agent: the agent.
        line: the line.
    """

    time: str
    agent: str
    line: str


class LogLines:
    """The logs of some agents' containers.

    Args:
        containers: the containers, by agent.
        kept: what earlier containers, or all, left in the agents' data volumes, by agent.
        since: the time from which on lines count; None is the first.
    """

    def __init__(
        self,
        containers: Mapping[str, Container],
        kept: Mapping[str, Sequence[str]],
        since: datetime | None,
    ) -> None:
        self._containers, self._kept, self._since = containers, kept, since
        self._last: dict[str, str] = {}
        self._began = datetime.now(UTC)

    def written(self) -> Iterator[Logged]:
        """Return what was logged so far, oldest first."""
        logs = [self._read(agent, self._since, follow=False) for agent in self._containers]
        earlier = [self._earlier(agent) for agent in self._kept]
        for logged in heapq.merge(*earlier, *logs):
            self._last[logged.agent] = logged.time
            yield logged

    def _earlier(self, agent: str) -> Iterator[Logged]:
        """Return the kept lines from before the agent's container."""
        container = self._containers.get(agent)
        until = str(container.attrs["Created"]) if container else None
        for line in self._kept[agent]:
            read = agent_log.read(line)
            if read is None or (self._since is not None and read.time < self._since):
                continue
            time = f"{read.time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
            if until is None or time < until:
                yield Logged(time, agent, line)

    def coming(self) -> Iterator[Logged]:
        """Return what is logged after that, as it comes, until every container has ended."""
        came: queue.SimpleQueue[Logged | None] = queue.SimpleQueue()
        since = self._began - _OVERLAP

        def follow(agent: str) -> None:
            try:
                for logged in self._read(agent, since, follow=True):
                    if logged.time > self._last.get(agent, ""):
                        came.put(logged)
            finally:
                came.put(None)

        for agent in self._containers:
            threading.Thread(target=follow, args=(agent,), daemon=True).start()
        for _ in self._containers:
            while (logged := came.get()) is not None:
                yield logged

    def _read(self, agent: str, since: datetime | None, *, follow: bool) -> Iterator[Logged]:
        container = self._containers[agent]
        for line in agent_container.log_lines(container, since=since, follow=follow, timed=True):
            time, _, rest = line.partition(" ")
            yield Logged(time, agent, rest)
