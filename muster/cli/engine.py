"""Pulumi, driven through its Automation API: one stack of one project."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from pulumi.automation import (
    CommandError,
    CommandResult,
    LocalWorkspace,
    OutputMap,
    PulumiCommand,
    Stack,
    StackNotFoundError,
    UpdateSummary,
)
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import create_command_error
from pulumi.automation.events import EngineEvent
from semver import VersionInfo

from muster.cli import history, place
from muster.errors import MusterError
from muster.project import CANDIDATE
from toolchain.pulumi import VERSION

OnEvent = Callable[[EngineEvent], None]


class EngineError(MusterError):
    """Pulumi failed; the text is for the person at the keyboard."""


class CancelledError(EngineError):
    """A signal ended the run."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number  # as shells report it: 130 for Ctrl-C


class NoStackError(EngineError):
    """The stack does not exist."""


class Pulumi(PulumiCommand):
    """The `pulumi` program, in a session of its own.

    A terminal sends Ctrl-C to every process of the foreground: the engine would lose the plugins
    that are in the middle of a call. So the engine alone is told, by `interrupt`.
    """

    def __init__(self) -> None:
        # The base's would run `pulumi version`; set-up sees to the version.
        self.command, self.version = "pulumi", VersionInfo.parse(VERSION)
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = False

    def run(  # noqa: PLR0913 - the base's, and one more
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
        *,
        stdin: str = "",
    ) -> CommandResult:
        """Run `pulumi` and wait for it; signals are handled meanwhile.

        Raises:
            CommandError: it failed.
        """
        if self._cancelled:
            raise create_command_error(CommandResult(stdout="", stderr="cancelled", code=1))
        told: tuple[list[str], list[str]] = ([], [])
        process = subprocess.Popen(  # noqa: S603 - our own words
            [self.command, "--non-interactive", *args],
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._process = process
        readers = [
            threading.Thread(target=_read, args=(process.stdout, on_output, told[0])),
            threading.Thread(target=_read, args=(process.stderr, on_error, told[1])),
        ]
        for reader in readers:
            reader.start()
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        for reader in readers:
            reader.join()
        code = process.wait()
        self._process = None
        result = CommandResult(stdout="\n".join(told[0]), stderr="\n".join(told[1]), code=code)
        if code != 0:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """Ask the engine to begin nothing more; asked again, it ends at once."""
        self._cancelled = True
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)

    def go_on(self) -> None:
        """Take commands again after an interrupt."""
        self._cancelled = False


def _read(stream: Any, callback: Callable[[str], Any] | None, told: list[str]) -> None:  # noqa: ANN401
    for line in stream:
        told.append(line.rstrip())
        if callback:
            callback(told[-1])
    stream.close()


class _Workspace(LocalWorkspace):
    """The project's folder, in which the user's choice of a stack stays the user's."""

    def select_stack(self, stack_name: str) -> None:
        """Select nothing: every command names its stack."""


class _Stack(Stack):
    """A stack whose updates end when they end."""

    def outputs(self) -> OutputMap:
        """Return nothing: the SDK reads them after each update, in two more runs of Pulumi."""
        return {}

    def info(self, show_secrets: bool = True) -> UpdateSummary | None:  # noqa: ARG002, FBT001, FBT002
        """Return a placeholder: the SDK reads the history after each update, in one more run."""
        return UpdateSummary(
            kind="update",
            start_time=datetime.now(UTC),
            message="",
            environment={},
            config={},
            result="succeeded",
            version=None,
        )


def stacks(project: Path) -> dict[str, bool]:
    """Return the names of the project's stacks, each with whether it is the selected one.

    Raises:
        EngineError: the state cannot be read.
    """
    try:
        listed = Pulumi().run(["stack", "ls", "--json"], str(project), {})
    except CommandError as error:
        raise EngineError(_told(error)) from None
    return {each["name"]: each["current"] for each in json.loads(listed.stdout)}


