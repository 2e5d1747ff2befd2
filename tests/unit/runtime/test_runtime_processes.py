"""Ending processes: real ones, some of which do their best to stay."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime import processes

KILLER = """
import json, os, subprocess, sys, time
from runtime import processes

def started(*argv):
    # Killed with this program, so that a failing test leaves nothing behind.
    command = ("setpriv", "--pdeathsig", "KILL", *argv)
    process = subprocess.Popen(command, start_new_session=True)
    while not os.path.exists(argv[-1]):
        time.sleep(0.01)
    return process
"""
"""Begins a program that plays the runtime, so that nothing else descends from it."""

DAEMON = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() or not os.setsid() and os.fork():
    os._exit(0)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(20)
"""
"""Leaves its parent, session and process group, ignores polite signals, and writes its number."""

FUGITIVE = """
import os, sys, time
open(sys.argv[1], "w").close()
until = time.monotonic() + 20
while time.monotonic() < until:
    if os.fork():
        os._exit(0)
"""
"""Is a new process every fraction of a millisecond."""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that a process writes when it is ready."""
    return tmp_path / "mark"


def run(code: str, *arguments: str | Path) -> object:
    """Run a program after `KILLER` and return what it printed."""
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", KILLER + code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# Descendants


def test_a_daemon_that_ignores_sigterm_is_ended(mark: Path) -> None:
    code = """
processes.become_subreaper()
started(sys.executable, "-c", *sys.argv[1:])
print(json.dumps(processes.kill_descendants(0.1)))
"""
    assert run(code, DAEMON, mark) is True
    assert not lives(int(mark.read_text()))


def test_a_process_that_keeps_replacing_itself_is_ended(mark: Path) -> None:
    code = """
processes.become_subreaper()
started(sys.executable, "-c", *sys.argv[1:])
ended = processes.kill_descendants(0)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print(json.dumps([ended, "no child"]))
"""
    assert run(code, FUGITIVE, mark) == [True, "no child"]


def test_ended_children_are_reaped(mark: Path) -> None:
    code = """
processes.become_subreaper()
started("sh", "-c", 'sh -c "exit 0" & touch "$0"', sys.argv[1])
processes.kill_descendants(0)
print(json.dumps(open("/proc/self/task/%d/children" % os.getpid()).read()))
"""
    assert run(code, mark) == ""


TRAP = """
processes.become_subreaper()
script = 'trap "echo polite > $0.end; exit" TERM; touch "$0"; while :; do sleep 0.05; done'
started("sh", "-c", script, sys.argv[1])
began = time.monotonic()
processes.kill_descendants(float(sys.argv[2]))
print(json.dumps(time.monotonic() - began))
"""


def test_with_grace_a_process_can_clean_up_and_nobody_waits_longer(mark: Path) -> None:
    seconds = run(TRAP, mark, "20")
    assert mark.with_name("mark.end").read_text() == "polite\n"
    assert isinstance(seconds, float)
    assert seconds < 10


def test_without_grace_a_process_cannot_clean_up(mark: Path) -> None:
    run(TRAP, mark, "0")
    assert not mark.with_name("mark.end").exists()


def test_a_stopped_process_is_ended(mark: Path) -> None:
    code = """
processes.become_subreaper()
started("sh", "-c", 'touch "$0"; kill -STOP $$', sys.argv[1])
print(json.dumps(processes.kill_descendants(0.1)))
"""
    assert run(code, mark) is True


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "20"]) as process:
        yield process
        process.kill()


def test_no_other_process_is_touched(mark: Path, bystander: subprocess.Popen[bytes]) -> None:
    code = """
processes.become_subreaper()
started("sh", "-c", 'touch "$0"; exec sleep 20', sys.argv[1])
print(json.dumps(processes.kill_descendants(0.1)))
"""
    assert run(code, mark) is True
    assert bystander.poll() is None


def test_without_descendants_it_returns_at_once() -> None:
    code = """
began = time.monotonic()
processes.kill_descendants(20)
print(json.dumps(time.monotonic() - began < 10))
"""
    assert run(code) is True


# One process


def test_a_processs_exit_code_is_returned() -> None:
    with subprocess.Popen(["sh", "-c", "exit 7"]) as process:
        assert processes.wait(process, 20, lambda: False) == 7


def test_a_process_that_takes_too_long_is_ended() -> None:
    with subprocess.Popen(["sleep", "20"]) as process:
        assert processes.wait(process, 0.1, lambda: False) is None
        assert process.poll() == -signal.SIGTERM


def test_a_process_that_is_not_wanted_any_more_is_ended() -> None:
    with subprocess.Popen(["sleep", "20"]) as process:
        assert processes.wait(process, 60, lambda: True) is None
        assert process.poll() == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed(mark: Path) -> None:
    script = 'trap "" TERM; touch "$0"; sleep 20'
    with subprocess.Popen(["sh", "-c", script, mark]) as process:
        deadline = time.monotonic() + 10
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        processes.terminate(process, 0.1)
        assert process.poll() == -signal.SIGKILL
