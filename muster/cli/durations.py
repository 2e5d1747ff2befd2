"""Spans and points of time, as people write them: `30d`, `12h`, `2026-01-31T12:00`."""

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """Return a span of time.

    Raises:
        typer.BadParameter: the text is none.
    """
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if found is None:
        raise typer.BadParameter(f"{text} is no age; write a number and s, m, h, d or w: 30d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def moment(text: str) -> datetime:
    """Return a point of time, given by itself or as so long ago.

    Raises:
        typer.BadParameter: the text is neither.
    """
    if re.fullmatch(r"\d+[smhdw]", text):
        return datetime.now(UTC) - duration(text)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise typer.BadParameter(
            f"{text} is neither an age (10m, 2h) nor a time (2026-01-31T12:00:00)"
        ) from None
