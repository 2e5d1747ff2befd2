"""A task's folder: the tree that the model changes, and what else its processes may write.

    tasks/issue-12/tree     the work tree; its history is lent by the mirror, read-only
                   home     HOME
                   claude   Claude Code's configuration and transcripts
                   tmp      temporary files
                   gateway  the gateway's socket while there is a session
                   system.md  for the system prompt; read-only in the jail
                   task.json  the runtime's own, outside the jail's reach

Everything that reads the tree runs in the jail: git filters, hooks and configuration that a model
left there can do no more than the model could. A change leaves it as a bundle, through a pipe.
"""

import json
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import modes, output, processes
from runtime.git import GitError, Mirror
from runtime.jail import Jail
from runtime.output import Command

WRITABLE = ("tree", "home", "claude", "tmp")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GIT_SECONDS = 300
GIT_OUTPUT = 4 << 20
"""Bytes that git may print."""

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
        env: The roster's variables for what runs on the tree.
        proxies: The proxies, for commands that have a network.
        restore: Undoes what a session may have done to the modes of the agent's other files.
    """

    def __init__(  # noqa: PLR0913 - one argument a fact
        self,
        folder: Path,
        mirror: Mirror,
        identity: Identity,
        *,
        sandbox_off: bool,
        env: Mapping[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        restore: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.path = folder / "tree"
        self.system = folder / "system.md"
        self.socket = folder / "gateway"
        self._mirror = mirror
        self._identity = identity
        self._off = sandbox_off
        self._env = dict(env or {})
        self._proxies = dict(proxies or {})
        self._restore_others = restore

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
        """Remove the folder, if it exists.

        Raises:
            TreeError: Something of it cannot be removed.
        """
        remove = ["rm", "-rf", "--one-file-system", "--", str(self.folder)]
        if _succeeds(remove):
            return
        # A model may have taken away its own rights to folders.
        _succeeds(["chmod", "-R", "u+rwX", "--", str(self.folder)])
        if not _succeeds(remove):
            raise TreeError(f"cannot remove {self.folder}")

    def settle(self) -> None:
        """End what a session or a command left behind.

        Processes are killed. Pipes and sockets are removed: git would wait for a pipe's writer. Of
        Claude Code's folder only the transcripts stay: the next session would obey its settings.
        """
        processes.kill_descendants(0.0)
        self._restore_others()
        self._restore()
        folders = [str(self.folder / name) for name in WRITABLE]
        _succeeds(["find", *folders, "(", "-type", "p", "-o", "-type", "s", ")", "-delete"])
        others = ("-mindepth", "1", "-maxdepth", "1", "!", "-name", "projects")
        _succeeds(["find", str(self.folder / "claude"), *others, "-exec", "rm", "-rf", "{}", "+"])

    def _restore(self) -> None:
        """Take back the rights to the task's folders: Landlock lets a model change their modes."""
        for path in (self.folder, *(self.folder / name for name in WRITABLE)):
            modes.restore_one(path)

    def jail(self, *, network: bool = False, writable: Sequence[Path] | None = None) -> Jail:
        """Return the jail of this task."""
        lent = (self._mirror.folder, self.system, self.socket, *_public_files(self._env))
        return Jail(
            readable=tuple(path for path in lent if path.exists()),
            writable=tuple(writable or (self.folder / name for name in WRITABLE)),
            ports=None if network else (),
            off=self._off,
        )

    def environment(self) -> dict[str, str]:
        """Return what is fixed of the environment of all that runs in the jail."""
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

    def variables(self, *, network: bool = False) -> dict[str, str]:
        """Return the environment of sessions and commands, built from nothing.

        The roster chooses language and terminal, but not whose files and commits these are.
        """
        fixed = self.environment()
        chosen = {name: fixed.pop(name) for name in ("LANG", "TERM")}
        return {**chosen, **self._env, **(self._proxies if network else {}), **fixed}

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
        done = self._git_bytes(where, *arguments, limit=GIT_OUTPUT, writable=writable)
        return done.decode(errors="replace")

    def _git_bytes(
        self, where: Path, *arguments: str, limit: int, writable: Sequence[Path] | None = None
    ) -> bytes:
        self._restore()
        # Options that a model's .git/config cannot override, so that git starts nothing of it.
        safe = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
        try:
            command = Command(
                self.jail(writable=writable).command(["git", *safe, *arguments]),
                where,
                # Nor does it read the configuration in the HOME that a model writes to.
                self.environment() | {"GIT_CONFIG_GLOBAL": "/dev/null"},
            )
            done = output.run(command, GIT_SECONDS, limit)
        except (PermissionError, FileNotFoundError, NotADirectoryError) as error:
            raise TreeError(f"git {arguments[0]}: {error.strerror}") from None
        if done.code is None:
            raise TreeError(f"git {arguments[0]} took longer than {GIT_SECONDS} s")
        if done.code != 0:
            said = done.errors.decode(errors="replace").splitlines()
            raise TreeError(f"git {arguments[0]}: {_last(said) or 'failed'}")
        if done.is_cut:
            raise TreeError(f"git {arguments[0]} printed more than {limit >> 20} MiB")
        return done.output

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
        self._restore()
        shell = Command(
            self.jail(network=network).command(["sh", "-c", command]),
            self.path,
            self.variables(network=network) | dict(more or {}),
        )
        done = output.run(shell, seconds, OUTPUT * 4, together=True, stopped=stopped)
        self.settle()
        return Result(done.code, done.errors.decode(errors="replace")[-OUTPUT:])

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

    def deliver(self, target: str, known: Sequence[str] = ()) -> str:
        """Take the tree's commits into the mirror, as a bundle that is checked by fsck.

        Args:
            target: The mirror's ref that they get.
            known: Commits that the mirror has, besides the one that the tree began with.

        Returns:
            The commit.

        Raises:
            TreeError: The change is too large or broken, or git failed in the jail.
        """
        known = [str(self.notes["base"]), *known]
        head = self.head()
        if head in known:
            self._mirror.run("update-ref", target, head)
            return head
        self.git("update-ref", "refs/heads/muster-deliver", "HEAD")
        create = ("bundle", "create", "--quiet", "-", "refs/heads/muster-deliver")
        others = [f"^{commit}" for commit in known]
        try:
            bundle = self._git_bytes(self.path, *create, *others, limit=BUNDLE_LIMIT)
        except TreeError as error:
            if "printed more" in str(error):
                raise TreeError(f"the change is larger than {BUNDLE_LIMIT >> 20} MiB") from None
            raise
        try:
            return self._mirror.take_bundle(bundle, known, target)
        except GitError as error:
            raise TreeError(f"the change is not valid: {error}") from None


def _public_files(env: Mapping[str, str]) -> list[Path]:
    """Return the files that variables name and everybody may read, as a CA's certificates."""
    named = {Path(value) for value in env.values() if value.startswith("/")}
    return sorted(path for path in named if _is_public(path))


def _is_public(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)


def _succeeds(command: Sequence[str]) -> bool:
    """Run a program of the system on a task's folder; return whether it succeeded."""
    done = subprocess.run(  # noqa: S603
        command,
        env={"PATH": PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def _last(lines: Sequence[str]) -> str | None:
    return next((line for line in reversed(lines) if line.strip()), None)
