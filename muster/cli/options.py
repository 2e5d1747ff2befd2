"""Options that several commands share, each told in one place."""

from typing import Annotated

import typer

from muster.cli import completing

Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        help="The stack; default: the selected one, or the only one there is.",
        autocompletion=completing.stacks,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NoRefresh = Annotated[
    bool,
    typer.Option("--no-refresh", help="Trust the state; do not look for changes made by hand."),
]
Summary = Annotated[
    bool, typer.Option("--summary", help="Preview only how many changes each agent has.")
]
AdminToken = Annotated[
    str | None,
    typer.Option(
        "--admin-token",
        help="The forge administrator's token, over FORGE_ADMIN_*; - reads it from standard input.",
    ),
]
Name = Annotated[str, typer.Argument(help="The agent.", autocompletion=completing.agents)]
Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="Agents, by name.", autocompletion=completing.agents),
]
NamesOrAll = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME...]", help="Agents, by name; or --all.", autocompletion=completing.agents
    ),
]
Every = Annotated[bool, typer.Option("--all", help="The whole crew.")]


def on(stack: str | None) -> str:
    """Return the option that names a stack in a command to type; nothing if none was named."""
    return f" --stack {stack}" if stack else ""


def examples(*lines: str) -> str:
    """Return a command's examples, as they stand below its options."""
    return "\n\n".join(["Examples:", "\b\n" + "\n".join(f"  {line}" for line in lines)])
