"""A crew that Muster hires, rotates and fires, with a watch beside it."""

import time
from collections.abc import Callable, Iterable

from workplace import Workplace

POLL_INTERVAL = 300
"""Seconds between two cycles of an agent: the crew must not load what is measured."""

TRIES = 3
"""How often what changes nothing is done; the fastest counts."""


class Crew:
    """The crew of a workplace, of agents `a1`, `a2` and so on."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def up(self, names: Iterable[str], rotation: int = 1) -> float:
        """Have Muster make the crew be these agents; return the seconds that it took."""
        self.write(names, rotation)
        began = time.monotonic()
        self._place.up()
        return time.monotonic() - began

    def write(self, names: Iterable[str], rotation: int = 1) -> None:
        """Write a roster of these agents."""
        sections = (
            self._place.agent(name, rotation=rotation, poll_interval=POLL_INTERVAL)
            for name in names
        )
        self._place.roster("".join(sections))

    def preview(self) -> float:
        """Return the seconds that the preview of an unchanged roster takes."""
        return _fastest(lambda: self._place.pulumi("preview", "--expect-no-changes"))

    def seconds(self, *arguments: str) -> float:
        """Return the seconds that a `muster` command takes that changes nothing."""
        return _fastest(lambda: self._place.muster(*arguments))


def _fastest(call: Callable[[], object]) -> float:
    took = []
    for _ in range(TRIES):
        began = time.monotonic()
        call()
        took.append(time.monotonic() - began)
    return min(took)


def names(size: int) -> list[str]:
    """Return the names of so many agents."""
    return [f"a{number}" for number in range(1, size + 1)]
