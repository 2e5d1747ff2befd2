"""A task's folder: the tree that the model changes, and what else its processes may write.

    tasks/issue-12/tree     the work tree; its history is lent by the mirror, read-only
                   home     HOME
                   claude   Claude Code's configuration and transcripts
                   tmp      temporary files
                   out      what leaves the tree: the bundle
                   system.md  for the system prompt; read-only in the jail
                   task.json  the runtime's own, outside the jail's reach

Everything that reads the tree runs in the jail: git filters, hooks and configuration that a model
left there can do no more than the model could.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import processes
from runtime.git import Mirror
from runtime.jail import Jail

WRITABLE = ("tree", "home", "claude", "tmp", "out")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GIT_SECONDS = 300
OUTPUT = 20_000
"""Characters of a command's output that are kept: its end."""

BUNDLE_LIMIT = 50 << 20
"""Bytes that a change may have, packed."""


class TreeError(Exception):
    """A step on the tree failed; the message is one line."""


@dataclass(frozen=True)
class Result:
    """How a command ended: `code` is None if it was stopped for taking too long."""

    code: int | None
    output: str


@dataclass(frozen=True)
class Identity:
    """Whose commits these are."""

    name: str
    email: str


class Tree:
    """One task's folder.

    Args:
        folder: The task's folder.
        mirror: The repository whose history is lent.
        identity: Whose commits these are.
        sandbox_off: Whether the roster has switched the jail off.
    """

    def __init__(
        self, folder: Path, mirror: Mirror, identity: Identity, *, sandbox_off: bool
    ) -> None:
        self.folder = folder
        self.path = folder / "tree"
        self.system = folder / "system.md"
        self._mirror = mirror
        self._identity = identity
        self._off = sandbox_off

    @property
    def notes(self) -> dict[str, Any]:
        """What the runtime keeps about the task, such as its session; empty for a new one."""
        try:
            kept: dict[str, Any] = json.loads((self.folder / "task.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return kept

    def note(self, **values: Any) -> None:  # noqa: ANN401 - JSON
        """Add to the notes."""
        draft = self.folder / "task.json.tmp"
        draft.write_text(json.dumps(self.notes | values), "utf-8")
        draft.replace(self.folder / "task.json")

    def make(self, branch: str, commit: str) -> None:
        """Make the tree afresh: this branch, at this commit.

        Raises:
            TreeError: Git failed in the jail.
            OSError: The disk is full.
        """
        self.remove()
        for name in WRITABLE:
            (self.folder / name).mkdir(parents=True)
        self.path.rmdir()
        source = self._mirror.folder
        self.folder.chmod(0o700)
        clone = ("clone", "--quiet", "--shared", "--no-checkout", str(source), "tree")
        self._git(self.folder, *clone, writable=(self.folder,))
        self.git("checkout", "--quiet", "--no-track", "-B", branch, commit)
        self.note(branch=branch, base=commit)

    def remove(self) -> None:
        """Remove the folder, if it exists."""
        if self.folder.exists():
            # A model may have taken away its own rights to folders.
            for root, folders, _ in os.walk(self.folder):
                for name in folders:
                    path = Path(root, name)
                    if not path.is_symlink():
                        path.chmod(0o700)
            shutil.rmtree(self.folder)

    def jail(
        self, ports: Sequence[int] | None = (), writable: Sequence[Path] | None = None
    ) -> Jail:
        """Return the jail of this task; without ports there is no network, None opens it."""
        lent = (self._mirror.folder, self.system)
        return Jail(
            readable=tuple(path for path in lent if path.exists()),
            writable=tuple(writable or (self.folder / name for name in WRITABLE)),
            ports=None if ports is None else tuple(ports),
            off=self._off,
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of all that runs in the jail, built from nothing."""
        return {
            "GIT_AUTHOR_EMAIL": self._identity.email,
            "GIT_AUTHOR_NAME": self._identity.name,
            "GIT_COMMITTER_EMAIL": self._identity.email,
            "GIT_COMMITTER_NAME": self._identity.name,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "PATH": PATH,
            "TERM": "dumb",
            "TMPDIR": str(self.folder / "tmp"),
        }

    def git(self, *arguments: str) -> str:
        """Run git on the tree, in the jail, without hooks; return what it prints.

        Raises:
            TreeError: It failed.
        """
        return self._git(self.path, *arguments)

    def try_git(self, *arguments: str) -> bool:
        """Run git on the tree, in the jail; return whether it succeeded."""
        try:
            self._git(self.path, *arguments)
        except TreeError:
            return False
        return True

    def _git(self, where: Path, *arguments: str, writable: Sequence[Path] | None = None) -> str:
        jail = self.jail(writable=writable)
        # Options that a model's .git/config cannot override, so that git starts nothing of it.
        safe = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
        command = jail.command(["git", *safe, *arguments])
        try:
            done = subprocess.run(  # noqa: S603
                command,
                cwd=where,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=GIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TreeError(f"git {arguments[0]} took longer than {GIT_SECONDS} s") from None
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise TreeError(f"git {arguments[0]}: {(said or ['failed'])[-1]}")
        return done.stdout

    def run(
        self,
        command: str,
        seconds: float,
        *,
        network: bool = False,
        more: Mapping[str, str] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Run a shell command in the jail, and end what it leaves behind.

        Args:
            command: The command, for `sh -c`.
            seconds: How long it may take.
            network: Whether it may use the network.
            more: More variables.
            stopped: Whether to end it early.
        """
        jail = self.jail(None if network else ())
        log = self.folder / "command.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                jail.command(["sh", "-c", command]),
                cwd=self.path,
                env=self.environment() | dict(more or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = processes.wait(process, seconds, stopped)
            processes.kill_descendants(1.0)
            process.poll()
        with log.open("rb") as written:
            written.seek(max(0, log.stat().st_size - OUTPUT * 2))
            text = written.read().decode(errors="replace")
        return Result(code, text[-OUTPUT:])

    def commit(self, message: str) -> bool:
        """Commit what is not committed yet; return whether there was anything."""
        self.git("add", "--all")
        merging = self.try_git("rev-parse", "--quiet", "--verify", "MERGE_HEAD")
        if self.try_git("diff", "--cached", "--quiet") and not merging:
            return False
        self.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", message)
        return True

    def head(self) -> str:
        """Return the commit that the tree is at."""
        return self.git("rev-parse", "HEAD").strip()

    def deliver(self, target: str) -> str:
        """Take the tree's commits into the mirror, as a bundle that is checked by fsck.

        Args:
            target: The mirror's ref that they get.

        Returns:
            The commit.

        Raises:
            TreeError: The change is too large, or git failed in the jail.
            GitError: The bundle is broken.
        """
        bundle = self.folder / "out" / "change.bundle"
        bundle.unlink(missing_ok=True)
        base = str(self.notes["base"])
        self.git("update-ref", "refs/heads/muster-deliver", "HEAD")
        self.git(
            "bundle", "create", "--quiet", str(bundle), "refs/heads/muster-deliver", f"^{base}"
        )
        if bundle.is_symlink() or not bundle.is_file():
            raise TreeError("the tree's bundle is not a file")
        if bundle.stat().st_size > BUNDLE_LIMIT:
            raise TreeError(f"the change is larger than {BUNDLE_LIMIT >> 20} MiB")
        self._mirror.fetch_bundle(bundle, "refs/heads/muster-deliver", target)
        commit = self._mirror.resolve(target)
        if commit is None:
            raise TreeError("the tree's bundle holds no commit")
        return commit
