"""What an update would do, agent by agent, for people."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.text import Text

from muster.cli.changes import Change
from muster.words import tally

REPLACE = "replace"
"""A resource that is created again; its old one is removed."""

_HALVES = ("create-replacement", "delete-replaced")

_VERBS = {
    "bar": ("-", "yellow", "bar"),
    "create": ("+", "green", "create"),
    "delete": ("-", "red", "remove"),
    "keep": ("=", "green", "keep"),
    "update": ("~", "yellow", "change"),
    REPLACE: ("±", "yellow", REPLACE),
}
_OTHER = ("?", "yellow", "")


def lines(changes: Sequence[Change], *, brief: bool) -> Iterator[Text]:
    """Return the changes under their agents, and at the end how many there are.

    Args:
        changes: the changes in any order.
        brief: show only how many there are of each agent.
    """
    planned = _planned(changes)
    if not planned:
        yield Text("Nothing to do.")
        return
    groups: dict[str, list[Change]] = {}
    for change in sorted(planned, key=lambda each: (each.agent is None, each.agent or "")):
        groups.setdefault(change.agent or "crew", []).append(change)
    for name, group in groups.items():
        yield Text(f"{name}: {counts(group)}" if brief else name, "" if brief else "bold")
        for change in () if brief else group:
            sign, colour, verb = _VERBS.get(change.op, _OTHER)
            detail = "".join(f"\n      {each}" for each in _details(change))
            yield Text(f"  {sign} {change.what}: {verb or change.op}{detail}", colour)
    yield Text(f"{counts(planned)}.", "bold")


def counts(changes: Sequence[Change]) -> str:
    """Return how many resources would change, by operation: `12 to create, 1 to change`."""
    verbs = (_VERBS.get(change.op, _OTHER)[2] or change.op for change in _planned(changes))
    order = [verb for _, _, verb in _VERBS.values()]
    return ", ".join(f"{count} to {verb}" for verb, count in tally(verbs, order))


def _planned(changes: Sequence[Change]) -> list[Change]:
    """Return the changes with one in place of the two halves of a replacement."""
    new, old = _HALVES
    replaced = {change.urn for change in changes if change.op == new}
    return [
        replace(change, op=REPLACE) if change.op == new else change
        for change in changes
        if change.op != old or change.urn not in replaced
    ]


def _details(change: Change) -> Iterator[str]:
    for field in change.fields:
        old, new = change.values.get(field, ("", ""))
        yield f"{field}: {old} → {new}" if old or new else field
