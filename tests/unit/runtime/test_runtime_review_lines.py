"""Reviews: a comment is placed on a line that git's diff shows, or else into the text."""

from pathlib import Path

import pytest
from runtime.review import _is_valid, shown_lines
from workshop import git, mirror

DIFF = ("diff", "--unified=3", "--no-renames", "--no-textconv", "--no-color")
"""As a review asks for it."""

TEN = "".join(f"line {number}\n" for number in range(1, 11))
NAMES = [
    "plain.py",
    "folder/deep er/with space.py",
    "umläut/grüße 漢.py",
    'quo"te.py',
    "back\\slash.py",
    "tab\there.py",
    "b/b/b.py",
    " leading and trailing ",
    "-dash.py",
    "a => b.py",
    "new\nline.py",
]


class Repository:
    """A repository with a work tree, and a mirror of it."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.tree.mkdir()
        git(self.tree, "init", "--quiet", "--initial-branch=main")
        self.mirror = mirror(folder / "mirror", self.tree)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            self.file(name, text)

    def file(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def commit(self) -> str:
        git(self.tree, "add", "--all")
        git(self.tree, "commit", "--quiet", "--allow-empty", "--message", "work")
        return git(self.tree, "rev-parse", "HEAD").strip()

    def shown(self, base: str, head: str) -> dict[str, set[int]]:
        self.mirror.fetch("+refs/heads/*:refs/heads/*")
        return shown_lines(self.mirror.run(*DIFF, base, head))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_changed_file_shows_its_change_and_three_lines_around_whatever_its_name(
    repository: Repository,
) -> None:
    for name in NAMES:
        repository.file(name, TEN)
    base = repository.commit()
    for name in NAMES:
        repository.file(name, TEN.replace("line 5\n", "line 5\nmore\n"))

    shown = repository.shown(base, repository.commit())

    assert shown == {name: {3, 4, 5, 6, 7, 8, 9} for name in NAMES}


def test_all_lines_of_a_new_file_are_shown_whatever_its_name(repository: Repository) -> None:
    base = repository.commit()
    for name in NAMES:
        repository.file(name, "one\ntwo")

    assert repository.shown(base, repository.commit()) == {name: {1, 2} for name in NAMES}


def test_of_a_deleted_file_no_line_is_shown(repository: Repository) -> None:
    repository.write(gone=TEN, kept="one\n")
    base = repository.commit()
    (repository.tree / "gone").unlink()
    repository.write(kept="one\ntwo\n")

    assert repository.shown(base, repository.commit()) == {"kept": {1, 2}}


def test_a_renamed_file_is_shown_as_a_new_one(repository: Repository) -> None:
    repository.write(old=TEN)
    base = repository.commit()
    (repository.tree / "old").rename(repository.tree / "new")

    assert repository.shown(base, repository.commit()) == {"new": {*range(1, 11)}}


def test_a_file_with_two_changes_shows_both_parts(repository: Repository) -> None:
    lines = [f"line {number}\n" for number in range(1, 41)]
    repository.write(long="".join(lines))
    base = repository.commit()
    lines[1:2] = []
    lines[29:30] = ["changed\n", "added\n"]
    repository.write(long="".join(lines))

    shown = repository.shown(base, repository.commit())

    assert shown == {"long": {*range(1, 5), *range(27, 35)}}


def test_a_file_that_only_lost_lines_shows_what_is_around(repository: Repository) -> None:
    repository.write(short=TEN)
    base = repository.commit()
    repository.write(short=TEN.replace("line 5\n", ""))

    assert repository.shown(base, repository.commit()) == {"short": {2, 3, 4, 5, 6, 7}}


def test_a_file_without_text_has_no_lines(repository: Repository) -> None:
    base = repository.commit()
    repository.write(picture="\0\1\2", empty="")
    repository.write(script="#!/bin/sh\n")
    middle = repository.commit()
    (repository.tree / "script").chmod(0o755)

    assert repository.shown(base, middle) == {"script": {1}}
    assert repository.shown(middle, repository.commit()) == {}


def test_a_line_that_looks_like_a_part_of_a_diff_is_a_line(repository: Repository) -> None:
    odd = ["-- a/old.py", "@@ -1 +900,9 @@", "diff --git a/x b/x", "+++ b/x.py", "\\ No newline"]
    repository.write(file="\n".join(["top", *odd, "end"]))
    base = repository.commit()
    repository.write(file="top\n++ b/other.py\n@@ -1 +700 @@\nend")

    assert repository.shown(base, repository.commit()) == {"file": {1, 2, 3, 4}}


def test_only_a_line_feed_ends_a_line(repository: Repository) -> None:
    base = repository.commit()
    odd = ["\f", "\v", "\x1c", "\x85", "\u2028"]
    text = "".join(f"one{each}+++ b/x{each}@@ -1 +9 @@{each}+one\n" for each in odd)
    repository.write(file=text, old="one\r+two\r three\r-four\n")

    assert repository.shown(base, repository.commit()) == {"file": {1, 2, 3, 4, 5}, "old": {1}}


def test_lines_of_windows_are_lines(repository: Repository) -> None:
    base = repository.commit()
    repository.write(file="one\r\ntwo\r\n")

    assert repository.shown(base, repository.commit()) == {"file": {1, 2}}


def test_nothing_changed_nothing_shown() -> None:
    assert shown_lines("") == {}


@pytest.mark.parametrize("verdict", [None, 5, ["approve"], {"approve": 1}, "Approve", ""])
def test_a_verdict_of_any_other_kind_is_none(verdict: object) -> None:
    assert _is_valid({"verdict": "approve"})
    assert not _is_valid({"verdict": verdict})
