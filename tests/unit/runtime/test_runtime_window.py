"""What follows for Claude Code from the size of the context window."""

import pytest
from runtime.window import claude_limits


@pytest.mark.parametrize(
    ("window", "compact_pct", "limits"),
    [
        (65536, 60, ("65536", "8192", "68.57")),
        (131072, 60, ("131072", "16384", "68.57")),
        (200_000, 60, ("200000", "25000", "66.67")),
        (200_000, 95, ("200000", "25000", "100.00")),
        (1_000_000, 60, ("1000000", "32000", "61.22")),
    ],
)
def test_claude_code_is_limited_to_the_window(
    window: int, compact_pct: int, limits: tuple[str, str, str]
) -> None:
    assert claude_limits(window, compact_pct) == dict(
        zip(
            (
                "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
                "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
                "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE",
            ),
            limits,
            strict=True,
        )
    )


@pytest.mark.parametrize("window", [48_000, 65_536, 131_072, 200_000, 1_000_000])
@pytest.mark.parametrize("compact_pct", [20, 50, 60])
def test_compaction_starts_at_the_rosters_part_of_the_window(window: int, compact_pct: int) -> None:
    limits = claude_limits(window, compact_pct)
    output = int(limits["CLAUDE_CODE_MAX_OUTPUT_TOKENS"])
    effective = window - min(output, 20_000)  # as measured on Claude Code 2.1.331
    percent = float(limits["CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"])
    start = min(effective * percent / 100, effective - 13_000)
    assert start == pytest.approx(window * compact_pct / 100, rel=0.001)
