"""Which lines a diff shows: a comment elsewhere would be shown nowhere."""

import subprocess
from pathlib import Path

from runtime.review import shown_lines


def diff_of(folder: Path, before: str, after: str) -> str:
    for name, text in (("a", before), ("b", after)):
        (folder / name).mkdir()
        (folder / name / "file").write_text(text, "utf-8", newline="")
    done = subprocess.run(
        ["git", "diff", "--no-index", "--no-prefix", "--unified=3", "a/file", "b/file"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_changed_lines_and_those_around_them_are_shown(tmp_path: Path) -> None:
    lines = [f"{number}\n" for number in range(1, 21)]
    changed = [*lines[:9], "ten\n", "more\n", *lines[10:]]

    assert shown_lines(diff_of(tmp_path, "".join(lines), "".join(changed))) == {
        "file": set(range(7, 15))
    }


def test_content_that_looks_like_a_diff_is_content(tmp_path: Path) -> None:
    after = "++ b/other\n@@ -1 +90 @@\n+++ b/other\nlast\n"

    assert shown_lines(diff_of(tmp_path, "-- a\n", after)) == {"file": {1, 2, 3, 4}}


def test_characters_that_end_a_line_elsewhere_do_not_end_one_here(tmp_path: Path) -> None:
    after = "one\x0ctwo\u2028three\rfour\nfive\n"

    assert shown_lines(diff_of(tmp_path, "", after)) == {"file": {1, 2}}


def test_two_hunks_and_a_missing_last_line_end_are_understood(tmp_path: Path) -> None:
    lines = [f"{number}\n" for number in range(1, 21)]
    changed = ["one\n", *lines[1:19], "twenty"]

    assert shown_lines(diff_of(tmp_path, "".join(lines), "".join(changed))) == {
        "file": {*range(1, 5), *range(17, 21)}
    }
