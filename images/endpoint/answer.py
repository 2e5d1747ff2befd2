"""Messages of Anthropic's Messages API, whole and as events of a stream."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from script import Step

NAME = "scripted"
"""The model's id, so that a script is never mistaken for a model."""


def message(step: Step, key: tuple[int, int], request: Mapping[str, Any]) -> dict[str, Any]:
    """Build the message that answers a request; `key` is its play and step."""
    content: list[dict[str, Any]] = []
    if step.text is not None:
        content.append({"type": "text", "text": step.text})
    if step.tool is not None:
        name = "toolu_{}_{}".format(*key)
        content.append({"type": "tool_use", "id": name, "name": step.tool, "input": step.input})
    return {
        "id": "msg_{}_{}".format(*key),
        "type": "message",
        "role": "assistant",
        "model": NAME,
        "content": content,
        "stop_reason": "tool_use" if step.tool else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": tokens(request), "output_tokens": tokens(content)},
    }


def events(whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Split a message into the events of its stream."""
    usage = whole["usage"]
    start = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 0}}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            kind, field, text = "text_delta", "text", block["text"]
            empty = {**block, "text": ""}
        else:
            kind, field, text = "input_json_delta", "partial_json", json.dumps(block["input"])
            empty = {**block, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for part in (text[: len(text) // 2], text[len(text) // 2 :]):
            delta = {"type": kind, field: part}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {
        "type": "message_delta",
        "delta": ending,
        "usage": {"output_tokens": usage["output_tokens"]},
    }
    yield {"type": "message_stop"}


def tokens(value: object) -> int:
    """Estimate a token count: four characters each, as in English text."""
    return len(json.dumps(value)) // 4 + 1
