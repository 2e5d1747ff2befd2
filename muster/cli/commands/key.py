"""`muster key`."""

from typing import Annotated

import typer

from muster.cli import completing
from muster.cli.options import AsJson, Stack, examples


def key(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NAME|URL",
            help="An agent, or an endpoint for all agents that use it "
            "(https://api.anthropic.com for the Anthropic API).",
            autocompletion=completing.agents,
        ),
    ],
    stack: Stack = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the key.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep an endpoint's key in the stack, encrypted: read from standard input, tested, stored.

    A key that the endpoint refuses is not stored. muster up delivers it.
    """
    from muster.cli import endpoint_keys
    from muster.cli.session import Session

    session = Session(stack, as_json=as_json)
    if remove:
        endpoint_keys.remove(session, target)
    else:
        endpoint_keys.keep(session, target, endpoint_keys.read(session.screen))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "muster key dev-qwen < key.txt",
            "muster key https://llm.example.org < key.txt",
            "claude setup-token   # prints the token of a Claude subscription, for:",
            "muster key https://api.anthropic.com",
            "muster key dev-qwen --remove",
        )
    )(key)
