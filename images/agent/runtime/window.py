"""What a model's context window means to Claude Code."""

ANTHROPIC_WINDOW = 200_000
LARGEST_OUTPUT = 32_000
OUTPUT_SHARE = 8
"""The part of the window, 1/8, that an answer may fill."""

RESERVED_OUTPUT = 20_000
"""Claude Code keeps at most this much of the window free for an answer."""


def claude_limits(window: int, compact_pct: float) -> dict[str, str]:
    """Return the environment that makes Claude Code compact at a part of the window.

    Claude Code 2.1.331 compacts above min(effective x PCT / 100, effective - 13000), where
    effective = window - min(output, 20000). In windows below about 47,000 tokens the second term
    is the smaller one, so that compaction comes before 60 % of the window.

    Args:
        window: The context window in tokens.
        compact_pct: The part of the window, in percent.
    """
    output = min(window // OUTPUT_SHARE, LARGEST_OUTPUT)
    effective = window - min(output, RESERVED_OUTPUT)
    pct = min(100.0, window * compact_pct / effective)
    return {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(window),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(output),
        "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": f"{pct:.2f}",
    }
