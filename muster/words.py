"""Words of messages for people."""


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
