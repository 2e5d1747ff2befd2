"""How long tests wait: in seconds of an idle machine, so that a busy one has more of them."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

COMMAND = 900.0
"""Seconds for one command, on any machine. The slowest takes a minute on two idle cores."""


class Patience:
    """A time limit that runs slower on a busy machine.

    With three processes for each core, ten seconds of it take thirty.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._checked = time.monotonic()

    def is_left(self) -> bool:
        """Count the time since the last call; return whether the limit is not reached yet."""
        now = time.monotonic()
        wanted = os.getloadavg()[0] / (os.cpu_count() or 1)
        self._left -= (now - self._checked) / max(1.0, wanted)
        self._checked = now
        return self._left > 0


def until(answer: Callable[[], T | None], what: str, seconds: float) -> T:
    """Return the first answer that is not None, False or empty.

    Raises:
        TimeoutError: there was none within so many seconds of an idle machine.
    """
    patience = Patience(seconds)
    while not (found := answer()):
        if not patience.is_left():
            raise TimeoutError(f"after {seconds:g} s: {what}")
        time.sleep(0.1)
    return found
