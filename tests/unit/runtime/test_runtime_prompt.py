"""Prompts: what people wrote is quoted and shown as a reader sees it; answers are read."""

import json
import random
import re
import unicodedata
from typing import Any

import pytest
from runtime import prompt
from runtime.prompt import answer, looks_like_a_tool_call, quoted, system, visible

VERDICT: dict[str, Any] = {
    "verdict": "comment",
    "summary": 'Use {braces}, "quotes", ```fences``` and \\ in `json`.',
    "comments": [{"path": "a b.py", "line": 3, "body": "x = {}\n```\ny\n```"}],
}
PLAIN = json.dumps(VERDICT)
INDENTED = json.dumps(VERDICT, indent=2)
SMALL = '{"verdict": "approve"}'


@pytest.mark.parametrize("written", [PLAIN, INDENTED])
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "\n\n{}\n",
        "```json\n{}\n```",
        "```\n{}\n```",
        "``` json\n{}\n```",
        "Here is my verdict:\n\n```json\n{}\n```\n\nThat is all.",
        "Here is my verdict: {}",
        "{}\n\nThat is all.",
        "<answer>{}</answer>",
        "**Verdict**\n{}\n\n_signed_",
    ],
)
def test_the_json_of_an_answer_is_found_in_whatever_stands_around_it(
    around: str, written: str
) -> None:
    assert answer(around.replace("{}", written)) == VERDICT


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{PLAIN}\n```\nOn second thought:\n```json\n{SMALL}\n```",
        f"```python\nx = {{1: 2}}\n```\n```json\n{SMALL}\n```",
        f"I looked at `f({{}})` and `}}`.\n```json\n{SMALL}\n```",
        f"```json\n{SMALL}\n```\nI used }} and {{ here.",
        f"```json\n[1]\n```\n```json\n{SMALL}\n```\n```json\nnull\n```",
    ],
)
def test_the_last_object_is_the_answer(text: str) -> None:
    assert answer(text) == {"verdict": "approve"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Looks good to me.",
        "{}{}",
        "[1, 2]",
        '"approve"',
        "null",
        "```json\n[1]\n```",
        "{verdict: approve}",
        '{"verdict": "approve"',
        "}{",
        "{",
        "```json\n```",
    ],
)
def test_an_answer_without_an_object_is_none(text: str) -> None:
    assert answer(text) is None


def test_an_answer_that_is_nested_too_deep_is_none() -> None:
    assert answer('{"a":' * 100_000 + "1" + "}" * 100_000) is None


def test_every_object_survives_every_wrapping() -> None:
    chance = random.Random(9)  # noqa: S311 - repeatable
    pieces = ["{", "}", '"', "\\", "```", "\n", "json", "a", " ", "[", "]", "ü", "@", ":"]
    wrappings = ["{}", "```json\n{}\n```", "Well.\n{}", "Well:\n\n```json\n{}\n```\nDone."]
    for _ in range(500):
        words = ["".join(chance.choices(pieces, k=chance.randrange(12))) for _ in range(3)]
        value = {"verdict": words[0], words[1]: [{"body": words[2]}]}
        written = json.dumps(value, ensure_ascii=False, indent=chance.choice([None, 2]))
        for wrapping in wrappings:
            assert answer(wrapping.replace("{}", written)) == value, written


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("  a\n\n\tb ü 漢 😀 ", "a\n\n\tb ü 漢 😀"),
        ("a<!-- hidden -->b", "ab"),
        ("a<!-- hid\nden -->b<!---->c", "abc"),
        ("a<!-- to the end", "a"),
        ("a<!-- one --> b --> c", "a b --> c"),
        ("in\u200bvi\u2060si\ufeffble", "invisible"),
        ("left\u202eright\u2066", "leftright"),
        ("a" + "".join(chr(0xE0000 + ord(c)) for c in "hidden") + "b", "ab"),
        ("a\x00b\x1b[31mc\x07\r\n", "ab[31mc"),
        ("soft\u00adhyphen", "softhyphen"),
        ("a\ue000b", "ab"),
        ("", ""),
        ("<!-- all -->", ""),
    ],
)
def test_only_what_a_reader_sees_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_comment_cannot_be_put_together_from_what_is_removed() -> None:
    chance = random.Random(9)  # noqa: S311 - repeatable
    pieces = ["<!--", "-->", "<!-", "-", "->", ">", "<", "!", "\u200b", "\u202e", "a", " ", "\n"]
    for _ in range(3000):
        text = "".join(chance.choices(pieces, k=chance.randrange(14)))
        shown = visible(text)
        assert "<!--" not in shown, repr(text)
        assert visible(shown) == shown, repr(text)
        assert not [c for c in shown if unicodedata.category(c) == "Cf"]


