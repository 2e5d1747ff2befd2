"""Text that others wrote, made safe for a terminal and free of secrets.

Agents' logs and transcripts hold what models, issues and repositories say.
"""

import json
import re
from typing import Any

from muster import rules

# CSI, then OSC and the other string sequences, then short ones (ECMA-48, 5.3 to 5.6). A string
# sequence ends within its line, so that a model cannot hide the rest of its transcript.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)

# C0 (without tab and line feed), DEL, C1, line separators, marks that reorder text on the screen
# (Unicode UAX #9), and halves of surrogate pairs, which cannot be encoded.
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

# Gitea's and Forgejo's access tokens. Full commit ids look the same, and are masked with them.
_TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])")


def printable(text: str) -> str:
    """Return a text without escape sequences, control characters and secrets.

    Tabs and line feeds stay; a carriage return becomes a line feed.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _masked(CONTROL.sub("", _ESCAPE.sub("", lines)))


def one_line(text: str) -> str:
    """Return a text as `printable` does, in one line."""
    return " ".join(printable(text).split())


def printable_json(line: str) -> str:
    """Return a line of JSON as it is, but with secrets masked and control characters escaped.

    A line that is not JSON becomes `printable`.
    """
    try:
        document = json.loads(line)
        masked = _without_secrets(document)
        if masked != document:
            return json.dumps(masked)
    except (ValueError, RecursionError):
        return printable(line)
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _without_secrets(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return _masked(value)
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    if isinstance(value, dict):
        return {_masked(key): _without_secrets(each) for key, each in value.items()}
    return value


def _masked(text: str) -> str:
    return _TOKEN.sub("…", rules.without_secrets(text))
