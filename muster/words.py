"""Words of messages for people."""


def counted(number: float, noun: str) -> str:
    """Return a number with its noun: `1 agent`, `2 agents`, `12,345 tokens`."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"