def test_a_long_text_is_cut() -> None:
    assert visible("x" * (2 * prompt.LIMIT)) == "x" * prompt.LIMIT


def test_quoted_texts_stand_between_borders_that_their_authors_do_not_know() -> None:
    first = quoted([("issue #1", "text")])
    border = first.split(" issue")[0]

    assert re.fullmatch(r"===== [0-9a-f]{16}", border)
    assert first == f"{border} issue #1\ntext\n{border} end"
    assert quoted([("issue #1", "text")]) != first


def test_no_text_ends_its_own_quote() -> None:
    chance = random.Random(9)  # noqa: S311 - repeatable
    pieces = ["=====", " ", "end", "\n", "0123456789abcdef", "issue #1", "\u200b", "<!--", "-->"]
    for _ in range(300):
        texts = ["".join(chance.choices(pieces, k=chance.randrange(20))) for _ in range(3)]
        block = quoted([(f"text {number}", text) for number, text in enumerate(texts)])
        border = " ".join(block.split(" ", 2)[:2])
        lines = [line for line in block.splitlines() if line.startswith(border)]
        assert lines == [
            f"{border} text 0",
            f"{border} text 1",
            f"{border} text 2",
            f"{border} end",
        ]


def test_a_text_with_nothing_to_see_is_quoted_as_empty() -> None:
    assert "\n(empty)\n" in quoted([("issue #1", "<!-- hidden -->")])


def test_the_system_prompt_names_agent_and_repository_and_passes_instructions_on() -> None:
    made = system(
        "dev-qwen", "ann/greet", [("CLAUDE.md", "Use tabs."), ("AGENTS.md", "Be {brief}.")]
    )

    assert made.startswith("You work as dev-qwen on the repository ann/greet")
    assert "from CLAUDE.md:\n\nUse tabs." in made
    assert made.endswith("from AGENTS.md:\n\nBe {brief}.")


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "Edit", "arguments": {"file_path": "greet.py"}}\n</tool_call>',
        "I will edit it.\n\n<tool_call>\n<function=Edit>\n<parameter=file_path>\ngreet.py",
        "<function_calls>\n<invoke name='Edit'>",
        '```json\n{"name": "Bash", "arguments": {"command": "ls"}}\n```',
        '{"tool": "Write", "file_path": "a"}',
        '{"name" : "read"}',
        'Bash(command="ls")',
        "First:\n  Edit(greet.py, old, new)",
        '[TOOL_CALLS]Edit[ARGS]{"file_path": "greet.py"}',
        '<|tool_call|>call:Edit{"file_path": "greet.py"}',
        "<|channel|>commentary to=functions.Edit<|message|>{}",
        "<\uff5ctool\u2581calls\u2581begin\uff5c>Edit",
    ],
)
def test_a_tool_call_in_words_is_recognised(text: str) -> None:
    assert looks_like_a_tool_call(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I edited `greet.py`, so that `greet(name)` returns the name.",
        "I ran Bash (version 5) and read the file; the tests pass.",
        '{"refusal": "unclear", "reason": "Which name is meant?"}',
        "Reads and writes are atomic now.",
        'The `name` is Ada: {"name": "Ada"}.',
        "Nothing to do: invoke `make test` to see it.",
    ],
)
def test_plain_words_are_no_tool_call(text: str) -> None:
    assert not looks_like_a_tool_call(text)
