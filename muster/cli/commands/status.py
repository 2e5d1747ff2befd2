"""`muster status`."""

from typing import Annotated

import typer

from muster.cli.options import AdminToken, AsJson, Stack, examples


def status(
    stack: Stack = None,
    admin_token: AdminToken = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every few seconds, until Ctrl-C.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Show every column, also roles and bot users.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what each agent does, and whether it is as the roster wants it.

    Columns that do not fit the terminal are left out; --wide shows them all. Exits with 0 if every
    agent is as wanted and its cycles succeed, else with 1, also if something could not be asked.
    """
    from muster.cli.look import Look
    from muster.cli.session import Session

    if watch and as_json:
        raise typer.BadParameter("--watch and --json exclude each other")
    look = Look(Session(stack, as_json=as_json, admin_token=admin_token), wide=wide)
    if watch:
        look.watch()
    elif not look.once():
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "muster status", "muster status --wide", "muster status --watch", "muster status --json"
        )
    )(status)