class Engine:
    """One stack: what can be asked of it and done to it. All methods raise `EngineError`.

    Attributes:
        project: the folder of `Pulumi.yaml`.
        stack: the stack's name.
    """

    def __init__(self, project: Path, stack: str) -> None:
        self.project, self.stack = project, stack
        self._pulumi = Pulumi()
        self._environment: dict[str, str] = {}
        workspace = _Workspace(work_dir=str(project), pulumi_command=self._pulumi)
        workspace.env_vars = self._environment
        self._stack = _Stack(stack, workspace, StackInitMode.SELECT)

    def make_stack(self, *, select: bool) -> None:
        """Make the stack."""
        self._run("stack", "init", *([] if select else ["--no-select"]))

    def remove_stack(self, *, keep_configuration: bool = False) -> None:
        """Remove the stack, which has to be empty, with its configuration unless that is kept."""
        self._run("stack", "rm", "--yes", *(["--preserve-config"] if keep_configuration else []))

    @contextmanager
    def candidate(self, roster: str) -> Iterator[None]:
        """Have the program read this text in place of the stack's roster."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8", newline="") as file:
            file.write(roster)
            file.flush()
            self._environment[CANDIDATE] = file.name
            try:
                yield
            finally:
                del self._environment[CANDIDATE]

    def preview(
        self, on_event: OnEvent, *, refresh: bool, destroy: bool = False, save: Path | None = None
    ) -> None:
        """Preview an update or the removal of the stack; save the update's plan to a file."""
        plan = None if save is None else str(save)
        with self._explained():
            if destroy:
                self._stack.preview_destroy(on_event=on_event, refresh=refresh)
            else:
                self._stack.preview(on_event=on_event, refresh=refresh, plan=plan)

    def up(self, on_event: OnEvent, *, refresh: bool, plan: Path | None = None) -> None:
        """Update the stack, as planned if a plan is given.

        One agent's failure does not stop the others.
        """
        with self._explained():
            self._stack.up(
                on_event=on_event,
                refresh=refresh,
                plan=None if plan is None else str(plan),
                continue_on_error=True,
                show_secrets=False,
                message=history.message(),
            )

    def destroy(self, on_event: OnEvent, *, refresh: bool) -> None:
        """Remove all that the stack has made."""
        with self._explained():
            self._stack.destroy(
                on_event=on_event,
                refresh=refresh,
                continue_on_error=True,
                show_secrets=False,
                message=history.message(),
            )

    def clear_pending_creates(self, on_event: OnEvent) -> None:
        """Read the resources, and forget the creates that a killed engine had begun."""
        with self._explained():
            self._stack.refresh(on_event=on_event, clear_pending_creates=True, show_secrets=False)

    def history(self, limit: int) -> list[dict[str, Any]]:
        """Return what Pulumi's history has of the last updates, the last one first."""
        shown = self._run("stack", "history", "--output", "json", "--page-size", str(limit))
        recorded: list[dict[str, Any]] = json.loads(shown or "[]")
        return recorded

    def unlock(self) -> None:
        """Remove the stack's lock, whose process is gone."""
        self._run("cancel", "--yes")

    def state(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return the stack's deployment, its secrets encrypted or in plain text."""
        options = ["--show-secrets"] if secrets else []
        exported = json.loads(self._run("stack", "export", *options))
        deployment: dict[str, Any] = exported["deployment"] or {}
        return deployment

    def configuration(self) -> dict[str, str]:
        """Return what the stack's configuration says to Muster, by key, its secrets decrypted.

        Raises:
            PlaceError: the file is not valid YAML.
        """
        stored = place.settings(self.project, self.stack)
        if all(isinstance(value, str) for value in stored.values()):  # none is a secret
            return stored
        shown = json.loads(self._run("config", "--json", "--show-secrets"))
        return {
            key.removeprefix(place.NAMESPACE): each.get("value", "")
            for key, each in shown.items()
            if key.startswith(place.NAMESPACE)
        }

    def backend(self) -> str:
        """Return the URL of where the state is kept."""
        with self._explained():
            told = self._pulumi.run(["whoami", "--json", "--verbose"], str(self.project), {})
        return str(json.loads(told.stdout)["url"])

    def keep_secret(self, key: str, value: str) -> None:
        """Keep a secret in the stack's configuration; it goes by standard input."""
        self._run("config", "set", "--secret", "--path", f"{place.NAMESPACE}{key}", stdin=value)

    def forget(self, key: str) -> None:
        """Remove a value from the stack's configuration; one that is missing is fine."""
        self._run("config", "rm", "--path", f"{place.NAMESPACE}{key}")

    def _run(self, *arguments: str, stdin: str = "") -> str:
        with self._explained():
            done = self._pulumi.run(
                [*arguments, "--stack", self.stack], str(self.project), {}, stdin=stdin
            )
        return done.stdout

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except StackNotFoundError:
            raise NoStackError(
                f"there is no stack {self.stack}: muster init {self.stack} makes it, or choose "
                "another with --stack (pulumi stack ls lists them)"
            ) from None
        except CommandError as error:
            raise EngineError(_told(error)) from None

    @contextmanager
    def cancelling(self, say: Callable[[str], None]) -> Iterator[list[int]]:
        """Let Ctrl-C, or the terminal's end, cancel the engine's work in place of this process.

        Yields:
            The signals that came.
        """
        came: list[int] = []

        def cancel(number: int, _frame: FrameType | None) -> None:
            came.append(number)
            self._pulumi.interrupt()
            with suppress(OSError):  # the terminal may be what has ended
                say(
                    "Cancelling: what has begun is finished, nothing more is begun. "
                    "Once more ends it at once."
                )

        before = {
            number: signal.signal(number, cancel)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) != signal.SIG_IGN  # as under nohup
        }
        try:
            yield came
        finally:
            self._pulumi.go_on()
            for number, handler in before.items():
                signal.signal(number, handler)


def _told(error: CommandError) -> str:
    """Return what Pulumi said on standard error, without its prefix, or else how it ended."""
    code, _, rest = str(error).removeprefix("\n code: ").partition("\n stdout: ")
    said = rest.rpartition("\n stderr: ")[2].strip()
    if said:
        return said.removeprefix("error: ")
    how = (
        f"was killed (signal {code[1:]})" if code.startswith("-") else f"failed (exit code {code})"
    )
    return f"Pulumi {how} without a word: muster up cleans up what it left, and goes on"
