"""`muster hire`, and the name that upstream's pages print for it."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muster.cli.options import AdminToken, AsJson, Stack, Yes, examples

if TYPE_CHECKING:
    from muster.roster import Agent


def hire(  # noqa: PLR0917 - typer passes every option by name
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="What it does.")],
    stack: Stack = None,
    local_model: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The endpoint, as seen from inside the container. Without it, a new agent uses "
            "the Anthropic API, with the key of ANTHROPIC_API_KEY or the token of "
            "CLAUDE_CODE_OAUTH_TOKEN.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model that is served there.")] = None,
    forge_user: Annotated[
        str | None, typer.Option(help="The bot user; default: the agent's name.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="A placeholder for servers that want a key; muster key sets a real one."),
    ] = None,
    compact_pct: Annotated[
        int | None, typer.Option(help="Compact the context at this much of it, in percent.")
    ] = None,
    poll_interval: Annotated[int | None, typer.Option(help="Seconds between two cycles.")] = None,
    formula: Annotated[str | None, typer.Option(help="The formula that the agent follows.")] = None,
    admin_token: AdminToken = None,
    *,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over a bot user that Muster did not make.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would be done, and change nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Hire an agent: write its section of the roster, show the preview, ask, make it so.

    For a name that is hired, fields that are given and differ are changed; where none differs,
    the credentials are rotated.
    """
    from muster import roster_edit
    from muster.cli.session import RosterChange, Session
    from muster.roster import SCHEDULE

    if name == SCHEDULE:
        raise typer.BadParameter(
            f"[agents.{SCHEDULE}] belongs to the disinto factory and is not an agent; "
            f'choose another name, e.g. "{SCHEDULE}r"'
        )
    if (local_model is None) != (model is None):
        raise typer.BadParameter("--local-model and --model go together")
    given: dict[str, Any] = {
        "base_url": local_model,
        "model": model,
        "api_key": api_key,
        "roles": roles,
        "forge_user": forge_user,
        "compact_pct": compact_pct,
        "poll_interval": poll_interval,
        "formula": formula,
        "adopt": adopt or None,
    }
    fields = {key: value for key, value in given.items() if value is not None}
    session = Session(stack, as_json=as_json, admin_token=admin_token)
    with session.alone():
        text = session.roster_text()
        section = roster_edit.fields(text, name)
        if section is None:
            change = RosterChange(
                roster_edit.with_agent(text, name, fields),
                question=f"Hire {name}?",
                ways=f"The section [agents.{name}] stays in the roster: muster up finishes the "
                f"hire, muster fire {name} undoes it.",
                secrets=_key(fields),
                agents=frozenset({name}),
            )
        else:
            agent = session.agents([name])[0]
            now = agent.model_dump()
            changed = _changed(agent, fields)
            what = f"change {', '.join(changed)}" if changed else "rotate its credentials"
            session.screen.say(f"{name} is hired: this would {what}.")
            if not changed:
                numbers = session.next_rotations({name: now["rotation"]})
                changed = {"rotation": numbers[name]}
            change = RosterChange(
                roster_edit.with_fields(text, name, changed),
                question=f"{what[0].upper()}{what[1:]}?",
                ways="The roster is changed: muster up finishes it.",
                secrets=_key(section | fields),
                agents=frozenset({name}),
            )
        session.change_roster(change, yes=yes, only_preview=preview)


def _changed(agent: "Agent", fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that would differ: the same value in another form does not."""
    from pydantic import ValidationError

    now = agent.model_dump()
    try:
        then = type(agent).model_validate(now | dict(fields)).model_dump()
    except ValidationError:  # the roster says what is wrong, and where
        return dict(fields)
    return {key: value for key, value in fields.items() if then[key] != now[key]}


def _key(section: Mapping[str, Any]) -> dict[str, str]:
    """Return what the stack keeps for an agent that uses the Anthropic API."""
    from muster import keys

    key = keys.of_environment(os.environ)
    return {keys.CONFIGURED: key} if key and not section.get("base_url") else {}


def register(app: typer.Typer) -> None:
    """Add the command, under both of its names."""
    shown = examples(
        "muster hire dev-qwen dev --local-model http://10.10.10.1:8081 \\",
        "    --model unsloth/Qwen3.5-35B-A3B",
        "ANTHROPIC_API_KEY=… muster hire dev-claude dev review",
        "muster hire dev-qwen dev          # hired already: rotates its credentials",
    )
    app.command(epilog=shown)(hire)
    app.command("hire-an-agent", epilog=shown, short_help="The same as hire.")(hire)
