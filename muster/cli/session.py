"""One command's run: the project, the stack, what is shown, and the engine behind it."""

import difflib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from muster import docker, drift, files, preflight, project, roster_edit
from muster.cli import lock, place, recovery, saved_plan
from muster.cli.changes import Changes
from muster.cli.engine import CancelledError, Engine, EngineError, NoStackError, stacks
from muster.cli.folders import STACKS, project_folder
from muster.cli.saved_plan import SavedPlan
from muster.cli.screen import Screen, summary
from muster.errors import MusterError
from muster.forge import Forge
from muster.roster import Agent, Roster, load, parse
from muster.status import recorded

_DOCKER_UNREACHABLE = "Error pinging Docker server"
"""How pulumi-docker (5.2) begins."""


@dataclass(frozen=True)
class RosterChange:
    """A change of the roster that is about to be carried out.

    Attributes:
        text: the roster's new text.
        question: the question before it.
        ways: what the user can do if the update fails half-way.
        secrets: what the stack's configuration keeps from then on, by key.
        forget: keys that it no longer keeps.
        agents: the agents that the change is about.
        asks: whether to ask in any case, or only if other agents would change too.
    """

    text: str
    question: str
    ways: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    forget: Sequence[str] = ()
    agents: frozenset[str] = frozenset()
    asks: bool = True


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
        self.project = project_folder()
        place.activate(os.environ, self.project, _token(admin_token))
        self.stack = stack or _default_stack(self.project)
        self._deployment: dict[str, Any] | None = None
        self._began = False

    @cached_property
    def engine(self) -> Engine:
        """The stack's engine."""
        return Engine(self.project, self.stack)

    @property
    def _folder(self) -> Path:
        """The project's folder as a user would write it."""
        here = Path.cwd()
        return self.project.relative_to(here) if self.project.is_relative_to(here) else self.project

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

    def settings(self) -> project.Settings:
        """Return what roster, stack configuration and environment say.

        Raises:
            MusterError: something is missing or wrong there.
        """
        configured = self.engine.configuration()
        return project.read(self.stack, os.environ, configured.get, self._folder)

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
            self._deployment = None
            yield

    def deployment(self) -> dict[str, Any]:
        """Return the stack's state, read once until an update changes it.

        Raises:
            EngineError: it cannot be read.
        """
        if self._deployment is None:
            self._deployment = self.engine.state()
        return self._deployment

    def make_missing_stack(self, *, yes: bool) -> None:
        """Offer a person to make the stack of a roster that has none, e.g. in a clone.

        Not with `--yes`: a pipeline without the team's `PULUMI_BACKEND_URL` would hire the crew
        again, and replace the credentials of the one at work.

        Raises:
            MusterError: there is no stack, and it was not made.
        """
        try:
            self.deployment()
        except NoStackError:
            if yes or not self.screen.terminal or not self.roster_path.exists():
                raise
        else:
            return
        self.screen.say(
            f"There is no stack {self.stack} for {self.roster_path}. If the crew was hired from "
            "another machine, use the state of that machine (PULUMI_BACKEND_URL, see "
            "docs/operate.md) and answer no."
        )
        self.screen.confirm(f"Make stack {self.stack}?")
        self.engine.make_stack(select=True)
        self.screen.say(f"Made stack {self.stack}.")

    def check(self) -> None:
        """Check what an update needs before the engine refreshes: it would fail per resource.

        Raises:
            MusterError: something is missing or wrong; nothing was changed.
        """
        self.deployment()  # reports a stack that does not exist
        project.inspect(self.settings())

    def preview(self, *, refresh: bool, destroy: bool = False, save: Path | None = None) -> Changes:
        """Show what an update would do.

        Args:
            refresh: whether to read what there is first.
            destroy: whether to preview the removal of the stack.
            save: where the plan is saved.

        Raises:
            EngineError: the program, or something that an update needs, is wrong.
        """
        if save is not None:
            return self._saved(save, refresh=refresh)
        if refresh:
            self.check()
        doing = f"Previewing stack {self.stack}"
        changes = self._refreshing(
            doing,
            lambda seen, fresh: self.engine.preview(seen, refresh=fresh, destroy=destroy),
            refresh=refresh,
            silent=True,
        )
        self.screen.plan(changes)
        return changes

    def _saved(self, path: Path, *, refresh: bool) -> Changes:
        """Preview, and save what is previewed."""
        text, state = self.roster_text(), saved_plan.state_digest(self.deployment())
        with tempfile.TemporaryDirectory() as folder:
            plan = Path(folder) / "plan.json"
            if refresh:
                self.check()
            changes = self._run(
                f"Previewing stack {self.stack}",
                lambda seen: self.engine.preview(seen, refresh=refresh, save=plan),
                silent=True,
            )
            found = json.loads(plan.read_bytes())
        SavedPlan(self.stack, saved_plan.digest(text), state, found).write(path)
        self.screen.plan(changes)
        return changes

    def up_as_planned(self, path: Path, *, refresh: bool) -> Changes:
        """Do exactly what a saved plan says.

        Raises:
            MusterError: roster or stack were changed since, and nothing was changed; or the
                update would do something else, and stopped.
        """
        plan = saved_plan.read(path)
        plan.expect(self.stack, self.roster_text(), self.deployment())
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "plan.json"
            file.write_text(json.dumps(plan.engine))
            return self._run(
                f"Updating stack {self.stack} as planned",
                lambda seen: self.engine.up(seen, refresh=refresh, plan=file),
            )

    def up(self, *, refresh: bool) -> Changes:
        """Update the stack, after what a killed run left is cleaned up.

        Raises:
            EngineError: something failed; what was done is kept.
        """
        if refresh:
            self.check()
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
        """Check that Docker and the forge can be reached before anything is removed.

        A local forge is part of the stack.

        Raises:
            MusterError: one of them cannot, or refuses the administrator; nothing was changed.
        """
        settings = self.settings()
        roster = settings.roster
        with docker.engine(roster.muster.docker_host):
            pass
        if roster.muster.local_forge:
            return
        url = settings.forge_url
        if not Forge(url, None).answers():
            raise MusterError(
                f"the forge at {url} does not answer, and the crew's accounts are to be barred "
                "there: start it first. Nothing was changed"
            )
        if problem := preflight.refused(url, settings.administrator, roster.repo):
            raise MusterError(f"{problem}. Nothing was changed")

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
        said = recorded(self.deployment())
        return {
            name: max(number, said.get(name, {}).get("rotation", 0)) + 1
            for name, number in rotations.items()
        }

    def change_roster(self, change: RosterChange, *, yes: bool, only_preview: bool = False) -> None:
        """Preview a change of the roster, ask, apply it, and report it.

        Args:
            change: the roster's new text, and what goes with it.
            yes: whether `--yes` was given; then there is no preview.
            only_preview: change nothing.

        Raises:
            MusterError: something is wrong; the roster is as before, or the text says what to do.
        """
        if only_preview:
            self.screen.report(self.outcome(self._preview_of(change)))
            return
        self.done(self.carry_out(change, yes=yes))

    def carry_out(self, change: RosterChange, *, yes: bool) -> Changes:
        """Preview a change of the roster, ask, and apply it.

        The roster is written after the answer, and is as before if nothing else was changed.

        Raises:
            MusterError: something is wrong; the roster is as before, or the text says what to do.
        """
        if not yes and change.asks:
            self.screen.expect_answer()
        if yes:
            parse(change.text, self.roster_path)
        else:
            planned = self._preview_of(change)
            others = {each.agent for each in planned.all if each.agent} - change.agents
            if change.asks or others:
                self.screen.confirm(change.question)
        refresh = self._changed_outside(change.agents)
        with self._written(change):
            return self.up(refresh=refresh)

    def _preview_of(self, change: RosterChange) -> Changes:
        """Preview a roster that is not written."""
        parse(change.text, self.roster_path)
        with self.engine.candidate(change.text):
            return self.preview(refresh=False)

    def _changed_outside(self, agents: Iterable[str]) -> bool:
        """Return whether somebody else changed what these agents have: then a refresh is due."""
        try:
            return drift.changed_outside(self.settings(), self.deployment(), agents)
        except MusterError:  # the update reports it
            return False

    @contextmanager
    def _written(self, change: RosterChange) -> Iterator[None]:
        """Write roster and stack configuration; restore both if the update changes nothing."""
        settings = place.settings_path(self.project, self.stack)
        before = self.roster_text(), settings.read_bytes() if settings.exists() else None
        self._began = False
        try:
            for key in self._kept(change.forget):
                self.engine.forget(key)
            for key, value in change.secrets.items():
                self.engine.keep_secret(key, value)
            roster_edit.write(self.roster_path, change.text)
            yield
        except BaseException as error:
            if not self._began:
                self._restore(change.text, *before)
                if isinstance(error, EngineError) and not isinstance(error, CancelledError):
                    error.args = (f"{error}\nNothing was changed.",)
            elif isinstance(error, EngineError):
                error.args = (f"{error}\n{change.ways}",)
            raise

    def _restore(self, text: str, roster: str, settings: bytes | None) -> None:
        if self.roster_text() == text:  # somebody else's edit meanwhile stays
            roster_edit.write(self.roster_path, roster)
        path = place.settings_path(self.project, self.stack)
        if settings is not None:
            files.replace(path, settings)
        else:
            path.unlink(missing_ok=True)

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
                    recovery.clean_up(self.engine, self.deployment(), self.screen.say)
                    self._deployment = None
                recovery.past_stale_lock(self.engine, self.screen.say, attempt)
        except EngineError as error:
            self._began = not silent and any(
                not change.failed for each in collected for change in each.all
            )
            if cancelled:
                kept = "what was done is kept, and muster up finishes it"
                raise CancelledError(
                    f"cancelled: {kept if self._began else 'nothing was changed'}", cancelled[0]
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
        rosters = sorted((project / STACKS).glob("*.toml"))
        if len(rosters) == 1:
            return rosters[0].stem
        name = "NAME" if rosters else "PROJECT --repo OWNER/NAME --forge-url URL"
        exist = f", and rosters for {', '.join(each.stem for each in rosters)}" if rosters else ""
        raise MusterError(f"there is no stack yet{exist}: muster init {name}")
    raise MusterError(
        f"there are several stacks ({', '.join(sorted(found))}): name one with --stack, or "
        "select one with pulumi stack select"
    )


def _token(given: str | None) -> str | None:
    """Return the administrator's token; `-` reads it from standard input, off the command line."""
    return sys.stdin.readline().strip() if given == "-" else given
