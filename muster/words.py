"""Words of messages for people."""

from collections import Counter
from collections.abc import Iterable, Sequence


def counted(number: float, noun: str) -> str:
    """Return a number with its noun: `1 agent`, `2 agents`, `12,345 tokens`."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"


def capacity(window: int | None, slots: int | None) -> list[str]:
    """Return what is known of an endpoint's capacity, such as `window 65,536 tokens`.

    Args:
        window: its context window in tokens.
        slots: how many requests it works on at a time.
    """
    known = [f"window {window:,} tokens"] if window else []
    return [*known, counted(slots, "slot")] if slots else known


def tally(words: Iterable[str], order: Sequence[str]) -> list[tuple[str, int]]:
    """Return how often each word comes, in this order; words that it does not name come last."""
    found = Counter(words)
    return sorted(
        found.items(), key=lambda each: order.index(each[0]) if each[0] in order else len(order)
    )
