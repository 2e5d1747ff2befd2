"""`muster history`."""

from typing import Annotated

import typer

from muster.cli.options import AsJson, Stack, examples


def history(
    stack: Stack = None,
    tail: Annotated[
        int, typer.Option(metavar="N", min=1, help="The last N updates only.", show_default=True)
    ] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Show who changed the crew, what and when, the last update first.

    Plain `pulumi` does not record who ran it. The changes are Pulumi's counts, which include the
    components that hold an agent's resources together.
    """
    from muster.cli.history import runs, table
    from muster.cli.session import Session

    session = Session(stack, as_json=as_json)
    found = runs(session.engine.history(tail))
    session.screen.report({"stack": session.stack, "updates": [run.report() for run in found]})
    if not as_json:
        session.screen.show(table(found))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("muster history", "muster history --tail 100 --json"))(history)
