"""Git for the runtime: one bare mirror per repository, spoken to with the bot user's token.

Nothing of a repository's content is obeyed here: the mirror has no work tree, hooks are off, and
neither the system's nor a user's configuration is read. Git runs on a model's tree only inside the
jail (`prepare`, `work`).
"""

import base64
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SECONDS = 600
"""How long a transfer may take; git itself gives up after a minute without data."""

NOBODY = {"GIT_AUTHOR_NAME": "muster", "GIT_AUTHOR_EMAIL": "muster@muster.invalid"}

_FIXED = {
    "core.hooksPath": "/dev/null",
    "fetch.fsckObjects": "true",
    "gc.autoDetach": "false",
    "http.followRedirects": "initial",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "protocol.allow": "never",
    "protocol.file.allow": "always",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
}


class GitError(Exception):
    """Git failed; the message is its last line, without a secret."""


class PushRejectedError(GitError):
    """The ref at the forge is not what was expected, or the forge refuses this push."""


class Mirror:
    """A bare copy of the project's repository.

    Args:
        folder: Where it lies.
        url: The repository's address at the forge.
        authorization: Returns user name and token.
    """

    def __init__(
        self, folder: Path, url: str, authorization: Callable[[], tuple[str, str]]
    ) -> None:
        self.folder = folder
        self.url = url
        self._authorization = authorization

    def make(self) -> None:
        """Make the mirror if it does not exist; what an interrupted fetch left is continued."""
        if not (self.folder / "HEAD").exists():
            self.run("init", "--bare", "--quiet", "--initial-branch=main", str(self.folder), at="/")

    def fetch(self, *refspecs: str, prune: bool = False) -> None:
        """Fetch refs from the forge.

        Raises:
            GitError: The forge does not answer, refuses, or sends a broken object.
        """
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--force"]
        options += ["--prune"] if prune else []
        self.run("fetch", *options, self.url, *refspecs, remote=True)

    def fetch_bundle(self, bundle: Path, ref: str, target: str) -> None:
        """Take a commit from a bundle file, checked by fsck.

        Raises:
            GitError: The bundle is broken, or lacks a commit that it needs.
        """
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--force")
        self.run("fetch", *options, str(bundle), f"{ref}:{target}")

    def push(self, commit: str, ref: str, *, expected: str | None = None) -> None:
        """Set a ref at the forge to a commit, or delete it where `commit` is empty.

        Args:
            commit: The commit, empty to delete.
            ref: The full ref.
            expected: What the ref must be now: a commit, or empty for "does not exist".

        Raises:
            PushRejectedError: The ref is something else, or the forge refuses.
            GitError: The forge does not answer.
        """
        lease = [] if expected is None else [f"--force-with-lease={ref}:{expected}"]
        done = self._run(
            ["push", "--porcelain", "--no-verify", *lease, self.url, f"{commit}:{ref}"], remote=True
        )
        if done.returncode == 0:
            return
        if any(line.startswith("!") for line in done.stdout.splitlines()):
            raise PushRejectedError(self._reason(done))
        raise GitError(self._reason(done))

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a revision names, None if there is none."""
        done = self._run(["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"])
        return done.stdout.strip() or None

    def show(self, revision: str, path: str) -> str | None:
        """Return a text file of a revision, None if there is none."""
        done = self._run(["cat-file", "blob", f"{revision}:{path}"])
        return done.stdout if done.returncode == 0 else None

    def merges(self, one: str, other: str) -> bool:
        """Whether two revisions merge without a conflict."""
        return (
            self._run(["merge-tree", "--write-tree", "--no-messages", one, other]).returncode == 0
        )

    def run(
        self,
        *arguments: str,
        remote: bool = False,
        at: str | None = None,
        stdin: str = "",
        more: Mapping[str, str] | None = None,
    ) -> str:
        """Run git on the mirror and return what it prints.

        Raises:
            GitError: It failed.
        """
        done = self._run(list(arguments), remote=remote, at=at, stdin=stdin, more=more)
        if done.returncode != 0:
            raise GitError(self._reason(done))
        return done.stdout

    def _run(
        self,
        arguments: Sequence[str],
        *,
        remote: bool = False,
        at: str | None = None,
        stdin: str = "",
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        configuration = dict(_FIXED)
        if remote:
            user, token = self._authorization()
            basic = base64.b64encode(f"{user}:{token}".encode()).decode()
            configuration[f"http.{self.url}.extraHeader"] = f"Authorization: Basic {basic}"
        try:
            return subprocess.run(  # noqa: S603
                ["git", *arguments],  # noqa: S607
                cwd=at or self.folder,
                env=environment(configuration) | NOBODY_COMMITS | dict(more or {}),
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitError(f"git {arguments[0]} took longer than {SECONDS} s") from None

    def _reason(self, done: subprocess.CompletedProcess[str]) -> str:
        rejected = [line for line in done.stdout.splitlines() if line.startswith("!")]
        said = [line for line in done.stderr.splitlines() if line.strip()]
        useful = [line for line in said if line.startswith(("fatal:", "error:", "remote: "))]
        return " ".join([*rejected[:1], *(useful or said)[:2]]) or f"exit code {done.returncode}"


NOBODY_COMMITS = {
    **NOBODY,
    "GIT_COMMITTER_NAME": NOBODY["GIT_AUTHOR_NAME"],
    "GIT_COMMITTER_EMAIL": NOBODY["GIT_AUTHOR_EMAIL"],
}


def environment(configuration: Mapping[str, str]) -> dict[str, str]:
    """Return git's environment: this configuration, given so that no command line shows it."""
    variables = {
        "GIT_CONFIG_COUNT": str(len(configuration)),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
    }
    for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "http_proxy", "https_proxy", "no_proxy"):
        if os.environ.get(name):
            variables[name] = os.environ[name]
    for index, (name, value) in enumerate(configuration.items()):
        variables[f"GIT_CONFIG_KEY_{index}"] = name
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    return variables
