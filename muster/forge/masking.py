"""Taking secrets out of texts that people read."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST = 8
"""Characters from which a secret is masked.

A mask in place of a shorter one, which may well be a word of the text, would show what it is.
"""

_LETTER = r"[^\W\d_]"


def masked(text: str, secrets: Iterable[str], mask: str = "***") -> str:
    """Return the text with the mask in place of each secret of `SHORTEST` characters or more.

    A secret of letters alone is not masked within a longer word.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = _pattern(secret).sub(lambda _: mask, text)
    return text


def holds_short(text: str, secrets: Iterable[str]) -> bool:
    """Tell whether a secret that is too short to be masked is a word of the text."""
    short = (secret for secret in secrets if 0 < len(secret) < SHORTEST)
    return any(
        re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text, re.IGNORECASE) for secret in short
    )


@functools.cache
def _pattern(secret: str) -> re.Pattern[str]:
    quoted = re.escape(secret)
    return re.compile(rf"(?<!{_LETTER}){quoted}(?!{_LETTER})" if secret.isalpha() else quoted)
