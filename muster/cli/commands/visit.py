"""`muster shell` and `muster open`: an agent's container, and its work at the forge."""

from typing import Annotated

import typer

from muster.cli import completing
from muster.cli.options import AsJson, Name, Stack, examples


def shell(
    name: Name,
    stack: Stack = None,
) -> None:
    """Open a shell in an agent's container.

    What runs there can read the agent's credentials.
    """
    from muster.cli import visiting
    from muster.cli.session import Session

    visiting.shell(Session(stack), name)


def open_(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="An agent; default: the repository.",
            autocompletion=completing.agents,
        ),
    ] = None,
    stack: Stack = None,
    *,
    pull_requests: Annotated[
        bool, typer.Option("--pr", help="Open the repository's pull requests.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Open a page of the forge in the browser, and print its address.

    For an agent that is its pull request, else the issue that it works on, else its bot user.
    """
    from muster.cli import visiting
    from muster.cli.session import Session

    if name and pull_requests:
        raise typer.BadParameter("NAME and --pr exclude each other")
    visiting.open_page(Session(stack, as_json=as_json), name, pull_requests=pull_requests)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=examples("muster shell dev-qwen"))(shell)
    app.command("open", epilog=examples("muster open", "muster open dev-qwen", "muster open --pr"))(
        open_
    )
