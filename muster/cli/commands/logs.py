"""`muster logs`."""

from typing import Annotated

import typer

from muster.cli.options import Stack, examples


def logs(
    name: Annotated[str, typer.Argument(help="The agent.")],
    stack: Stack = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE|TIME", help="From then on: 10m, 2h, or 2026-01-31T12:00:00."),
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    session: Annotated[
        bool, typer.Option("--session", help="Show the transcript of its last session instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they are.")] = False,
) -> None:
    """Show what an agent did: the time, its state and one sentence per line.

    Cycles in which nothing changed are left out; `--json` shows them too. `--session` shows what
    the model said, the tools that it called and what they returned.
    """
    from muster.cli import reading
    from muster.cli.session import Session

    if session and (since or follow):
        raise typer.BadParameter("--session shows the whole session: leave out --since, --follow")
    opened = Session(stack, as_json=as_json)
    if session:
        reading.transcript(opened, name)
    else:
        reading.log(opened, name, since=since, follow=follow)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "muster logs dev-qwen --since 10m",
            "muster logs dev-qwen -f",
            "muster logs dev-qwen --session",
        )
    )(logs)
