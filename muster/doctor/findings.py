"""What checks find, and how they are run one after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from muster.errors import MusterError

T = TypeVar("T")

CALLS_AT_ONCE = 8
"""Calls to the forge side by side, of those that each agent needs."""


class NotAskedError(MusterError):
    """A check cannot be asked, because of what an earlier one found; the text says why."""


class Found(Generic[T]):
    """A thing that one check finds and later ones use.

    Args:
        missing: why whoever asks for it cannot ask, where it was not found.
    """

    def __init__(self, missing: str) -> None:
        self._missing = missing
        self._things: list[T] = []

    def put(self, thing: T) -> T:
        """Keep the thing."""
        self._things = [thing]
        return thing

    def get(self) -> T:
        """Return the thing.

        Raises:
            NotAskedError: it was not found.
        """
        if not self._things:
            raise NotAskedError(self._missing)
        return self._things[0]


@dataclass(frozen=True)
class Finding:
    """A line of the report.

    Attributes:
        ok: whether all is well; None where it could not be asked.
        message: what is well, or what is wrong and where.
        mend: the command that mends it, as it can be typed.
        fix: mends it, where that is safe without asking.
        check: the check's name.
        is_warning: whether nothing is wrong, but a person should know of it.
    """

    ok: bool | None
    message: str
    mend: str = ""
    fix: Callable[[], None] | None = field(default=None, repr=False)
    check: str = ""
    is_warning: bool = False

    def report(self) -> dict[str, Any]:
        """Return the line for programs."""
        return {
            "name": self.check,
            "ok": self.ok,
            "warning": self.is_warning,
            "message": self.message,
            "mend": self.mend,
        }


Check = Callable[[], Iterator[Finding]]


def well(message: str) -> Finding:
    """Say what is well."""
    return Finding(ok=True, message=message)


def warning(message: str) -> Finding:
    """Report a risk that keeps nothing from working."""
    return Finding(ok=True, message=message, is_warning=True)


def wrong(message: str, mend: str, fix: Callable[[], None] | None = None) -> Finding:
    """Say what is wrong, and the command that mends it."""
    return Finding(ok=False, message=message, mend=mend, fix=fix)


def not_asked(why: str) -> Finding:
    """Say why something could not be asked."""
    return Finding(ok=None, message=f"not asked: {why}")


def examine(name: str, check: Check, *, fix: bool, again: str) -> Iterator[Finding]:
    """Run a check.

    Args:
        name: the check's name.
        check: the check.
        fix: whether to mend what is safe to mend.
        again: the command to type where a check itself failed.
    """
    for finding in _asked(check, again):
        yield replace(_fixed(finding) if fix and finding.fix else finding, check=name)


def _asked(check: Check, again: str) -> Iterator[Finding]:
    try:
        yield from check()
    except NotAskedError as error:
        yield not_asked(str(error))
    except MusterError as error:
        yield wrong(str(error), again)


def _fixed(finding: Finding) -> Finding:
    try:
        if finding.fix:
            finding.fix()
    except MusterError as error:
        return wrong(f"{finding.message}. Mending it failed: {error}", finding.mend)
    return well(f"mended: {finding.message}")


def exit_code(findings: list[Finding]) -> int:
    """Return 1 where something is wrong."""
    return int(any(finding.ok is False for finding in findings))
