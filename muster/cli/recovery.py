"""What a killed run leaves: a lock, creates that were begun, plugins without an engine."""

import json
import os
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from muster.cli.changes import Changes
from muster.cli.engine import Engine, EngineError

_LOCKED = re.compile(r"created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)")
_PROJECT = "muster"  # as Pulumi.yaml names it; several projects may share a state
_PLUGINS = ("pulumi-resource-", "pulumi-language-")
_DYNAMIC = "pulumi.dynamic"  # the module that hosts the dynamic resources
_ABOUT_NOW = 5.0  # seconds by which clocks of lock and process may differ
_END_SECONDS = 5.0


@dataclass(frozen=True)
class Lock:
    """A stack's lock.

    Attributes:
        user: who holds it.
        host: on which machine.
        process: by which process.
        since: from when on, in ISO 8601.
    """

    user: str
    host: str
    process: int
    since: str

    def __str__(self) -> str:
        """Say who holds it."""
        return f"{self.user} on {self.host} (process {self.process})"

    def is_stale(self) -> bool:
        """Tell whether its process was on this machine and has ended."""
        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.process)
            named = process.name()
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False
        since = datetime.fromisoformat(self.since).timestamp()
        return not _is_engine(named) or process.create_time() > since + _ABOUT_NOW


def lock_of(engine: Engine) -> Lock | None:
    """Return the stack's lock, where there is one and the state is in files.

    Pulumi tells of a lock only where it is in the way.

    Raises:
        EngineError: Pulumi does not say where the state is.
    """
    kind, _, folder = engine.backend().partition("?")[0].partition("://")
    if kind != "file":
        return None
    locks = engine.project / Path(folder).expanduser() / ".pulumi" / "locks"
    for file in locks.glob(f"**/{_PROJECT}/{engine.stack}/*.json"):
        try:
            told = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):  # its update is about to begin, or has ended
            continue
        return Lock(told["username"], told["hostname"], told["pid"], told["timestamp"])
    return None


def clean_up(engine: Engine, deployment: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """End plugins whose engine is gone, and clear the creates that it had begun.

    Raises:
        EngineError: Pulumi failed, or somebody else is updating the stack.
    """
    for plugin in orphans(engine.project):
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            say(f"A killed run left {plugin.name()} (process {plugin.pid}) at work: ended.")
            end(plugin)
    pending = deployment.get("pending_operations") or []
    if pending:
        names = ", ".join(each["resource"]["urn"].rsplit("::", 1)[-1] for each in pending)
        say(f"A killed run had begun and not ended: {names}. Clearing that first.")
        past_stale_lock(engine, say, lambda: engine.clear_pending_creates(Changes()))


def past_stale_lock(engine: Engine, say: Callable[[str], None], run: Callable[[], None]) -> None:
    """Run; where only the lock of a process that is gone is in the way, remove it and run again.

    Raises:
        EngineError: the run failed, or the lock's process lives, or is on another machine.
    """
    try:
        run()
    except EngineError as error:
        told = _LOCKED.search(str(error))
        if told is None:
            raise
        lock = Lock(told[1], told[2], int(told[3]), told[4])
        if not lock.is_stale():
            raise EngineError(
                f"{lock} has been updating stack {engine.stack} since {lock.since}: wait until it "
                "is done. If that process is gone for good: pulumi cancel --stack "
                f"{engine.stack}"
            ) from None
        say(f"A killed run (process {lock.process}) left its lock: removed.")
        engine.unlock()
        run()


def end(plugin: psutil.Process) -> None:
    """End a plugin; one that does not listen is killed."""
    plugin.terminate()
    _, alive = psutil.wait_procs([plugin], timeout=_END_SECONDS)
    for stubborn in alive:
        stubborn.kill()


def orphans(project: Path) -> list[psutil.Process]:
    """Return the plugins that run for this project without an engine above them."""
    return [process for process in psutil.process_iter() if _is_orphan(process, project)]


def _is_orphan(process: psutil.Process, project: Path) -> bool:
    try:
        command = [Path(word).name for word in process.cmdline()[:4]]
        if process.uids().real != os.getuid() or not _is_plugin(command):
            return False
        if Path(process.cwd()) != project.resolve():
            return False
        return not any(_is_engine(parent.name()) for parent in process.parents())
    except psutil.Error:
        return False


def _is_engine(name: str) -> bool:
    """Tell the engine by its process's name; some packagers wrap it as `.pulumi-wrapped`."""
    return "pulumi" in name and not name.startswith("pulumi-")


def _is_plugin(command: list[str]) -> bool:
    return _DYNAMIC in command or any(word.startswith(_PLUGINS) for word in command)
