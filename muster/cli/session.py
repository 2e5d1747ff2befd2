"""One command's run: the project, the stack, what is shown, and the engine behind it."""

import difflib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from muster import roster_edit
from muster.cli import lock, place, recovery
from muster.cli.changes import Changes
from muster.cli.engine import Engine, EngineError, stacks
from muster.cli.screen import Screen, summary
from muster.errors import MusterError
from muster.forge import Forge
from muster.roster import Agent, Roster, load
from muster.status import recorded

_DOCKER_UNREACHABLE = "Error pinging Docker server"
"""How pulumi-docker (5.2) begins."""


@dataclass(frozen=True)
class RosterChange:
    """A change of the roster that is about to be carried out.

    Attributes:
        text: the roster's new text.
        question: what is asked first.
        ways: what can be done where the update fails half-way.
        secrets: what the stack's configuration keeps from then on, by key.
        forget: keys that it no longer keeps.
        about: the only agents that may change without a question; None asks in any case.
    """

    text: str
    question: str
    ways: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    forget: Sequence[str] = ()
    about: frozenset[str] | None = None


class Session:
    """What a command works with.

    Attributes:
        screen: what is shown.
        project: the folder of `Pulumi.yaml`.
        stack: the stack's name.
    """

    def __init__(
        self, stack: str | None, *, as_json: bool = False, admin_token: str | None = None
    ) -> None:
        """Find the project and the stack, and set what Pulumi needs to know.

        Raises:
            MusterError: there is no stack, or there are several and none is selected.
        """
        self.screen = Screen(as_json=as_json)
        self.project = place.folder()
        place.activate(os.environ, self.project, _token(admin_token))
        self.stack = stack or _default_stack(self.project)

    @cached_property
    def engine(self) -> Engine:
        """The stack's engine."""
        return Engine(self.project, self.stack)

    @property
    def roster_path(self) -> Path:
        """The stack's roster."""
        return place.roster_path(self.project, self.stack)

    def roster(self) -> Roster:
        """Read the roster.

        Raises:
            RosterError: it is missing or wrong.
        """
        return load(self.roster_path)

    def roster_text(self) -> str:
        """Return the roster's text, to be edited.

        Raises:
            RosterEditError: it cannot be read.
        """
        return roster_edit.read(self.roster_path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other `muster` from changing this stack."""
        with lock.alone(self.project, self.stack, self.screen.say):
            if taken := roster_edit.taken_back(self._trial):
                self.screen.say(f"A muster that was killed left {taken} changed: put back.")
            yield

    @property
    def _trial(self) -> Path:
        """Where a roster's two texts are kept while nobody has decided between them."""
        return lock.folder(self.project) / f"{self.stack}.trial"

    def preview(self, *, refresh: bool, destroy: bool = False) -> Changes:
        """Show what an update would do.

        Raises:
            EngineError: the program, or something that an update needs, is wrong.
        """
        doing = f"Looking at stack {self.stack}"
        changes = self._refreshing(
            doing,
            lambda seen, fresh: self.engine.preview(seen, refresh=fresh, destroy=destroy),
            refresh=refresh,
            silent=True,
        )
        self.screen.plan(changes)
        return changes

    def up(self, *, refresh: bool) -> Changes:
        """Make it so, after what a killed run left is cleaned up.

        Raises:
            EngineError: something failed; what was done is kept.
        """
        doing = f"Updating stack {self.stack}"
        return self._refreshing(
            doing, lambda seen, fresh: self.engine.up(seen, refresh=fresh), refresh=refresh
        )

    def destroy(self, *, refresh: bool) -> Changes:
        """Remove all that the stack has made, but for what is kept on purpose.

        Raises:
            EngineError: something failed; what is left is in the state.
        """
        doing = f"Removing all of stack {self.stack}"
        return self._run(doing, lambda seen: self.engine.destroy(seen, refresh=refresh))

    def expect_forge(self) -> None:
        """Make sure that the forge answers before what is there is removed.

        A local forge is part of the stack.

        Raises:
            MusterError: it does not; nothing was changed.
        """
        found = self.roster()
        url = found.forge_url
        if url and not found.muster.local_forge and not Forge(url, None).answers():
            raise MusterError(
                f"the forge at {url} does not answer, and the crew's accounts are to be barred "
                "there: start it first. Nothing was changed"
            )

    def agents(self, names: list[str] | None) -> list[Agent]:
        """Return the agents of these names, or the whole crew where none is named.

        Raises:
            MusterError: the roster has no agent of a name; the nearest one is told.
        """
        crew = self.roster().agents
        unknown = [name for name in names or () if name not in crew]
        if unknown:
            near = difflib.get_close_matches(unknown[0], crew, n=1)
            right = f"did you mean {near[0]}?" if near else f"known are {', '.join(crew) or 'none'}"
            raise MusterError(f"{self.roster_path.name} has no agent {unknown[0]}; {right}")
        return [crew[name] for name in dict.fromkeys(names or crew)]

    def next_rotations(self, rotations: Mapping[str, int]) -> dict[str, int]:
        """Return numbers that rotate for certain: above the roster's and the last update's.

        The roster may have been put back to an earlier version since.
        """
        said = recorded(self.engine.state())
        return {
            name: max(number, said.get(name, {}).get("rotation", 0)) + 1
            for name, number in rotations.items()
        }

    def change_roster(self, change: RosterChange, *, yes: bool, only_preview: bool = False) -> None:
        """Write a changed roster, show what that means, ask, make it so, and report it.

        Args:
            change: the roster's new text, and what goes with it.
            yes: whether the answer was given beforehand.
            only_preview: change nothing.

        Raises:
            MusterError: something is wrong; the roster is as before, or the text says what to do.
        """
        if only_preview:
            with roster_edit.tried(self.roster_path, change.text, self._trial):
                self.roster()
                self.screen.report(self.outcome(self.preview(refresh=False)))
            return
        self.done(self.carry_out(change, yes=yes))

    def carry_out(self, change: RosterChange, *, yes: bool) -> Changes:
        """Write a changed roster, show what that means, ask, make it so.

        A roster that is refused or declined is as before. One whose update fails half-way stays.

        Raises:
            MusterError: something is wrong; the roster is as before, or the text says what to do.
        """
        if not yes and change.about is None:
            self.screen.expect_answer()
        with roster_edit.tried(self.roster_path, change.text, self._trial) as trial:
            self.roster()  # what is wrong in it is told at once
            planned = self.preview(refresh=False)
            if change.about is not None:
                others = {each.agent for each in planned.all if each.agent} - change.about
                yes = yes or not others
            if not yes:
                self.screen.confirm(change.question)
            # From here on the answer is yes: a signal or a failure leaves the roster changed.
            trial.keep()
            for key in self._kept(change.forget):
                self.engine.forget(key)
            for key, value in change.secrets.items():
                self.engine.keep_secret(key, value)
        try:
            return self.up(refresh=True)
        except EngineError as error:
            raise EngineError(f"{error}\n{change.ways}") from None

    def _kept(self, keys: Sequence[str]) -> list[str]:
        """Return those of these keys by agent that the stack's configuration has."""
        configured = self.engine.configuration() if keys else {}
        there = {
            f'{kind}["{agent}"]'
            for kind in ("given", "keys")
            for agent in json.loads(configured.get(kind) or "{}")
        }
        return [key for key in keys if key in there]

    def _refreshing(
        self,
        doing: str,
        run: Callable[[Changes, bool], None],
        *,
        refresh: bool,
        silent: bool = False,
    ) -> Changes:
        """Run the engine; without a refresh if the recorded way to Docker is of no use any more.

        A refresh comes before the program, which knows the way of today.
        """

        def once(*, refresh: bool) -> Changes:
            return self._run(doing, lambda seen: run(seen, refresh), silent=silent)

        try:
            return once(refresh=refresh)
        except EngineError as error:
            if not refresh or _DOCKER_UNREACHABLE not in str(error):
                raise
        self.screen.say(
            "warning: the state records a way to the Docker engine that does not work any more. "
            "This run uses the one of docker ps, and does not look for changes made by hand.",
            "yellow",
        )
        return once(refresh=False)

    def _run(self, doing: str, run: Callable[[Changes], None], *, silent: bool = False) -> Changes:
        """Run the engine, with its progress shown and Ctrl-C handed on to it.

        Where an update failed, what it told is the error.
        """
        told: list[str] = []

        def attempt() -> None:
            nonlocal told
            with self.screen.progress(doing, silent=silent) as seen:
                collected.append(seen)
                told = seen.errors
                run(seen)

        collected: list[Changes] = []
        try:
            with self.engine.cancelling(self.screen.say) as cancelled:
                if not silent:
                    recovery.clean_up(self.engine, self.screen.say)
                recovery.past_stale_lock(self.engine, self.screen.say, attempt)
        except EngineError as error:
            if cancelled:
                kept = "what was done is kept, and muster up finishes it"
                raise EngineError(
                    f"cancelled: {'nothing was changed' if silent else kept}"
                ) from None
            raise EngineError("\n".join(told) or str(error)) from None
        for warning in collected[-1].warnings:
            self.screen.say(f"warning: {warning}", "yellow")
        return collected[-1]

    def outcome(self, changes: Changes) -> dict[str, Any]:
        """Return what a run did, or would do, for programs."""
        return {
            "stack": self.stack,
            "changes": [change.report() for change in changes.all],
        }

    def review(self, *, yes: bool, refresh: bool, question: str) -> None:
        """Show the preview and ask, unless `yes` was said beforehand, or there is nothing to do."""
        if yes:
            return
        self.screen.expect_answer()
        if self.preview(refresh=refresh).all:
            self.screen.confirm(question)

    def done(self, changes: Changes) -> None:
        """Say in a line what an update did, and report it."""
        self.screen.say(f"Done: {summary(changes)}." if changes.all else "Nothing to do.")
        self.screen.report(self.outcome(changes))


def _default_stack(project: Path) -> str:
    found = stacks(project)
    selected = [name for name, current in found.items() if current]
    if selected or len(found) == 1:
        return (selected or list(found))[0]
    if not found:
        raise MusterError(
            "there is no stack yet: muster init PROJECT --repo OWNER/NAME --forge-url URL"
        )
    raise MusterError(
        f"there are several stacks ({', '.join(sorted(found))}): name one with --stack, or "
        "select one with pulumi stack select"
    )


def _token(given: str | None) -> str | None:
    """Return the administrator's token; `-` reads it from standard input, off the command line."""
    return sys.stdin.readline().strip() if given == "-" else given
