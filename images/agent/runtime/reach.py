"""What an endpoint would do outside of itself: a session could send data to anybody through it.

The Anthropic API runs some tools itself (web search and fetch, code), connects to MCP servers and
fetches images and documents by their address. A session has no network, nor has it these.
"""

from collections.abc import Iterator, Mapping
from typing import Any

OPTIONS = ("mcp_servers", "container")

CLIENT_TOOLS = ("custom", "bash_", "text_editor_", "computer_", "memory_")
"""Begin the types of tools that the client runs."""


def outside(request: Mapping[str, Any]) -> str | None:
    """Return what of a Messages API request leads out of the endpoint, None if nothing does."""
    for name in OPTIONS:
        if request.get(name):
            return name
    tools = request.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind is not None and not str(kind).startswith(CLIENT_TOOLS):
            return f"the tool {str(kind)[:60]}"
    for block in _blocks(request.get("messages")):
        source = block.get("source")
        if isinstance(source, dict) and source.get("type") == "url":
            return "an image or document by its address"
    return None


def _blocks(messages: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Yield the content blocks of messages, and those of tools' results in them."""
    left = [messages]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            yield value
            left.append(value.get("content"))
