"""`muster start`, `stop` and `restart`: day-to-day running."""

from typing import TYPE_CHECKING

import typer

from muster.cli.options import AsJson, Every, NamesOrAll, Stack, Yes, examples

if TYPE_CHECKING:
    from muster.cli.session import Session
    from muster.roster import Agent


def start(
    names: NamesOrAll = None,
    stack: Stack = None,
    *,
    every: Every = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Start agents that were stopped.

    Sets `enabled = true` in the roster and creates their containers. Asks first if the update would
    change other agents too.
    """
    from muster.cli.session import Session

    _enable(names, Session(stack, as_json=as_json), enabled=True, every=every, yes=yes)


def stop(
    names: NamesOrAll = None,
    stack: Stack = None,
    *,
    every: Every = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Stop agents, also for later updates: `enabled = false` in the roster, and no container.

    An agent ends its session, releases the issue that it holds, and keeps its open pull requests:
    another agent can take the issue at once. Stopped agents stay hired, with their credentials and
    volumes. Asks first if the update would change other agents too. If the forge is down, stop an
    agent with `docker stop` and its container's name.
    """
    from muster.cli.session import Session

    _enable(names, Session(stack, as_json=as_json), enabled=False, every=every, yes=yes)


def _chosen(
    session: "Session", names: list[str] | None, verb: str, *, every: bool
) -> "list[Agent]":
    """Return the named agents; the whole crew only with `--all`, or after a question."""
    if names and every:
        raise typer.BadParameter("name agents, or write --all: one of them")
    chosen = session.agents(names)
    if not names and not every:
        if not session.screen.terminal:
            raise typer.BadParameter(f"name the agents to {verb}, or write --all")
        whole = ", ".join(agent.name for agent in chosen)
        session.screen.confirm(f"{verb.capitalize()} the whole crew ({whole})?")
    return chosen


def _enable(
    names: list[str] | None, session: "Session", *, enabled: bool, every: bool, yes: bool
) -> None:
    from muster import roster_edit
    from muster.cli.session import RosterChange

    verb = "start" if enabled else "stop"
    with session.alone():
        edited = session.roster_text()
        chosen = _chosen(session, names, verb, every=every)
        for agent in chosen:
            if agent.enabled != enabled:
                edited = roster_edit.with_fields(edited, agent.name, {"enabled": enabled})
        change = RosterChange(
            edited,
            question="This also changes other agents. Continue?",
            ways=f"The roster is changed: muster up {verb}s them.",
            agents=frozenset(agent.name for agent in chosen),
            asks=False,
        )
        session.change_roster(change, yes=yes)


def restart(
    names: NamesOrAll = None, stack: Stack = None, *, every: Every = False, as_json: AsJson = False
) -> None:
    """Restart the containers of agents; the roster stays as it is."""
    from muster import docker
    from muster.cli.session import Session
    from muster.errors import MusterError
    from muster.names import container_name

    session = Session(stack, as_json=as_json)
    roster = session.roster()
    chosen = _chosen(session, names, "restart", every=every)
    stopped = [agent.name for agent in chosen if not agent.enabled]
    if names and stopped:
        raise MusterError(f"{', '.join(stopped)}: stopped; muster start {' '.join(stopped)}")
    containers = {
        agent.name: container_name(roster.name, agent.name) for agent in chosen if agent.enabled
    }
    with docker.engine(roster.muster.docker_host) as client:
        for name in docker.restart(client, containers):
            session.screen.say(f"{name}: restarted")
    session.screen.report({"stack": session.stack, "restarted": sorted(containers)})


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=examples("muster start dev-qwen", "muster start --all"))(start)
    app.command(epilog=examples("muster stop dev-qwen", "muster stop --all --yes"))(stop)
    app.command(epilog=examples("muster restart dev-qwen", "muster restart --all"))(restart)
