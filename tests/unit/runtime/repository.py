"""Real repositories for tests, made with the git of this machine."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ann"), ("EMAIL", "ann@x.invalid"))
}
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **AUTHOR}


def git(where: Path, *arguments: str, stdin: str | bytes = "") -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=where,
        env=ENVIRONMENT,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="replace").strip()


def bare(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    return folder


def blob(repository: Path, content: str) -> str:
    return git(repository, "hash-object", "-w", "--stdin", stdin=content)


def commit(repository: Path, entries: str, *parents: str, branch: str | None = None) -> str:
    """Commit a tree that is described as `git ls-tree` does, unchecked; return the commit."""
    tree = git(repository, "mktree", "--missing", stdin=entries)
    follows = [word for parent in parents for word in ("-p", parent)]
    made = git(repository, "commit-tree", tree, "-m", "message", *follows)
    if branch:
        git(repository, "update-ref", f"refs/heads/{branch}", made)
    return made


def commit_files(repository: Path, files: Mapping[str, str], branch: str = "main") -> str:
    """Commit files of the root folder to a branch; return the commit."""
    entries = [f"100644 blob {blob(repository, text)}\t{name}" for name, text in files.items()]
    return commit(repository, "\n".join(entries), branch=branch)
