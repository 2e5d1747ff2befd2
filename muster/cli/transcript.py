"""The transcript of a session of Claude Code for people, from its stream-json lines."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from muster.printable import one_line, printable
from muster.words import counted

_RESULT_LINES = 20
"""Lines that are shown of what a tool returned."""

_INPUT_LENGTH = 200
"""Characters that are shown of the input of a tool that has no form of its own here."""

_LINE_LENGTH = 2000
"""Characters that are shown of a line that a tool returned."""

_ERROR_TAGS = ("<tool_use_error>", "</tool_use_error>")


class Transcript:
    """Turns a session's lines into what is shown, in their order."""

    def __init__(self) -> None:
        self._folder = ""
        self._last_text = ""

    def shown(self, line: str) -> Iterator[Text]:
        """Return what is shown of a line; nothing for Claude Code's internal messages."""
        try:
            message = _object(json.loads(line))
        except (ValueError, RecursionError):
            yield Text(printable(line), "dim")
            return
        kind, content = message.get("type"), _object(message.get("message")).get("content")
        if kind == "system":
            yield from self._system(message)
        elif kind == "assistant":
            for part in _parts(content):
                yield from self._said(part)
        elif kind == "user":
            for part in _parts(content):
                yield from _answered(part)
        elif kind == "result":
            yield from self._ended(message)

    def _system(self, message: Mapping[str, Any]) -> Iterator[Text]:
        subtype = message.get("subtype")
        if subtype == "init":
            self._folder = _text(message.get("cwd"))
            version, model = message.get("claude_code_version"), message.get("model")
            yield Text(one_line(f"Claude Code {version or '?'}, model {model or '?'}"), "dim")
        elif subtype == "compact_boundary":
            yield Text("The context was compacted.", "dim")
        elif subtype == "api_retry":
            attempt, most = _number(message.get("attempt")), _number(message.get("max_retries"))
            yield Text(f"Retry {attempt:.0f} of {most:.0f}: {_refusal(message)}", "yellow")

    def _said(self, part: Mapping[str, Any]) -> Iterator[Text]:
        if part.get("type") == "text" and (text := printable(_text(part.get("text"))).strip()):
            self._last_text = text
            yield Text(f"\n{text}", "bold")
        elif part.get("type") == "tool_use":
            called = _called(_text(part.get("name")), _object(part.get("input")), self._folder)
            yield Text(f"\n{called}", "cyan")

    def _ended(self, message: Mapping[str, Any]) -> Iterator[Text]:
        failed = message.get("is_error") is True or message.get("subtype") != "success"
        reason = message.get("terminal_reason") if failed else "success"
        facts = [
            one_line(_text(reason) or _text(message.get("subtype"))) or "unknown",
            *([_refusal(message)] if message.get("api_error_status") is not None else []),
            counted(_number(message.get("num_turns")), "turn"),
            counted(_tokens(_object(message.get("usage"))), "token"),
            f"{_number(message.get('duration_ms')) / 1000:.1f} s",
        ]
        yield Text(f"\nResult: {', '.join(facts)}", "red" if failed else "green")
        why = [_text(message.get("result")), *_texts(message.get("errors"))] if failed else []
        for text in why:
            if text and printable(text).strip() != self._last_text:
                yield from _cut(text, "  ", "red")


def _called(tool: str, given: Mapping[str, Any], folder: str) -> str:
    """Return a tool call in one line, or a command as it would be typed."""
    if tool == "Bash":
        return "$ " + printable(_text(given.get("command"))).strip().replace("\n", "\n  ")
    path = _text(given.get("file_path")) or _text(given.get("notebook_path"))
    if path:
        return one_line(f"{tool} {path.removeprefix(f'{folder}/') if folder else path}")
    return one_line(f"{tool} {json.dumps(given, ensure_ascii=False)}")[:_INPUT_LENGTH]


def _answered(part: Mapping[str, Any]) -> Iterator[Text]:
    """Show what a tool returned, or what the session was told."""
    failed = part.get("is_error") is True
    if part.get("type") == "tool_result":
        content = part.get("content")
        text = "\n".join(_text(each.get("text")) for each in _parts(content))
        for tag in _ERROR_TAGS:
            text = text.replace(tag, "")
        yield from _cut(text, "  ", "red" if failed else "dim")
    elif part.get("type") == "text":
        yield Text()
        yield from _cut(_text(part.get("text")), "> ", "")


def _cut(text: str, margin: str, style: str) -> Iterator[Text]:
    lines = printable(text).strip("\n").split("\n")
    for line in lines[:_RESULT_LINES] if lines != [""] else ():
        yield Text(f"{margin}{line[:_LINE_LENGTH]}", style)
    if len(lines) > _RESULT_LINES:
        yield Text(f"{margin}… {counted(len(lines) - _RESULT_LINES, 'more line')}", "dim")


def _refusal(message: Mapping[str, Any]) -> str:
    """Name the status and the kind of an error of the endpoint."""
    status = message.get("api_error_status", message.get("error_status"))
    kind = _text(message.get("api_error_type")) or _text(message.get("error"))
    facts = [f"HTTP status {_number(status):.0f}"] if status is not None else []
    return one_line(" ".join([*facts, kind])) or "no answer"


def _tokens(usage: Mapping[str, Any]) -> float:
    return sum(_number(value) for name, value in usage.items() if name.endswith("_tokens"))


def _parts(content: object) -> list[Mapping[str, Any]]:
    """Return a message's parts; a content that is plain text is one."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and -(2**53) < value < 2**53 else 0
