"""The queue of an endpoint, with real processes that contend for it and are killed."""

import itertools
import os
import queue
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runtime.endpoint_queue import CancelledError, EndpointQueue, listing

URL = "http://model.example:8080"
SECONDS = 10
"""How long anything may take."""

CONTENDER = """
import os, sys
from pathlib import Path
from runtime.endpoint_queue import EndpointQueue

folder, url, slots, agent = sys.argv[1:]
os.umask(0o077)
queue = EndpointQueue(Path(folder), url, int(slots), agent)
with queue.turn(lambda *place: print("waits", *place, flush=True), lambda: False):
    print("holds", flush=True)
    sys.stdin.readline()
print("left", flush=True)
"""

RACER = """
import os, sys, time
from pathlib import Path
from runtime.endpoint_queue import EndpointQueue

folder, url, agent = sys.argv[1:]
with EndpointQueue(Path(folder), url, 1, agent).turn(lambda *place: None, lambda: False):
    os.mkdir(os.path.join(folder, "held"))  # fails if another one holds the endpoint
    time.sleep(0.01)
    os.rmdir(os.path.join(folder, "held"))
"""


class Contender:
    """A process that says what happens to it, and holds the endpoint until it may leave."""

    def __init__(self, *arguments: str | Path) -> None:
        self._process = start(CONTENDER, *arguments)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line.strip())

    def next(self) -> str:
        """Wait for the next line of what it says."""
        return self._lines.get(timeout=SECONDS)

    def until(self, line: str) -> None:
        while self.next() != line:
            pass

    def leave(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


Contend = Callable[..., Contender]


@pytest.fixture
def contend(tmp_path: Path) -> Iterator[Contend]:
    started = []

    def contend(agent: str, slots: int = 1, url: str = URL) -> Contender:
        started.append(Contender(tmp_path, url, str(slots), agent))
        return started[-1]

    yield contend
    for contender in started:
        contender.close()


def names(folder: Path) -> list[tuple[str, bool]]:
    return [(each.agent, each.holds) for each in listing(folder, URL)]


def never() -> bool:
    return False


def test_a_free_endpoint_is_held_at_once(contend: Contend) -> None:
    assert contend("a").next() == "holds"


def test_whoever_came_first_is_served_first(contend: Contend) -> None:
    contenders = [contend("a")]
    contenders[0].until("holds")
    for place in (1, 2, 3):
        contenders.append(contend("a"))
        contenders[-1].until(f"waits {place} {place}")
    for first, second in itertools.pairwise(contenders):
        first.leave()
        second.until("holds")


def test_each_change_of_place_is_reported(contend: Contend) -> None:
    first = contend("a")
    first.until("holds")
    second = contend("b")
    second.until("waits 1 1")
    third = contend("c")
    assert [third.next(), second.next()] == ["waits 2 2", "waits 1 2"]
    first.leave()
    assert [second.next(), third.next()] == ["holds", "waits 1 1"]


def test_a_place_that_stays_the_same_is_reported_once(contend: Contend, tmp_path: Path) -> None:
    contend("a").until("holds")
    polls = itertools.count(1)
    places: list[tuple[int, int]] = []
    mine = EndpointQueue(tmp_path, URL, 1, "b")
    turn = mine.turn(lambda *place: places.append(place), lambda: next(polls) == 3)
    with pytest.raises(CancelledError), turn:
        pytest.fail("the endpoint is held by another one")
    assert places == [(1, 1)]


def test_ten_agents_at_once_never_hold_an_endpoint_together(tmp_path: Path) -> None:
    racers = [start(RACER, tmp_path, URL, f"agent-{number}") for number in range(10)]
    for racer in racers:
        racer.communicate(timeout=60)
    assert [racer.returncode for racer in racers] == [0] * 10


def test_a_killed_holder_frees_the_endpoint(contend: Contend) -> None:
    first = contend("a")
    first.until("holds")
    second = contend("b")
    second.until("waits 1 1")
    first.kill()
    assert second.next() == "holds"


def test_a_killed_waiter_leaves_the_queue(contend: Contend, tmp_path: Path) -> None:
    first = contend("a")
    first.until("holds")
    second = contend("b")
    second.until("waits 1 1")
    third = contend("c")
    third.until("waits 2 2")
    second.kill()
    assert third.next() == "waits 1 1"
    assert names(tmp_path) == [("a", True), ("c", False)]


def test_two_slots_are_held_by_two(contend: Contend) -> None:
    first, second = contend("a", 2), contend("b", 2)
    first.until("holds")
    second.until("holds")
    third = contend("c", 2)
    assert third.next() == "waits 1 1"
    second.leave()
    assert third.next() == "holds"


def test_endpoints_have_separate_queues(contend: Contend) -> None:
    contend("a").until("holds")
    assert contend("b", url="http://model.example:8081").next() == "holds"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://model.example:8080", "http://model.example:8080/"),
        ("http://model.example:8080", "HTTP://Model.Example:8080"),
        ("http://model.example/v1", "http://model.example:80/v1/"),
        ("https://model.example", "https://model.example:443"),
    ],
)
def test_spellings_of_an_endpoint_share_a_queue(tmp_path: Path, one: str, other: str) -> None:
    with EndpointQueue(tmp_path, one, 1, "a").turn(lambda *_: None, never):
        assert [each.agent for each in listing(tmp_path, other)] == ["a"]


def test_who_is_stopped_leaves_the_queue(contend: Contend, tmp_path: Path) -> None:
    contend("a").until("holds")
    stopped = threading.Event()
    mine = EndpointQueue(tmp_path, URL, 1, "b")
    with pytest.raises(CancelledError), mine.turn(lambda *_: stopped.set(), stopped.is_set):
        pytest.fail("the endpoint is held by another one")
    assert names(tmp_path) == [("a", True)]


def test_a_failure_frees_the_endpoint(tmp_path: Path) -> None:
    mine = EndpointQueue(tmp_path, URL, 1, "a")
    with pytest.raises(ZeroDivisionError), mine.turn(lambda *_: None, never):
        raise ZeroDivisionError
    assert listing(tmp_path, URL) == []


def test_the_listing_says_who_holds_and_who_waits_since_when(
    contend: Contend, tmp_path: Path
) -> None:
    began = time.time()
    contend("dev-qwen").until("holds")
    contend("review-qwen").until("waits 1 1")
    holder, waiter = listing(tmp_path, URL)
    assert [(holder.agent, holder.holds), (waiter.agent, waiter.holds)] == [
        ("dev-qwen", True),
        ("review-qwen", False),
    ]
    assert began - 1 < holder.since <= waiter.since < time.time() + 1


def test_an_endpoint_that_nobody_used_has_an_empty_listing(tmp_path: Path) -> None:
    assert listing(tmp_path, URL) == []


def test_the_files_can_be_used_by_the_users_of_other_containers(
    contend: Contend, tmp_path: Path
) -> None:
    contend("a").until("holds")
    [folder] = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}
