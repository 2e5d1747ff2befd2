"""What every step of the runtime works with."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from muster.forge import User, WorkForge
from runtime.claim import Claims
from runtime.git import Mirror
from runtime.modes import Places
from runtime.report import Effort
from runtime.settings import Settings
from runtime.state import Reporter
from runtime.tree import Identity, Tree

T = TypeVar("T")

MINUTE = 60.0
SOON = 10.0


class StoppedError(Exception):
    """The container is being stopped."""


class Cache:
    """Keeps answers for a while."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Any]] = {}

    def get(self, key: str, seconds: float, ask: Callable[[], T]) -> T:
        """Return what `ask` answers, or answered at most so many seconds ago."""
        at, answer = self._kept.get(key, (0.0, None))
        if key not in self._kept or time.monotonic() - at > seconds:
            answer = ask()
            self._kept[key] = (time.monotonic(), answer)
        return cast("T", answer)


@dataclass
class Services:
    """The agent's tools.

    Attributes:
        settings: What the roster says.
        forge: The project's repository at the forge.
        mirror: Its copy here.
        claims: Who holds which issue.
        reporter: The agent's state.
        user: The bot user.
        stopped: Set once the container is being stopped.
        repos: The folder for the mirror and the tasks.
        data: The folder for the state and the transcripts.
        endpoints: The folder with the queues of the endpoints, shared by the host's agents.
    """

    settings: Settings
    forge: WorkForge
    mirror: Mirror
    claims: Claims
    reporter: Reporter
    user: User
    stopped: threading.Event
    repos: Path
    data: Path
    endpoints: Path
    cache: Cache = field(default_factory=Cache)

    @property
    def identity(self) -> Identity:
        """The author of the agent's commits."""
        return Identity(self.user.login, self.user.email or f"{self.user.login}@muster.invalid")

    def tree(self, kind: str, number: int | str) -> Tree:
        """Return the folder of a task."""
        return Tree(
            self.repos / "tasks" / f"{kind}-{number}",
            self.mirror,
            self.identity,
            sandbox_off=self.settings.work.sandbox == "off",
            env=self.settings.env,
            proxies=self.settings.proxies,
            restore=self.places.restore,
        )

    @property
    def places(self) -> Places:
        """Where the agent's own files are."""
        return Places(self.data, self.repos, self.mirror.folder, self.endpoints)

    def effort(self, turns: int, tokens: int, seconds: float) -> Effort:
        """Return what a task took, as the forge shows it."""
        settings = self.settings
        return Effort(
            settings.agent,
            settings.model,
            settings.endpoint_name,
            turns,
            tokens,
            seconds / MINUTE,
        )

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: The container is being stopped.
        """
        if self.stopped.wait(seconds):
            raise StoppedError

    @property
    def primary(self) -> str:
        """The mirror's ref of the primary branch."""
        return f"refs/heads/{self.settings.primary_branch}"

    def fetch_branches(self) -> str:
        """Fetch all branches; return the primary branch's commit.

        Raises:
            GitError: The forge does not answer.
            LookupError: The primary branch does not exist.
        """
        self.mirror.make()
        self.mirror.fetch("+refs/heads/*:refs/heads/*", prune=True)
        commit = self.mirror.resolve(self.primary)
        if commit is None:
            raise LookupError(
                f"{self.settings.repo} has no branch {self.settings.primary_branch}: correct "
                "primary_branch in the roster, then muster up"
            )
        return commit

    def is_writer(self, account: str) -> bool:
        """Whether an account may write to the repository; somebody new is found within seconds."""
        name = account.lower()
        known = (self.cache.get("writers", age, self.forge.writers) for age in (5 * MINUTE, SOON))
        return any(name in writers for writers in known)

    def may_trigger(self, author: str) -> bool:
        """Whether an account's issues trigger work (`[muster.work] authors`)."""
        authors = self.settings.work.authors
        if authors == "anyone":
            return True
        if isinstance(authors, list):
            return author.lower() in {name.lower() for name in authors}
        return self.is_writer(author)
