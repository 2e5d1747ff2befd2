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
    as_json: AsJson = False,
) -> None:
    """Show how each agent does: a row an agent, from roster, state, Docker and forge."""
    from muster.cli.look import Look
    from muster.cli.session import Session

    if watch and as_json:
        raise typer.BadParameter("--watch is for people: ask again for another --json")
    look = Look(Session(stack, as_json=as_json, admin_token=admin_token))
    if watch:
        look.watch()
    else:
        look.once()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("muster status", "muster status --watch", "muster status --json"))(
        status
    )
