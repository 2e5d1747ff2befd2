"""A task's folder: what a hostile session leaves there neither escapes nor stops the runtime."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import bare, blob, commit, commit_files, git
from runtime import processes
from runtime import tree as module
from runtime.git import GitError, Mirror
from runtime.jail import unsupported
from runtime.tree import Identity, Tree, TreeError

pytestmark = pytest.mark.skipif(unsupported() is not None, reason=str(unsupported()))

QUICK = 20.0
"""Seconds that stand for "at once", on a busy machine."""


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    folder = bare(tmp_path / "mirror.git")
    commit_files(folder, {"README.md": "hello\n"})
    return Mirror(folder, "http://forge.invalid/x.git", lambda: ("bot", "token"))


@pytest.fixture
def tree(tmp_path: Path, mirror: Mirror) -> Tree:
    made = Tree(
        tmp_path / "tasks" / "issue-1",
        mirror,
        Identity("bot", "bot@x.invalid"),
        sandbox_off=False,
    )
    made.make("muster/issue-1", str(mirror.resolve("main")))
    return made


def commit_and_deliver(tree: Tree) -> None:
    tree.commit("Add a file")
    tree.deliver("refs/muster/tasks/issue-1")


def in_tree(tree: Tree, command: str) -> None:
    """Do what a session may have done, without its jail."""
    subprocess.run(["bash", "-c", command], cwd=tree.path, env=tree.environment(), check=True)


def test_a_change_reaches_the_mirror_as_a_commit_of_the_bot(tree: Tree, mirror: Mirror) -> None:
    (tree.path / "new.txt").write_text("new\n")
    assert tree.commit("Add a file")
    made = tree.deliver("refs/muster/tasks/issue-1")
    assert mirror.resolve("refs/muster/tasks/issue-1") == made
    assert mirror.show(made, "new.txt") == "new\n"
    assert mirror.run("show", "--no-patch", "--format=%an %ce", made) == "bot bot@x.invalid\n"


def test_a_tree_without_a_change_delivers_its_base(tree: Tree, mirror: Mirror) -> None:
    assert not tree.commit("Nothing")
    assert tree.deliver("refs/muster/tasks/issue-1") == mirror.resolve("main")


def test_history_is_lent_and_not_copied(tree: Tree) -> None:
    copied = list((tree.path / ".git" / "objects").glob("??/*"))
    assert copied == []
    assert list((tree.path / ".git" / "objects" / "pack").iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("100644 blob {}\t.git", "hasDotgit"),
        ("100644 blob {}\t.GIT", "hasDotgit"),
        ("100644 blob {}\t..", "hasDotdot"),
        ("100644 blob {}\tgit~1", "hasDotgit"),
        ("120000 blob {}\t.gitmodules", "gitmodulesSymlink"),
    ],
)
def test_an_evil_object_does_not_reach_the_mirror(
    tree: Tree, mirror: Mirror, entry: str, fault: str
) -> None:
    repository = tree.path / ".git"
    evil = commit(repository, entry.format(blob(repository, "../x")), tree.head())
    git(tree.path, "update-ref", "HEAD", evil)
    with pytest.raises(TreeError, match=fault):
        tree.deliver("refs/muster/tasks/issue-1")
    assert mirror.resolve(evil) is None


def test_a_submodules_address_that_is_an_option_does_not_reach_the_mirror(
    tree: Tree, mirror: Mirror
) -> None:
    (tree.path / ".gitmodules").write_text('[submodule "a"]\n\tpath = a\n\turl = --upload-pack=x\n')
    tree.commit("Add a submodule")
    with pytest.raises(TreeError, match="gitmodulesUrl"):
        tree.deliver("refs/muster/tasks/issue-1")
    assert mirror.resolve(tree.head()) is None


def test_a_commit_without_all_its_objects_is_refused(tree: Tree, mirror: Mirror) -> None:
    nothing = "0123456789abcdef0123456789abcdef01234567"
    evil = commit(tree.path / ".git", f"100644 blob {nothing}\tfile", tree.head())
    git(tree.path, "update-ref", "HEAD", evil)
    with pytest.raises(TreeError):
        tree.deliver("refs/muster/tasks/issue-1")
    assert mirror.resolve("refs/muster/tasks/issue-1") is None


def test_objects_of_another_folder_are_not_taken_along(
    tree: Tree, mirror: Mirror, tmp_path: Path
) -> None:
    private = bare(tmp_path / "private.git")
    secret = blob(private, "secret")
    alternates = tree.path / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{mirror.folder}/objects\n{private}/objects\n")
    evil = commit(tree.path / ".git", f"100644 blob {secret}\tfile", tree.head())
    git(tree.path, "update-ref", "HEAD", evil)
    with pytest.raises(TreeError):
        tree.deliver("refs/muster/tasks/issue-1")
    with pytest.raises(GitError):
        mirror.run("cat-file", "-e", secret)


PROGRAMS = {
    "hooks": "mkdir -p .git/hooks; printf '#!/bin/sh\n{0}\n' | tee .git/hooks/{{pre-commit,"
    "post-commit,reference-transaction,post-index-change}} > /dev/null; chmod +x .git/hooks/*",
    "a hooks folder": "printf '#!/bin/sh\n{0}\n' > pre-commit; chmod +x pre-commit;"
    " git config core.hooksPath .",
    "filters": "echo '* filter=evil diff=evil' > .gitattributes;"
    " git config filter.evil.clean '{0}; cat'; git config diff.evil.textconv '{0}; cat'",
    "a filter process": "echo '* filter=evil' > .gitattributes;"
    " git config filter.evil.process '{0}'; git config filter.evil.required false",
    "settings": "for name in core.fsmonitor core.sshCommand core.pager core.editor gpg.program"
    " diff.external uploadpack.packObjectsHook; do git config $name '{0}'; done;"
    " for name in credential.helper alias.status alias.bundle alias.add; do"
    " git config $name '!{0}'; done; git config commit.gpgSign true",
    "settings of the user": "git config --global core.fsmonitor '{0}';"
    " git config --global core.hooksPath $PWD; git config --global gpg.program '{0}'",
    "an included file": "printf '[core]\n\tfsmonitor = {0}\n' > evil;"
    " git config include.path ../evil",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_of_the_trees_configuration_runs_outside_the_jail(
    tree: Tree, tmp_path: Path, program: str
) -> None:
    outside = tmp_path / "outside"
    in_tree(tree, PROGRAMS[program].format(f"echo x >> {outside}"))
    (tree.path / "new.txt").write_text("new\n")
    try:
        tree.commit("Add a file")
        tree.deliver("refs/muster/tasks/issue-1")
    except TreeError:
        pass  # the model has spoilt its own repository: the attempt fails
    tree.remove()
    assert not outside.exists()


SPOILT: dict[str, str] = {
    "a .git that links to the mirror": "rm -rf .git; ln -s {mirror} .git",
    "a .git that names the mirror": "rm -rf .git; echo 'gitdir: {mirror}' > .git",
    "a .git that names another repository": "rm -rf .git; git init -q {outside};"
    " echo 'gitdir: {outside}/.git' > .git",
    "no .git": "rm -rf .git",
    "an empty .git": "rm -rf .git; mkdir .git",
    "a work tree elsewhere": "git config core.worktree /etc",
    "a folder for a HEAD": "rm .git/HEAD; mkdir .git/HEAD",
    "a broken configuration": "echo '[' > .git/config",
    "a lock": "touch .git/index.lock",
    "alternates that lead nowhere": "echo /nonexistent > .git/objects/info/alternates",
}


@pytest.mark.slow
@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_spoilt_repository_fails_and_changes_nothing_elsewhere(
    tree: Tree, mirror: Mirror, tmp_path: Path, spoilt: str
) -> None:
    outside = tmp_path / "outside"
    before = mirror.run("for-each-ref"), (mirror.folder / "config").read_text()
    (tree.path / "new.txt").write_text("new\n")
    in_tree(tree, SPOILT[spoilt].format(mirror=mirror.folder, outside=outside))
    tree.settle()
    with pytest.raises(TreeError):
        commit_and_deliver(tree)
    assert (mirror.run("for-each-ref"), (mirror.folder / "config").read_text()) == before


PIPES = {
    "attributes": "mkfifo .gitattributes",
    "ignored files": "mkfifo .gitignore",
    "a file of the project": "rm README.md; mkfifo README.md",
    "the configuration": "rm .git/config; mkfifo .git/config",
    "the index": "rm .git/index; mkfifo .git/index",
    "HEAD": "rm .git/HEAD; mkfifo .git/HEAD",
    "alternates": "rm .git/objects/info/alternates; mkfifo .git/objects/info/alternates",
    "an included file": "mkfifo $TMPDIR/pipe; git config include.path $TMPDIR/pipe",
    "the user's configuration": "mkfifo $HOME/.gitconfig",
}


@pytest.mark.parametrize("place", PIPES)
def test_git_does_not_wait_for_a_pipe_that_a_session_left(tree: Tree, place: str) -> None:
    began = time.monotonic()
    in_tree(tree, PIPES[place])
    tree.settle()
    try:
        tree.commit("Add a file")
        tree.deliver("refs/muster/tasks/issue-1")
    except TreeError:
        pass  # the repository lacks a file now
    assert time.monotonic() - began < QUICK


def test_a_command_that_waits_is_ended(tree: Tree) -> None:
    began = time.monotonic()
    in_runtime(lambda: tree.run("mkfifo pipe; cat pipe", 0.5).code is None)
    assert time.monotonic() - began < QUICK / 2


def test_git_is_ended_when_it_takes_too_long(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GIT_SECONDS", 0.5)
    in_tree(tree, "mkfifo .gitattributes")
    with pytest.raises(TreeError, match=r"git add took longer than 0\.5 s"):
        tree.commit("Add a file")


def test_of_endless_output_only_the_end_is_kept(tree: Tree) -> None:
    in_runtime(lambda: 0 < len(tree.run("yes", 0.5).output) <= module.OUTPUT)
    many = "head -c 9000000 /dev/zero | tr '\\0' y; echo the end"
    assert tree.run(many, 60).output.endswith("yythe end\n")


def test_a_change_that_is_too_large_is_not_taken(
    tree: Tree, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUNDLE_LIMIT", 1 << 20)
    (tree.path / "large").write_bytes(os.urandom(2 << 20))
    tree.commit("Add a large file")
    with pytest.raises(TreeError, match="the change is larger than 1 MiB"):
        tree.deliver("refs/muster/tasks/issue-1")
    assert mirror.resolve("refs/muster/tasks/issue-1") is None


def test_a_folder_without_rights_is_usable_again(tree: Tree) -> None:
    for path in (tree.path, tree.folder):
        path.chmod(0)
    assert tree.run("echo works", 60).output == "works\n"
    assert tree.path.stat().st_mode & 0o777 == 0o700


def test_a_folder_is_removed_whatever_its_rights_and_its_depth(tree: Tree) -> None:
    in_tree(tree, "mkdir locked; touch locked/file; chmod 0 locked")
    make = "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"
    subprocess.run([sys.executable, "-c", make], cwd=tree.path, check=True)
    tree.remove()
    assert not tree.folder.exists()


LEAVE = "(setsid sh -c 'sleep 300 & sleep 300' > /dev/null 2>&1 &)"


def test_nothing_that_a_command_detached_runs_on(tree: Tree) -> None:
    in_runtime(lambda: tree.run(LEAVE, 60).code == 0 and no_child_is_left())


def test_nothing_that_git_started_runs_on(tree: Tree) -> None:
    (tree.folder / "home" / "filter").write_text(f"{LEAVE}; cat")
    in_tree(tree, 'echo "* filter=x" > .gitattributes; git config filter.x.clean "sh $HOME/filter"')
    in_runtime(lambda: tree.try_git("add", "--all") and no_child_is_left())


def no_child_is_left() -> bool:
    """Whether this process has no child: a subreaper gets all that was left behind."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def in_runtime(check: Callable[[], bool]) -> None:
    """Check something in a process that is a subreaper, as the runtime is, unlike pytest."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            processes.become_subreaper()
            status = 0 if check() else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_of_claude_codes_folder_only_transcripts_stay(tree: Tree) -> None:
    """A session could leave settings there that the next one obeys."""
    claude = tree.folder / "claude"
    (claude / "projects" / "x").mkdir(parents=True)
    (claude / "projects" / "x" / "session.jsonl").touch()
    (claude / "hooks").mkdir()
    for name in ("settings.json", ".claude.json", "CLAUDE.md"):
        (claude / name).touch()
    tree.settle()
    assert [path.name for path in claude.iterdir()] == ["projects"]
    assert (claude / "projects" / "x" / "session.jsonl").exists()
