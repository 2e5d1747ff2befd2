"""Texts of other people in a prompt: code shows what it holds, and all else only what is seen."""

import time

import pytest
from runtime.prompt import CUT, INSTRUCTIONS_LIMIT, LIMIT, one_line, quoted, system, titled, visible

HIDDEN = "<!-- hidden -->"


@pytest.mark.parametrize(
    "text",
    [
        f"Add `{HIDDEN}` to the page.",
        f"```html\n{HIDDEN}\n```",
        f"Before\n~~~\n<p>{HIDDEN}</p>\n~~~\nafter `x`",
    ],
)
def test_a_comment_in_code_is_seen(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"a\n{HIDDEN}\nb",
        f"- a\n  ```\n{HIDDEN}\n  ```",  # the list ends before the comment
        f"a `\n` {HIDDEN} `",  # the first code ends in the second line
        f"<http://x`> {HIDDEN} `",  # the address takes the backtick
        f"| ` | {HIDDEN} ` |",  # code does not reach into another cell
        f"\\` {HIDDEN} `",
        f"<div>\n```\n{HIDDEN}\n```\n</div>",
        f"<!--\n```\n{HIDDEN}\n```\n-->",
        "```\na\n```\n<!-- hidden",
        f"[//]: # (hidden)\n[x]: http://x.invalid 'hidden {HIDDEN}'",
        "a" + "".join(chr(0xE0100 + ord(letter)) for letter in "hidden"),
    ],
)
def test_what_a_reader_does_not_see_is_removed(text: str) -> None:
    assert "hidden" not in visible(text)


def test_fillers_and_variation_selectors_are_removed() -> None:
    assert visible("a\u3164b\u115f\ufe0fc\u2800\U000e0120\U000e01efd\ud800") == "abcd"
    assert visible("a\u2028b") == "a\nb"


@pytest.mark.parametrize(
    "text", ["`" * 50_000, "`a" * 30_000, "~~~\n" * 20_000, "<!--" * 20_000, "[a]: b " * 10_000]
)
def test_no_text_takes_long(text: str) -> None:
    began = time.monotonic()
    visible(text)
    assert time.monotonic() - began < 5


def test_a_title_or_a_files_name_is_one_line() -> None:
    assert one_line("a\n===== b\u200b\r\n\tc") == "a ===== b c"
    assert quoted([("a\nb", "text")]).splitlines()[0].endswith(" a b")


def test_a_title_is_part_of_the_quoted_text() -> None:
    assert titled("Say\nhello", f"Please.{HIDDEN}") == "Say hello\n\nPlease."
    assert titled("Say hello", HIDDEN) == "Say hello\n\n(no description)"


def test_texts_that_are_too_long_together_are_cut() -> None:
    block = quoted([("one", "x" * (LIMIT - 10)), ("two", "y" * 100), ("three", "z")])
    assert block.count("y") == 10
    assert block.count(CUT) == 2
    assert "z" not in block
    assert len(block) < LIMIT + 500


def test_equal_instructions_are_passed_on_once_and_long_ones_are_cut() -> None:
    made = system("dev", "ann/greet", [("CLAUDE.md", "Be brief."), ("AGENTS.md", "Be brief.")])
    assert made.count("Be brief.") == 1
    made = system("dev", "ann/greet", [("CLAUDE.md", "x" * 10 * INSTRUCTIONS_LIMIT)])
    assert made.endswith(f"xx\n{CUT}")
    assert len(made) < 2 * INSTRUCTIONS_LIMIT
