"""`muster work`."""

from typing import Annotated

import typer

from muster.cli.options import AsJson, Name, Stack, examples


def work(
    name: Name,
    issue: Annotated[str, typer.Argument(help="The issue's number.")],
    stack: Stack = None,
    *,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the agent takes or refuses it.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Ask an agent to take an issue now, before all others.

    Waits for at most a minute, and shows the agent's log meanwhile. The request stands after that,
    and after Ctrl-C. Exits with 1 if the agent refuses the issue.
    """
    from muster.cli import requesting
    from muster.cli.session import Session

    number = issue.removeprefix("#")
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise typer.BadParameter(f"ISSUE must be the number of an issue, e.g. 12 (got {issue})")
    session = Session(stack, as_json=as_json)
    raise typer.Exit(requesting.request(session, name, int(number), wait=wait))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("muster work dev-qwen 12", "muster work dev-qwen 12 --no-wait"))(
        work
    )
