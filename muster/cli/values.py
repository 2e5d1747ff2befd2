"""Old and new values of a resource's inputs, short and without secrets, for a preview."""

import json
from collections.abc import Mapping
from typing import Any

from muster.printable import one_line

_LONGEST = 60
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine (Pulumi 3.256) writes for a value that only the update will know."""

_SECRET = "[secret]"  # noqa: S105 - as the engine writes it
_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks a secret that it does not write as `[secret]`."""

_NONE = "none"


def changed(
    fields: list[str], old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    """Return the old and the new value of each of these inputs that both states show.

    Of lists that differ, only what is removed and what is added is shown. Secrets stay hidden: the
    engine writes `[secret]` in their place, and what looks like one is masked.
    """
    found = {}
    for field in fields:
        before, after = _plain(old.get(field)), _plain(new.get(field))
        if isinstance(before, list) and isinstance(after, list):
            before, after = (
                [each for each in before if each not in after],
                [each for each in after if each not in before],
            )
        if before != after or before == _SECRET:
            found[field] = (_shown(before), _shown(after))
    return found


def _plain(value: object) -> object:
    """Return a value without secrets and without what providers add; labels as `name=value`."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if _SIGNATURE in value:
        return _SECRET
    found = {key: _plain(each) for key, each in value.items() if key != "__defaults"}
    return f"{found['label']}={found['value']}" if found.keys() == {"label", "value"} else found


def _shown(value: object) -> str:
    if value is None or value in ([], {}, ""):
        return _NONE
    if value == _SECRET:
        return "(secret)"
    text = value if isinstance(value, str) else _json(value)
    if _UNKNOWN in text:
        return "(known after the update)"
    text = one_line(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _json(value: object) -> str:
    """Return a value as it stands in a roster: numbers arrive as floats, and lists in brackets."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list):
        return ", ".join(each if isinstance(each, str) else _json(each) for each in value)
    return json.dumps(value, ensure_ascii=False)
