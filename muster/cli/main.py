"""The command line: `muster --help`."""

import difflib
import json
import re
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer._completion_classes import completion_init

from muster.cli.commands import (
    adopt,
    doctor,
    fire,
    hire,
    history,
    key,
    logs,
    places,
    rotate,
    running,
    status,
    updates,
    visit,
    work,
)
from muster.cli.helping import Command, Group, usage_message
from muster.errors import MusterError
from toolchain.paths import ROOT

FAILED = 1
VERSION = re.compile(r'^version = "(.*)"$', re.MULTILINE)

app = typer.Typer(
    name="muster",
    help="Hire, look after and fire a crew of coding agents on your own forge.",
    cls=Group,
    epilog="Exit codes: 0 done, 1 failed, declined or not as wanted, 2 wrong usage, 3 the preview "
    "has changes (with --expect-no-changes), 130 ended by Ctrl-C.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _commands in (
    *(places, hire, fire, rotate, key, adopt, status, logs, history, visit, work, doctor, running),
    updates,
):
    _commands.register(app)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        [version] = VERSION.findall((ROOT / "pyproject.toml").read_text())
        typer.echo(f"muster {version}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command("help")
def _help(
    ctx: typer.Context,
    command: Annotated[str | None, typer.Argument(help="The command; default: all.")] = None,
) -> None:
    """Show what a command does, and its options."""
    program = ctx.parent
    group = program.command if program else None
    if program is None or not isinstance(group, Group):
        return
    if command is None:
        typer.echo(program.get_help())
    elif (found := group.get_command(program, command)) is None:
        near = difflib.get_close_matches(command, group.commands, n=1)
        raise typer.BadParameter(
            f"{command} is not a command" + (f"; did you mean {near[0]}?" if near else "")
        )
    else:
        typer.echo(found.get_help(type(ctx)(found, info_name=command, parent=program)))


for _registered in app.registered_commands:
    _registered.cls = Command


def main() -> None:
    """Run the command that the command line names; what the user can fix is reported in words."""
    # Locks are released also when the terminal or the system ends us.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _leave)
    completion_init()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line; return its exit code.

    Errors are one line on standard error; with `--json` a document on standard output.
    """
    try:
        code = app(arguments or ["--help"], prog_name="muster", standalone_mode=False)
    except MusterError as error:
        return _failed(str(error), error.exit_code, arguments)
    except typer.TyperException as error:
        return _failed(usage_message(error), error.exit_code, arguments)
    except typer.Abort:  # the end of standard input where an answer was expected
        return _failed("no answer: nothing was changed", FAILED, arguments)
    return code if isinstance(code, int) else 0


def _failed(message: str, code: int, arguments: list[str]) -> int:
    if "--json" in arguments:
        document = {"error": {"message": message, "exit_code": code}}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stderr.write(f"error: {message}\n")
    return code


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
