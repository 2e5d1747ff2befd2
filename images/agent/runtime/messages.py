"""The Messages API: what the gateway changes in a request and reads from an answer."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
OUTPUT = ("output_tokens",)


def fold_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Move `system` messages into the user turn beside them.

    Claude Code puts one into the messages of a model that it does not know. Templates that accept
    a system message only at the beginning fail on it: llama-server with Qwen3.5's answers 500
    (ggml-org/llama.cpp#27367).

    Returns:
        The messages with user and assistant in turns; the same list if there is nothing to fold.
    """
    if not any(message.get("role") == "system" for message in messages):
        return messages
    folded: list[dict[str, Any]] = []
    for is_assistant, run in groupby(messages, lambda message: message.get("role") == "assistant"):
        turn = list(run)
        if is_assistant or all(message.get("role") != "system" for message in turn):
            folded += turn
        else:
            folded.append({"role": "user", "content": _merge(turn)})
    return folded


def _merge(turn: Iterable[dict[str, Any]]) -> list[Any]:
    blocks = [block for message in turn for block in _blocks(message)]
    # The results of tools come first in a turn that holds any.
    return sorted(blocks, key=lambda block: block.get("type") != "tool_result")


def _blocks(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content") or []
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if message.get("role") != "system":
        yield from blocks
        return
    for block in blocks:
        # The form in which Claude Code itself puts notes of the system into a user turn.
        note = f"<system-reminder>\n{block.get('text', '')}\n</system-reminder>"
        yield {**block, "text": note}


class Answer:
    """What a passing answer tells: its tokens, its end, its error.

    Attributes:
        error: The data of an `error` event.
        is_complete: Whether the message ended as it should.
        is_between_events: Whether another event may be put into the stream here.
    """

    def __init__(self) -> None:
        self.error: bytes | None = None
        self.is_complete = False
        self.is_between_events = True
        self._tokens: dict[str, int] = {}
        self._event = b""
        self._rest = b""

    @property
    def input_tokens(self) -> int:
        """Tokens read, cached ones included."""
        return sum(self._tokens.get(name, 0) for name in INPUT)

    @property
    def output_tokens(self) -> int:
        """Tokens written."""
        return sum(self._tokens.get(name, 0) for name in OUTPUT)

    def read_whole(self, body: bytes) -> None:
        """Read an answer that is one JSON object."""
        message = _object(body)
        self._count(message.get("usage"))
        self.is_complete = True

    def read_events(self, chunk: bytes) -> None:
        """Read the next bytes of a stream."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._read_line(line.rstrip(b"\r"))
            self.is_between_events = not line.rstrip(b"\r")
        if self._rest:
            self.is_between_events = False

    def _read_line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"event":
            self._event = value.strip()
        elif name == b"data":
            self._read_data(value.strip())

    def _read_data(self, data: bytes) -> None:
        match self._event:
            case b"message_start":
                message = _object(data).get("message")
                self._count(message.get("usage") if isinstance(message, dict) else None)
            case b"message_delta":
                self._count(_object(data).get("usage"))
            case b"message_stop":
                self.is_complete = True
            case b"error":
                self.error = data

    def _count(self, usage: object) -> None:
        # Counts are cumulative, and some servers give them only at the start or at the end.
        for name in (*INPUT, *OUTPUT):
            value = usage.get(name) if isinstance(usage, dict) else None
            if isinstance(value, int):
                self._tokens[name] = max(value, self._tokens.get(name, 0))


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
