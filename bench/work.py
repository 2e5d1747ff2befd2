"""Agents at work: what the runtime adds to a task, and what an idle agent costs."""

import contextlib
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker
from crew import Crew, Worker, bash, says, until
from docker.models.containers import Container
from forge_server import ForgeServer

from bench.figures import Figure

POLL = 5
"""The `poll_interval` of the agents whose reactions are measured, in seconds."""

IDLE_POLL = 60
"""The default `poll_interval`."""

IDLE_SECONDS = 120.0
"""How long idle agents are watched."""

TASKS = 3
MANY = 20
_MEBIBYTE = 1024 * 1024
_WORKING = {"working", "reviewing"}


@dataclass(frozen=True)
class WorkBench:
    """Where agents work: a forge, a Docker engine and a scripted endpoint."""

    server: ForgeServer
    client: docker.DockerClient

    def figures(self) -> Iterator[Figure]:
        """Measure one agent's tasks, then idle agents."""
        with Crew(self.client, self.server) as crew:
            yield from self._tasks(crew)
        with Crew(self.client, self.server) as crew:
            yield from self._idle(crew)
        size = self.client.images.get("muster-agent").attrs["Size"]
        yield Figure(1, "agent image", size / _MEBIBYTE, "MiB")

    def _tasks(self, crew: Crew) -> Iterator[Figure]:
        change = "date >> log.txt"
        crew.plays(("Write a line", [bash(change), says("Done.")]))
        worker = crew.hire("dev", poll_interval=POLL)
        until(lambda: worker.state().get("state") == "idle", "an idle agent")
        claims, overheads = [], []
        for number in range(TASKS):
            began = time.time()
            issue = crew.issue(f"Write a line ({number})")
            pull = crew.pull_for(issue)
            worker.finishes(f"opened #{pull.number}")
            lines = _of_task(worker, issue.number)
            claims.append(_time(lines[0]) - began)
            overheads.append(_overhead(lines))
        yield Figure(1, "from a new issue to its claim", max(claims), "s", mark=POLL + 2)
        overhead = statistics.median(overheads)
        yield Figure(1, "the runtime's own time for a task", overhead, "s", mark=2)
        first = crew.endpoint.requests[0].body
        yield Figure(1, "first request", len(json.dumps(first)) / 1024, "KiB")
        usage = [line for line in worker.lines() if line["today"]["tokens"]]
        yield Figure(1, "tokens of a task", usage[-1]["today"]["tokens"] / TASKS, "tokens")

    def _idle(self, crew: Crew) -> Iterator[Figure]:
        with crew.wire() as wire:
            worker = crew.hire("dev", poll_interval=1, forge_url=wire.url)
            until(lambda: worker.state().get("state") == "idle", "an idle agent")
            before, cycle = len(wire.requests), _cycle(worker)
            until(lambda: _cycle(worker) >= cycle + 20, "20 cycles")
            requests, cycles = len(wire.requests) - before, _cycle(worker) - cycle
            yield Figure(1, "forge requests per idle cycle", requests / cycles, "calls", mark=2.1)
            worker.container.remove(force=True)
        workers = [crew.hire(f"a{number}", poll_interval=IDLE_POLL) for number in range(MANY)]
        until(lambda: all(each.container.health == "healthy" for each in workers), "healthy agents")
        containers = [each.container for each in workers]
        used = {each.name: _processor_seconds(each) for each in containers}
        time.sleep(IDLE_SECONDS)  # this is what is measured
        shares = [
            (_processor_seconds(each) - used[each.name]) / IDLE_SECONDS * 100 for each in containers
        ]
        memory = [_memory(each) / _MEBIBYTE for each in containers]
        yield Figure(MANY, "idle agent: memory, median", statistics.median(memory), "MiB", mark=60)
        yield Figure(MANY, "idle agent: processor, median", statistics.median(shares), "%", 0.5)
        yield Figure(MANY, "idle agents: memory of all", sum(memory), "MiB")
        yield Figure(MANY, "idle agents: processor of all", sum(shares), "%")


def _of_task(worker: Worker, issue: int) -> list[dict[str, Any]]:
    """Return the lines from an issue's claim to its end."""
    lines = worker.lines()
    claimed = f"Claiming #{issue}."
    [begin] = [number for number, line in enumerate(lines) if line["message"] == claimed]
    last = f"#{issue}"
    end = next(
        number
        for number in range(begin, len(lines))
        if (lines[number]["last"] or {}).get("task") == last
    )
    return lines[begin : end + 1]


def _overhead(lines: list[dict[str, Any]]) -> float:
    """Return the seconds of a task that were not spent in sessions."""
    whole = _time(lines[-1]) - _time(lines[0])
    for line, following in itertools.pairwise(lines):
        if line["state"] in _WORKING:
            whole -= _time(following) - _time(line)
    return whole


def _time(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def _cycle(worker: Worker) -> int:
    """Return the number of the agent's cycle, from its state file: idle cycles are not logged."""
    with contextlib.suppress(ValueError, KeyError):
        return int(json.loads(worker.run("cat", "/home/agent/data/state.json")[1])["cycle"])
    return 0


def _processor_seconds(container: Container) -> float:
    return float(_stats(container)["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


def _memory(container: Container) -> float:
    """Return the memory in use, without the page cache, as `docker stats` shows it."""
    found = _stats(container)["memory_stats"]
    cache = found["stats"].get("total_inactive_file", found["stats"].get("inactive_file", 0))
    return float(found["usage"]) - float(cache)


def _stats(container: Container) -> dict[str, Any]:
    found = container.stats(stream=False)
    assert isinstance(found, dict)  # noqa: S101 - docker's types say that it may be a stream
    return found
