"""What a person or a program sees: progress, questions, reports."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from muster.cli import plan_view
from muster.cli.changes import Change, Changes
from muster.doctor.findings import Finding
from muster.errors import MusterError
from muster.words import tally

SIGNS = {
    "bar": ("-", "yellow", "barred"),
    "create": ("+", "green", "created"),
    "create-replacement": ("+", "yellow", "created again"),
    "keep": ("=", "green", "kept"),
    "delete": ("-", "red", "removed"),
    "delete-replaced": ("-", "yellow", "removed, the old one"),
    "update": ("~", "yellow", "changed"),
}
_OTHER = ("?", "yellow", "")
_SIGN_OF = {True: ("ok", None), False: ("wrong", "red"), None: ("-", "dim")}
_WARNING = ("warn", "yellow")
_WIDE = 400  # columns where no terminal wraps
_ROWS = 12  # of the live view


class DeclinedError(MusterError):
    """The user said no."""


class Screen:
    """Standard output for people, or with `--json` one document for programs.

    With `--json`, progress and questions go to standard error.

    Attributes:
        as_json: whether standard output is a program's.
        brief: whether previews show only how many changes there are of each agent.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json, self.brief = as_json, False
        self.console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = _WIDE

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a line for people; with `--json` on standard error."""
        self.console.print(Text(text, style=style or ""))

    def next(self, command: str) -> None:
        """Print the command that one types next; nothing with `--json`."""
        if not self.as_json:
            self.say(f"Next: {command}", "dim")

    def show(self, thing: RenderableType, width: int | None = None) -> None:
        """Print for people what has columns, in lines of so many characters."""
        self.console.print(thing, soft_wrap=False, width=width)

    def report(self, document: Any) -> None:  # noqa: ANN401 - JSON
        """Print the document that programs read; nothing without `--json`."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=2) + "\n")

    @property
    def terminal(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin is not None and sys.stdin.isatty()

    def expect_answer(self) -> None:
        """Make sure that somebody can be asked.

        Raises:
            typer.BadParameter: standard input is no terminal: the answer has to be an option.
        """
        if not self.terminal:
            raise typer.BadParameter("standard input is no terminal: answer with --yes")

    def confirm(self, question: str) -> None:
        """Ask, and go on only after a yes.

        Raises:
            typer.BadParameter: nobody can be asked.
            DeclinedError: the answer was no.
        """
        self.expect_answer()
        try:
            agreed = typer.confirm(question, err=self.as_json)
        except typer.Abort as abort:
            if isinstance(abort.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            agreed = False
        if not agreed:
            raise DeclinedError("declined: nothing was changed")

    def ask(self, question: str, argument: str) -> str:
        """Ask for a value; where nobody can be asked, it has to be given as an argument.

        Raises:
            typer.BadParameter: standard input is no terminal.
        """
        if not self.terminal:
            raise typer.BadParameter(f"missing: {argument}")
        return str(typer.prompt(question, err=self.as_json))

    def plan(self, changes: Changes) -> None:
        """Print what an update would do, agent by agent."""
        for line in plan_view.lines(changes.all, brief=self.brief):
            self.console.print(line)

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Show in a terminal what is done meanwhile; elsewhere nothing."""
        with self.console.status(doing):
            yield

    def finding(self, finding: Finding) -> None:
        """Print what a check found, and below it the command that mends it."""
        sign, colour = _WARNING if finding.is_warning else _SIGN_OF[finding.ok]
        self.say(f"{sign:6}{finding.check:14}{finding.message}", colour)
        if finding.ok is False:
            self.say(f"{'':20}{finding.mend}")

    @contextmanager
    def progress(self, doing: str, *, silent: bool) -> Iterator[Changes]:
        """Show a run of the engine: in a terminal live, else a line for each step that ended.

        Args:
            doing: what is done, in words.
            silent: tell no steps that ended: a preview's are told together.
        """
        began = time.monotonic()
        changes = Changes() if silent else Changes(self._line)
        if not self.console.is_terminal:
            self.say(f"{doing} …")
            yield changes
            return
        with Live(
            console=self.console,
            get_renderable=lambda: _running(doing, began, changes),
            refresh_per_second=8,
            transient=True,
        ):
            yield changes

    def _line(self, change: Change) -> None:
        sign, colour, done = SIGNS.get(change.op, _OTHER)
        took = f"{change.seconds:.1f} s"
        if change.failed:
            self.say(f" ! {_subject(change)}: failed after {took}", "red")
        else:
            self.say(f" {sign} {_subject(change)}: {done or change.op} ({took})", colour)


def summary(changes: Changes) -> str:
    """Return how many resources change, by operation, in one line."""
    done = (SIGNS.get(change.op, _OTHER)[2] or change.op for change in changes.all)
    order = [word for _, _, word in SIGNS.values()]
    return ", ".join(f"{count} {word}" for word, count in tally(done, order))


def _subject(change: Change) -> str:
    return f"{change.agent}: {change.what}" if change.agent else f"crew: {change.what}"


def _running(doing: str, began: float, changes: Changes) -> Group:
    now = time.monotonic()
    head = Text(f"{doing}, {now - began:.0f} s")
    lines: list[RenderableType] = [_SPINNER, head]
    table = Table.grid(padding=(0, 1))
    table.add_row(*lines)
    rows = changes.running()
    shown = [Text(f"   {_subject(each)} … {now - each.began:.0f} s", "dim") for each in rows]
    more = [Text(f"   and {len(shown) - _ROWS} more", "dim")] if len(shown) > _ROWS else []
    return Group(table, *shown[:_ROWS], *more)


_SPINNER = Spinner("dots")
