"""The doctor's checks in their order, and those of them that ask Pulumi."""

import functools
import os
from collections.abc import Iterator
from contextlib import ExitStack

from muster.cli import recovery
from muster.cli.changes import Changes
from muster.cli.engine import EngineError, NoStackError, stacks
from muster.cli.folders import project_folder
from muster.cli.session import Session
from muster.doctor import agents, branch, crew, endpoints, engine, forge, leftovers, mends, rosters
from muster.doctor.findings import Check, Finding, Found, NotAskedError, well, wrong
from muster.doctor.hired import State
from muster.doctor.hired import read as read_state
from muster.doctor.subject import Subject
from muster.errors import MusterError
from muster.words import counted
from toolchain import environment, pulumi


class Checkup:
    """One look at a stack and all that it needs.

    Args:
        stack: the stack's name, None for the default one.
        admin_token: the forge administrator's token, as commands take it.
        as_json: whether standard output is a program's.
        fix: whether to mend what is safe; no other `muster` changes the stack meanwhile.
        ask_model: whether to send one real request to each model.
    """

    def __init__(
        self,
        stack: str | None,
        *,
        admin_token: str | None,
        as_json: bool,
        fix: bool,
        ask_model: bool,
    ) -> None:
        self._given, self._admin_token = stack, admin_token
        self._as_json, self._fix, self._ask_model = as_json, fix, ask_model
        self._set_up: Found[str] = Found("the toolchain is not complete")
        self._session: Found[Session] = Found("no stack is known")
        self._alone = ExitStack()
        self.subject = Subject(os.environ, mends.Muster(stack))

    def checks(self) -> dict[str, Check]:
        """Return the checks by name, in the order of dependence."""
        plain = functools.partial
        return {
            "toolchain": self._toolchain,
            "stack": self._stack,
            "docker": plain(engine.answers, self.subject),
            "forge": plain(forge.answers, self.subject),
            "administrator": plain(forge.administration, self.subject),
            "roster": plain(rosters.rules, self.subject),
            "endpoint": plain(endpoints.served, self.subject, ask_model=self._ask_model),
            "repository": plain(crew.access, self.subject),
            "branch": plain(branch.protection, self.subject),
            "containers": plain(crew.containers, self.subject),
            "agents": plain(agents.waiting, self.subject),
            "clocks": plain(forge.clocks, self.subject),
            "killed runs": self._killed_runs,
            "leftovers": plain(leftovers.strays, self.subject),
        }

    @property
    def stack(self) -> str | None:
        """The stack's name, where it is known."""
        try:
            return self.subject.stack.get()
        except NotAskedError:
            return self._given

    def close(self) -> None:
        """Let other `muster` commands change the stack again."""
        self._alone.close()

    def _toolchain(self) -> Iterator[Finding]:
        """Ask whether set-up has anything left to do for Python's packages and for Pulumi."""
        missing = [*environment.plan(), *pulumi.plan()]
        for step in missing:
            lacks = "".join(f". {line}" for line in step.missing)
            yield wrong(f"set-up has this to do: {step.title}{lacks}", mends.SET_UP)
        if not missing:
            yield well(f"Pulumi {self._set_up.put(pulumi.VERSION)} and its plugins are set up")

    def _stack(self) -> Iterator[Finding]:
        """Find the stack, and read its state and configuration."""
        self._set_up.get()
        try:
            session = Session(self._given, as_json=self._as_json, admin_token=self._admin_token)
            stack, path = session.stack, session.roster_path
        except EngineError as error:
            yield wrong(*_unreadable(self._given, error))
            return
        except MusterError as error:
            yield wrong(str(error), _choose_stack())
            return
        if self._fix:
            self._alone.enter_context(session.alone())
        self._session.put(session)
        trouble = self._read()
        if trouble is None or not isinstance(trouble, NoStackError):
            self.subject.stack.put(stack)
            self.subject.roster_path.put(path)
        if trouble:
            yield wrong(*_unreadable(stack, trouble))
            return
        hired = len(self.subject.state.get().hired)
        yield well(f"the state of stack {stack} can be read: {counted(hired, 'agent')} hired")

    def _read(self) -> EngineError | None:
        """Read configuration and state; return what kept from it."""
        try:
            self.subject.configuration.put(self._session.get().engine.configuration())
            self.subject.state.put(self._state())
        except EngineError as error:
            return error
        self.subject.state_now.put(self._state)
        return None

    def _state(self) -> State:
        return read_state(self._session.get().engine.state(secrets=True))

    def _killed_runs(self) -> Iterator[Finding]:
        """Look for what killed runs leave: plugins, a lock, creates that were begun."""
        engine, fix = self._session.get().engine, self.subject.muster("doctor", "--fix")
        lock = recovery.lock_of(engine)
        if lock and not lock.is_stale():
            raise NotAskedError(f"{lock} has been updating the stack since {lock.since}")
        found = False
        for plugin in recovery.orphans(engine.project):
            found = True
            yield wrong(
                f"{plugin.name()} (process {plugin.pid}) is at work for an engine that is gone",
                fix,
                functools.partial(recovery.end, plugin),
            )
        if lock:
            found = True
            yield wrong(f"the stack is locked by {lock}, which is gone", fix, engine.unlock)
        # Looked at again: an update may have ended meanwhile.
        if self.subject.state.get().unfinished and (begun := self._state().unfinished):
            found = True
            yield wrong(
                f"a run was killed that had begun and not ended: {', '.join(begun)}",
                fix,
                lambda: engine.clear_pending_creates(Changes()),
            )
        if not found:
            yield well("none left anything")


def _choose_stack() -> str:
    known = sorted(stacks(project_folder()))
    return f"muster doctor --stack {known[0]}" if known else "muster init"


def _unreadable(stack: str | None, error: EngineError) -> tuple[str, str]:
    said = str(error)
    if "passphrase" in said:
        return f"the secrets of stack {stack} cannot be read: {said}", mends.ANOTHER_PASSPHRASE
    if stack and isinstance(error, NoStackError):
        return said, f"muster init {stack}"
    return f"the state cannot be read: {said}", mends.LOOK_AT_STATE
