"""`muster fire`."""

import os
from typing import Annotated

import typer

from muster.cli.options import AdminToken, AsJson, Names, Stack, Yes, examples
from muster.errors import MusterError


def fire(
    names: Names,
    stack: Stack = None,
    admin_token: AdminToken = None,
    *,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge",
            help="Take the account, all that it opened, and the volumes too. The name has to be "
            "typed.",
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Fire agents: remove their sections, containers and credentials.

    The account stays, and so do its issues, pull requests and volumes, unless `--purge` is given.
    """
    from muster import keys, roster_edit
    from muster.accounts import PURGE_VARIABLE
    from muster.cli import firing
    from muster.cli.session import RosterChange, Session

    session = Session(stack, as_json=as_json, admin_token=admin_token)
    with session.alone():
        roster = session.roster()
        fired = session.agents(names)
        edited = session.roster_text()
        for agent in fired:
            edited = roster_edit.without_agent(edited, agent.name)
            for line in firing.consequences(roster, agent, purge=purge):
                session.screen.say(line)
        if purge:
            _typed(session.screen.as_json, [agent.name for agent in fired])
            os.environ[PURGE_VARIABLE] = ",".join(agent.forge_user for agent in fired)
        change = RosterChange(
            edited,
            question=f"Fire {', '.join(agent.name for agent in fired)}?",
            ways=_ways(roster.muster.docker_host, purge=purge),
            forget=[keys.place(agent.name) for agent in fired],
            agents=frozenset(agent.name for agent in fired),
        )
        session.change_roster(change, yes=yes or purge)
        if purge:
            for volume in firing.purge_volumes(roster, session.stack, fired):
                session.screen.say(f" - volume {volume}: removed", "red")


def _ways(docker: str | None, *, purge: bool) -> str:
    if not purge:
        return "The roster is changed: muster up finishes it."
    from muster.accounts import PURGE_VARIABLE
    from muster.docker_host import command

    users = os.environ[PURGE_VARIABLE]
    return (
        f"The roster is changed: {PURGE_VARIABLE}={users} muster up finishes it, accounts and all; "
        f"the volumes are then to be removed with {command(docker, 'volume', 'rm')}"
    )


def _typed(as_json: bool, names: list[str]) -> None:  # noqa: FBT001
    """Have the names typed, each once more."""
    for name in names:
        try:
            said = typer.prompt(f"Type {name} to purge it", err=as_json)
        except typer.Abort:
            raise MusterError(
                f"--purge wants {name} typed, also with --yes: nothing was done"
            ) from None
        if said != name:
            raise MusterError(f"{said} is not {name}: nothing was done")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=examples("muster fire dev-qwen", "muster fire dev-qwen review-qwen --yes"))(
        fire
    )
