"""What is measured, and the marks: the section "Speed" of the issue that asked for them."""

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from forge_server import ForgeServer
from strict_forge import StrictForge
from workplace import Workplace

from bench.crew import Crew, names
from bench.figures import Figure
from bench.floor import Floor
from bench.gaps import Gaps
from bench.memory import MemoryWatch
from muster import docker_host
from muster.docker import make_empty_image
from muster.docker_engine import describe
from muster.keys import Keys
from muster.project import Project
from muster.roster import load

DYNAMIC_CALLS = 4
"""As many calls as the host of dynamic resources serves at a time (Pulumi 3.256)."""

MORE_THREADS = 8
LARGE = 50
"""The crew that the marks speak of."""

PATIENCE = 1800
"""Seconds that one command may take on a busy machine."""

UPSTREAM = 1.9
"""Seconds, the best that upstream's shell flow was measured at for one agent."""

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Seconds:
    """How long the floor took for each job."""

    hire: float
    rotate: float
    fire: float


@dataclass(frozen=True)
class Bench:
    """Where things are measured: a forge and a Docker engine."""

    server: ForgeServer
    client: docker.DockerClient

    def figures(self, size: int) -> Iterator[Figure]:
        """Measure a crew of this size; the figures come as they are known."""
        few = self._floor(size, DYNAMIC_CALLS)
        many = self._floor(size, MORE_THREADS)
        for job in ("hire", "rotate", "fire"):
            for threads, floor in ((DYNAMIC_CALLS, few), (MORE_THREADS, many)):
                yield Figure(size, f"floor, {threads} threads: {job}", getattr(floor, job), "s")
        with self._workplace() as place, MemoryWatch() as memory:
            yield from self._crew(size, place, few)
        with self._workplace() as place:
            place.environment["PULUMI_SKIP_CHECKPOINTS"] = "true"
            yield from self._changes(size, place, few)
        for part, peak in sorted(memory.peaks.items()):
            yield Figure(size, f"peak memory: {part}", peak / _MEBIBYTE, "MiB")
        yield Figure(size, "peak memory: all", memory.total / _MEBIBYTE, "MiB")

    def start_up(self) -> Figure:
        """Measure how long the command line takes to say what it can do."""
        with self._workplace() as place:
            return Figure(1, "muster --help", Crew(place).seconds("--help"), "s", mark=0.1)

    def first_poll(self) -> Figure:
        """Measure how long a hired agent takes to ask the forge for work."""
        with self._workplace() as place:
            place.roster("")
            place.up()
            began = time.monotonic()
            endpoint = ("--local-model", "http://host.docker.internal:8081", "--model", "a-model")
            user = ("--forge-user", place.user("dev"))
            place.muster("hire", "dev", "dev", *endpoint, *user, "--yes")
            next(iter(place.container("dev").logs(stream=True, follow=True)))
            seconds = time.monotonic() - began
        return Figure(1, "from muster hire to the first poll", seconds, "s")

    def calls(self) -> Figure:
        """Count the API calls that one more agent costs."""
        with StrictForge(self.server.url, strict=False) as proxy, self._workplace() as place:
            place.forge_url = proxy.url
            crew = Crew(place)
            crew.up([])
            made = []
            for size in (1, 3):
                before = proxy.calls.total()
                crew.up(names(size))
                made.append(proxy.calls.total() - before)
        return Figure(1, "API calls for one agent more", made[1] - made[0], "calls", mark=6)

    def _crew(self, size: int, place: Workplace, floor: Seconds) -> Iterator[Figure]:
        crew, everybody = Crew(place), names(size)
        large = size >= LARGE

        def mark(most: float) -> float | None:
            return most if large else None

        _say(f"{size}: an empty crew")
        crew.up([])
        empty_preview = crew.preview()
        yield Figure(size, "preview of an empty crew", empty_preview, "s")
        first = crew.up(["first"])
        yield Figure(size, "hire one into an empty crew", first, "s")
        crew.up([])

        _say(f"{size}: hire")
        hired = crew.up(everybody)
        yield from _against(size, "hire", hired, floor.hire, mark(1.3))
        yield Figure(size, "one agent hired", hired / size, "s")
        faster = UPSTREAM / (hired / size)
        yield Figure(size, "times faster than upstream", faster, "times", mark(3), least=True)
        best = UPSTREAM / (floor.hire / size)
        yield Figure(size, "times faster than upstream: the floor", best, "times")

        _say(f"{size}: preview")
        preview = crew.preview()
        yield Figure(size, "preview with nothing to do", preview, "s")
        yield Figure(size, "preview / of an empty crew", preview / empty_preview, "times", mark(3))

        _say(f"{size}: status")
        yield Figure(size, "muster status", crew.seconds("status"), "s", mark(3))

        _say(f"{size}: one more")
        more = crew.up([*everybody, "more"])
        yield Figure(size, "hire one more", more, "s")
        yield Figure(size, "hire one more / into an empty crew", more / first, "times", mark(2))
        crew.up(everybody)

        _say(f"{size}: rotate")
        with Gaps(self.client, place.name) as gaps:
            rotated = crew.up(everybody, rotation=2)
        yield from _against(size, "rotate all", rotated, floor.rotate, mark(1.3))
        worst, middle = max(gaps.seconds.values()), statistics.median(gaps.seconds.values())
        yield Figure(size, "gap while rotated, longest", worst, "s", mark=3)
        yield Figure(size, "gap while rotated, median", middle, "s")

        _say(f"{size}: fire")
        fired = crew.up([])
        yield from _against(size, "fire all", fired, floor.fire, mark(1.3))

    def _changes(self, size: int, place: Workplace, floor: Seconds) -> Iterator[Figure]:
        crew, everybody, how = Crew(place), names(size), "state written once"
        _say(f"{size}: {how}")
        crew.up([])
        hired = crew.up(everybody)
        yield from _against(size, f"{how}: hire", hired, floor.hire)
        faster = UPSTREAM / (hired / size)
        yield Figure(size, f"{how}: times faster than upstream", faster, "times")
        rotated = crew.up(everybody, rotation=2)
        yield from _against(size, f"{how}: rotate all", rotated, floor.rotate)
        fired = crew.up([])
        yield from _against(size, f"{how}: fire all", fired, floor.fire)

    def _floor(self, size: int, threads: int) -> Seconds:
        _say(f"{size}: floor, {threads} threads")
        with self._workplace() as place:
            Crew(place).write(names(size))
            roster = load(place.roster_path)
            make_empty_image(self.client)
            project = Project(
                place.name,
                roster,
                self.server.administrator,
                Keys(),
                forge_port=0,
                images={},
                docker_host=docker_host.resolve(None),
                docker_engine=describe(self.client),
            )
            floor = Floor(project, self.client, threads)
            return Seconds(floor.hire(), floor.rotate(), floor.fire())

    @contextmanager
    def _workplace(self) -> Iterator[Workplace]:
        name = f"b{secrets.token_hex(3)}"
        with (
            tempfile.TemporaryDirectory() as folder,
            Workplace(Path(folder), self.server, self.client, name) as place,
        ):
            place.patience = PATIENCE
            yield place


def _against(
    size: int, job: str, seconds: float, floor: float, mark: float | None = None
) -> Iterator[Figure]:
    yield Figure(size, job, seconds, "s")
    yield Figure(size, f"{job} / floor", seconds / floor, "times", mark)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
