"""Large repositories: a second task costs no copy of the history, and many branches little time."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from repository import bare, commit_files, git
from runtime.git import Mirror
from runtime.jail import unsupported
from runtime.tree import Identity, Tree

pytestmark = pytest.mark.skipif(unsupported() is not None, reason=str(unsupported()))

MEGABYTE = 1 << 20
BRANCHES = "+refs/heads/*:refs/heads/*"


def mirror_of(origin: Path, folder: Path) -> Mirror:
    folder.mkdir()
    made = Mirror(folder, str(origin), lambda: ("bot", "token"))
    made.make()
    made.fetch(BRANCHES, prune=True)
    return made


def tree_for(mirror: Mirror, folder: Path) -> Tree:
    made = Tree(folder, mirror, Identity("bot", "bot@x.invalid"), sandbox_off=False)
    made.make("muster/issue-1", str(mirror.resolve("main")))
    return made


def size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())


def deliver(tree: Tree) -> str:
    (tree.path / "new.txt").write_text("new\n")
    tree.commit("Add a file")
    return tree.deliver(f"refs/muster/tasks/{tree.folder.name}")


def history(repository: Path, megabytes: int) -> None:
    """Give the branch `main` a history of files that cannot be packed, none of which is left."""
    command = ["git", "fast-import", "--quiet"]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE) as process:
        stdin = process.stdin
        assert stdin is not None
        for number in range(megabytes // 10):
            stdin.write(
                b"commit refs/heads/main\ncommitter ann <ann@x.invalid> %d +0000\ndata 1\nx\n"
                b"deleteall\nM 100644 inline file-%d\ndata %d\n"
                % (1_700_000_000 + number, number, 10 * MEGABYTE)
            )
            stdin.write(os.urandom(10 * MEGABYTE) + b"\n")
        stdin.write(
            b"commit refs/heads/main\ncommitter ann <ann@x.invalid> 1700009999 +0000\ndata 1\nx\n"
            b"deleteall\nM 100644 inline README.md\ndata 5\nhello\n"
        )
    assert process.returncode == 0


@pytest.mark.slow
def test_tasks_of_a_repository_with_500_mb_of_history_copy_nothing(tmp_path: Path) -> None:
    origin = bare(tmp_path / "origin.git")
    history(origin, 500)
    mirror = mirror_of(origin, tmp_path / "mirror.git")
    before = size(mirror.folder)
    assert before > 500 * MEGABYTE
    for name in ("issue-1", "issue-2"):
        began = time.monotonic()
        tree = tree_for(mirror, tmp_path / "tasks" / name)
        made = deliver(tree)
        assert time.monotonic() - began < 10
        assert mirror.show(made, "new.txt") == "new\n"
        assert size(tree.folder) < MEGABYTE
    assert size(mirror.folder) - before < MEGABYTE


@pytest.mark.slow
def test_a_repository_with_5000_branches_is_worked_on(tmp_path: Path) -> None:
    origin = bare(tmp_path / "origin.git")
    made = commit_files(origin, {"README.md": "hello"})
    names = [f"create refs/heads/topic/{number} {made}" for number in range(5000)]
    names += [f"create refs/tags/v{number} {made}" for number in range(5000)]
    git(origin, "update-ref", "--stdin", stdin="\n".join([*names, ""]))
    mirror = mirror_of(origin, tmp_path / "mirror.git")
    began = time.monotonic()
    mirror.fetch(BRANCHES, prune=True)
    tree = tree_for(mirror, tmp_path / "tasks" / "issue-1")
    deliver(tree)
    assert time.monotonic() - began < 20
    assert len(mirror.run("for-each-ref", "refs/heads").splitlines()) == 5001
    assert mirror.run("for-each-ref", "refs/tags") == ""
