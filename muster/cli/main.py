"""The command line: `muster --help`."""

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
    key,
    logs,
    places,
    rotate,
    running,
    status,
    updates,
    work,
)
from muster.errors import MusterError
from toolchain.paths import ROOT

FAILED = 1
VERSION = re.compile(r'^version = "(.*)"$', re.MULTILINE)

app = typer.Typer(
    name="muster",
    help="Hire, look after and fire a crew of coding agents on your own forge.",
    epilog="Exit codes: 0 done, 1 failed or declined, 2 wrong usage, 3 the preview has changes "
    "(with --expect-no-changes).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _commands in (
    *(places, hire, fire, rotate, key, adopt, status, logs, work, doctor, running, updates),
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


def main() -> None:
    """Run the command that the command line names; what the user can mend is told in words."""
    # What was changed for a preview is put back, also when the terminal or the system ends us.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _leave)
    completion_init()
    try:
        app()
    except MusterError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(FAILED)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
