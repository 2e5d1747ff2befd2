"""Git for the runtime: one bare mirror per repository, spoken to with the bot user's token.

Nothing of a repository's content is obeyed here: the mirror has no work tree, hooks are off, and
neither the system's nor a user's configuration is read. Git runs on a model's tree only inside the
jail (`tree`).
"""

import base64
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from muster import hosts

SECONDS = 600
"""How long a transfer may take; git itself gives up after a minute without data."""

_IDENTITY = {
    "GIT_AUTHOR_EMAIL": "muster@muster.invalid",
    "GIT_AUTHOR_NAME": "muster",
    "GIT_COMMITTER_EMAIL": "muster@muster.invalid",
    "GIT_COMMITTER_NAME": "muster",
}
"""Whose commits the mirror's own are: claims."""

_HARMLESS = (
    *("badDate", "badDateOverflow", "badEmail", "badFilemode", "badName", "badTimezone"),
    *("missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate"),
    *("missingSpaceBeforeEmail", "missingTaggerEntry", "nulInCommit", "zeroPaddedDate"),
    "zeroPaddedFilemode",
)
"""What fsck finds in the history of many projects, made by old or other versions of git."""

_FIXED = {
    "core.bigFileThreshold": "16m",
    "core.hooksPath": "/dev/null",
    "fetch.fsckObjects": "true",
    **{f"fetch.fsck.{kind}": "ignore" for kind in _HARMLESS},
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

    def take_bundle(self, bundle: bytes, known: Sequence[str], target: str) -> str:
        """Take the one commit of a bundle, with its objects checked, and set a ref to it.

        Git 2.39 does not check what it fetches from a bundle, so the pack in it is indexed here.

        Args:
            bundle: The bundle.
            known: Commits of the mirror that it builds on.
            target: The mirror's ref for the commit.

        Raises:
            GitError: The bundle or an object in it is broken, or an object is missing.
        """
        header, _, pack = bundle.partition(b"\n\n")
        commit = _bundled_commit(header)
        self._checked(["index-pack", "--stdin", "--fix-thin", "--strict"], stdin=pack)
        # All that the commit needs is here; index-pack knows of the bundle's objects alone.
        self.run("rev-list", "--objects", "--quiet", commit, "--not", *known)
        self.run("update-ref", target, f"{commit}^{{commit}}")
        return commit

    def push(self, commit: str, ref: str, *, expected: str | None = None) -> None:
        """Set a ref at the forge to a commit, or delete it if `commit` is empty.

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
        """Return a text file of a revision, None if there is none.

        Symlinks are followed within the revision, not out of it.
        """
        found = self.run("cat-file", "--batch", "--follow-symlinks", stdin=f"{revision}:{path}\n")
        head, _, content = found.partition("\n")
        _, _, kind = head.partition(" ")
        return content.removesuffix("\n") if kind.startswith("blob ") else None

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
        return self._checked(list(arguments), remote=remote, at=at, stdin=stdin.encode(), more=more)

    def _checked(
        self,
        arguments: Sequence[str],
        *,
        remote: bool = False,
        at: str | None = None,
        stdin: bytes = b"",
        more: Mapping[str, str] | None = None,
    ) -> str:
        done = self._run(arguments, remote=remote, at=at, stdin=stdin, more=more)
        if done.returncode != 0:
            raise GitError(self._reason(done))
        return done.stdout

    def _run(
        self,
        arguments: Sequence[str],
        *,
        remote: bool = False,
        at: str | None = None,
        stdin: bytes = b"",
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        configuration = dict(_FIXED)
        if remote:
            user, token = self._authorization()
            basic = base64.b64encode(f"{user}:{token}".encode()).decode()
            configuration[f"http.{self.url}.extraHeader"] = f"Authorization: Basic {basic}"
        try:
            done = subprocess.run(  # noqa: S603
                ["git", *arguments],  # noqa: S607
                cwd=at or self.folder,
                env=environment(configuration)
                | (proxies(self.url) if remote else {})
                | _IDENTITY
                | dict(more or {}),
                input=stdin,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitError(f"git {arguments[0]} took longer than {SECONDS} s") from None
        output, errors = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, output, errors)

    def _reason(self, done: subprocess.CompletedProcess[str]) -> str:
        rejected = [line for line in done.stdout.splitlines() if line.startswith("!")]
        said = [line for line in done.stderr.splitlines() if line.strip()]
        useful = [line for line in said if line.startswith(("fatal:", "error:", "remote: "))]
        return " ".join([*rejected[:1], *(useful or said)[:2]]) or f"exit code {done.returncode}"


def _bundled_commit(header: bytes) -> str:
    """Return the commit of a bundle's header (gitformat-bundle(5))."""
    first, *lines = header.decode(errors="replace").split("\n")
    refs = [line for line in lines if not line.startswith(("-", "@"))]
    found = re.fullmatch(r"([0-9a-f]{40}|[0-9a-f]{64}) refs/\S+", refs[0]) if refs else None
    if not first.startswith("# v") or found is None or len(refs) != 1:
        raise GitError("the tree's bundle is not valid")
    return found[1]


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
    for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO"):
        if os.environ.get(name):
            variables[name] = os.environ[name]
    for index, (name, value) in enumerate(configuration.items()):
        variables[f"GIT_CONFIG_KEY_{index}"] = name
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    return variables


def proxies(url: str) -> dict[str, str]:
    """Return the environment's proxies for git, none for a forge that is reached directly."""
    return {} if hosts.is_direct(url) else hosts.proxies(os.environ)
