"""The transcript of a session that Claude Code 2.1.331 had with the scripted endpoint."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from muster.cli.transcript import Transcript

RECORDED = Path(__file__).with_name("session.jsonl").read_text().splitlines()


def shown(lines: Iterable[object]) -> str:
    transcript = Transcript()
    return "\n".join(
        text.plain
        for line in lines
        for text in transcript.shown(line if isinstance(line, str) else json.dumps(line))
    )


def said(*parts: object) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": list(parts)}}


def returned(content: object, **more: object) -> dict[str, Any]:
    part = {"type": "tool_result", "tool_use_id": "t", "content": content, **more}
    return {"type": "user", "message": {"role": "user", "content": [part]}}


def test_a_session_reads_as_words_calls_results_and_an_end() -> None:
    lines = shown(RECORDED).splitlines()
    assert lines[:6] == [
        "Claude Code 2.1.331, model scripted",
        "",
        "I read the file first.",
        "",
        "$ cat greet.py; seq 1 60",
        '  print("hi")',
    ]
    assert "Edit greet.py" in lines
    assert "  File does not exist. Note: your current working directory is" in "\n".join(lines)
    assert 'Nope {"a": 1}' in lines
    assert lines[-1] == "Result: success, 7 turns, 10,084 tokens, 0.3 s"


def test_a_long_result_is_cut() -> None:
    lines = shown(RECORDED).splitlines()
    start = lines.index('  print("hi")')
    assert lines[start + 19 : start + 21] == ["  19", "  … 41 more lines"]


def test_what_the_model_says_cannot_control_the_terminal() -> None:
    assert "Done: red bold [bold]x[/bold]." in shown(RECORDED)
    assert "\x1b" not in shown(RECORDED)
    evil = "\x1b[2J\x9b1A\u202e"
    lines = [
        said({"type": "text", "text": f"a{evil}b"}),
        said({"type": "tool_use", "name": f"Bash{evil}", "input": {"command": evil}}),
        said({"type": "tool_use", "name": "Bash", "input": {"command": f"ls{evil}"}}),
        said({"type": "tool_use", "name": "Edit", "input": {"file_path": f"x{evil}"}}),
        returned(f"r{evil}"),
        {"type": "result", "subtype": evil, "is_error": True, "result": evil, "errors": [evil]},
        {"type": "system", "subtype": "init", "model": evil, "claude_code_version": evil},
        {"type": "system", "subtype": "api_retry", "error": evil},
        f"not json {evil}",
    ]
    found = shown(lines)
    assert not {"\x1b", "\x9b", "\u202e"} & set(found)
    assert "\nab\n" in found
    assert "$ ls\n" in found


def test_tokens_and_keys_are_masked_before_a_line_is_cut() -> None:
    secret = "0123456789abcdef0123456789abcdef01234567"
    lines = [
        returned("x" * 1990 + f" {secret}"),
        said({"type": "tool_use", "name": "Other", "input": {"a": "y" * 170 + f" {secret}"}}),
        said({"type": "text", "text": f"it is {secret} or sk-ant-abc"}),
    ]
    found = shown(lines)
    assert secret[:8] not in found
    assert "it is … or …" in found


def test_a_command_of_several_lines_stays_together() -> None:
    call = {"type": "tool_use", "name": "Bash", "input": {"command": "cat <<E\nx\nE\n"}}
    assert shown([said(call)]) == "\n$ cat <<E\n  x\n  E"


def test_what_the_session_was_told_is_shown() -> None:
    told = {"type": "user", "message": {"role": "user", "content": "Continue.\nThe checks failed."}}
    assert shown([told]) == "\n> Continue.\n> The checks failed."


def test_a_result_in_parts_is_one() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image", "source": {}}, {"type": "text"}]
    assert shown([returned(parts)]).split() == ["a"]


def test_an_error_of_the_endpoint_is_told_with_its_retries_and_once() -> None:
    text = "API Error: 529 Overloaded."
    retry = {"attempt": 1, "max_retries": 2, "error_status": 529, "error": "overloaded"}
    cut = {"attempt": 2, "max_retries": 2, "error_status": None, "error": ""}
    ended = {"subtype": "success", "is_error": True, "terminal_reason": "api_error"}
    failure = {"api_error_status": 529, "api_error_type": "overloaded_error", "result": text}
    lines = [
        {"type": "system", "subtype": "api_retry", **retry},
        {"type": "system", "subtype": "api_retry", **cut},
        said({"type": "text", "text": text}),
        {"type": "result", **ended, **failure, "num_turns": 1, "duration_ms": 900},
    ]
    assert shown(lines).splitlines() == [
        "Retry 1 of 2: HTTP status 529 overloaded",
        "Retry 2 of 2: no answer",
        "",
        text,
        "",
        "Result: api_error, HTTP status 529 overloaded_error, 1 turn, 0 tokens, 0.9 s",
    ]


def test_a_session_that_used_up_its_turns_says_so() -> None:
    ended = {"subtype": "error_max_turns", "is_error": True, "terminal_reason": "max_turns"}
    why = {"errors": ["Reached maximum number of turns (2)"], "num_turns": 3}
    assert shown([{"type": "result", **ended, **why}]).splitlines()[1:] == [
        "Result: max_turns, 3 turns, 0 tokens, 0.0 s",
        "  Reached maximum number of turns (2)",
    ]


def test_internal_messages_and_thinking_are_left_out() -> None:
    lines = [
        {"type": "system", "subtype": "ui_invalidate"},
        {"type": "stream_event", "event": {}},
        said({"type": "thinking", "thinking": "Hm."}),
        said({"type": "text", "text": " \n"}),
    ]
    assert shown(lines) == ""


OTHERS: list[Any] = [
    None,
    True,
    7,
    10**400,
    1e308,
    "text",
    [],
    ["x"],
    [None],
    [[]],
    {},
    {"type": "text"},
]
SHAPES = [
    *({"type": kind, "message": each} for kind in ("assistant", "user") for each in OTHERS),
    *({"type": "assistant", "message": {"content": each}} for each in OTHERS),
    *(said({"type": "text", "text": each}) for each in OTHERS),
    *(said({"type": "tool_use", "name": each, "input": each}) for each in OTHERS),
    *(said({"type": "tool_use", "name": "Bash", "input": {"command": each}}) for each in OTHERS),
    *(said({"type": "tool_use", "name": "Edit", "input": {"file_path": each}}) for each in OTHERS),
    *(returned(each, is_error=each) for each in OTHERS),
    *({"type": "result", "usage": each, "num_turns": each, "errors": each} for each in OTHERS),
    *({"type": "result", "usage": {"a_tokens": each}, "subtype": each} for each in OTHERS),
    *({"type": "result", "api_error_status": each, "result": each} for each in OTHERS),
    *({"type": "system", "subtype": "init", "cwd": each, "model": each} for each in OTHERS),
    *({"type": "system", "subtype": "api_retry", "attempt": each} for each in OTHERS),
    *({"type": each} for each in OTHERS),
]


@pytest.mark.parametrize("line", [*map(json.dumps, [*SHAPES, *OTHERS]), "{", "[" * 100_000, "NaN"])
def test_no_shape_of_a_line_breaks_the_transcript(line: str) -> None:
    shown([line, *RECORDED])
