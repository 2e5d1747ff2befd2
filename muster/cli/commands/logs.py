"""`muster logs`."""

import re
from typing import Annotated

import typer

from muster.cli import completing
from muster.cli.options import Stack, examples


def logs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]",
            help="Agents; default: the whole crew.",
            autocompletion=completing.agents,
        ),
    ] = None,
    stack: Stack = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE|TIME", help="From then on: 10m, 2h, or 2026-01-31T12:00:00."),
    ] = None,
    tail: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The last N lines only.")
    ] = None,
    grep: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN", help="Only lines in which this regular expression is found."
        ),
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    session: Annotated[
        bool, typer.Option("--session", help="Show the transcript of its last session instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they are.")] = False,
) -> None:
    """Show what agents did: the time, the state and one sentence per line.

    Lines of several agents are sorted by time and begin with the agent's name. Cycles in which
    nothing changed are left out; `--json` shows them too. `--session` shows what the model said,
    the tools that it called and what they returned.
    """
    from muster.cli import reading
    from muster.cli.durations import moment
    from muster.cli.session import Session

    if session and (since or follow or tail is not None or grep):
        raise typer.BadParameter(
            "--session shows the whole session: leave out --since, --tail, --grep and --follow"
        )
    if session and len(names or ()) != 1:
        raise typer.BadParameter("--session shows one agent's session: name the agent")
    wanted = reading.Wanted(
        since=moment(since) if since else None,
        tail=tail,
        pattern=_pattern(grep) if grep else None,
        follow=follow,
    )
    opened = Session(stack, as_json=as_json)
    if session and names:
        reading.transcript(opened, names[0])
    else:
        reading.log(opened, names, wanted)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise typer.BadParameter(f"{text} is not a valid regular expression: {error}") from None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "muster logs --since 10m",
            "muster logs dev-qwen review-qwen -f",
            "muster logs dev-qwen --tail 20 --grep '#12'",
            "muster logs dev-qwen --session",
        )
    )(logs)
