"""What set-up still has to do, step by step, and how it says so."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class SetupError(Exception):
    """Set-up cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """Something that set-up has to do.

    Attributes:
        title: what it does, with about how long where that is long.
        run: does it; raises SetupError.
        missing: what it needs and set-up cannot bring, a line each with the cure.
    """

    title: str
    run: Callable[[], None]
    missing: tuple[str, ...] = ()


def work_through(steps: list[Step]) -> None:
    """Run the steps in order.

    Raises:
        SetupError: a step lacks something, said for all steps before the first one runs; or
            a step failed.
    """
    missing = dict.fromkeys(line for step in steps for line in step.missing)
    if missing:
        raise SetupError("\n".join(missing))
    for step in steps:
        with _progress(step.title):
            step.run()


@contextmanager
def _progress(title: str) -> Iterator[None]:
    """Say what begins and how long it took; at a terminal also how long it has been running."""
    started = time.monotonic()
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(title, started, done), daemon=True)
    print(f"{title} ...", end="" if sys.stdout.isatty() else "\n", flush=True)
    if sys.stdout.isatty():
        ticker.start()
    try:
        yield
    finally:
        done.set()
        if ticker.is_alive():
            ticker.join()
            print()
    if not sys.stdout.isatty():
        print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def _tick(title: str, started: float, done: threading.Event) -> None:
    while not done.wait(1):
        print(f"\r{title} ... {time.monotonic() - started:.0f} s", end="", flush=True)
