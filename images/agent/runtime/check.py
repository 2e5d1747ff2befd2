"""The project's checks: commands that the repository's primary branch, or the roster, names."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.report import Checked
from runtime.services import Services
from runtime.state import now
from runtime.tree import Tree

FILE = ".muster/work.toml"
SECONDS = 1800
"""How long a command may take."""

ROUNDS = 2
"""How often failed checks are given back to the session."""


class ChecksError(Exception):
    """The repository's work file is not valid; the message says what is expected."""


@dataclass(frozen=True)
class Commands:
    """What prepares a tree, and what must succeed before a change is delivered."""

    setup: list[str]
    check: list[str]


def commands(services: Services) -> Commands:
    """Return the commands of the primary branch's work file, else those of the roster.

    Raises:
        ChecksError: The file is not valid.
    """
    work = services.settings.work
    text = services.mirror.show(services.primary, FILE)
    if text is None:
        return Commands(work.setup, work.check)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ChecksError(f"{FILE} is not valid TOML: {error}") from None
    if unknown := values.keys() - {"setup", "check"}:
        raise ChecksError(f"{FILE}: unknown key {min(unknown)}; it has setup and check")
    return Commands(
        _list(values.get("setup", work.setup), "setup"),
        _list(values.get("check", work.check), "check"),
    )


def set_up(
    services: Services, tree: Tree, wanted: Commands, stopped: Callable[[], bool]
) -> Checked | None:
    """Run the commands that prepare a tree; return the one that failed, None if none did."""
    network = services.settings.work.network == "open"
    for command in wanted.setup:
        done = tree.run(command, SECONDS, network=network, stopped=stopped)
        if done.code != 0:
            return Checked(command, done.code, services.reporter.redacted(done.output))
    return None


def run(
    services: Services, tree: Tree, wanted: Commands, stopped: Callable[[], bool]
) -> list[Checked]:
    """Run every check in the jail; results are exit codes, never a model's words."""
    results = []
    for command in wanted.check:
        services.reporter.say("state", f"Checking: {command}", state="checking", since=now())
        done = tree.run(command, SECONDS, stopped=stopped)
        results.append(Checked(command, done.code, services.reporter.redacted(done.output)))
    return results


def _list(value: Any, name: str) -> list[str]:  # noqa: ANN401 - TOML
    commands = [value] if isinstance(value, str) else value
    if not isinstance(commands, list) or not all(isinstance(each, str) for each in commands):
        raise ChecksError(f"{FILE}: {name} must be a list of commands")
    return commands
