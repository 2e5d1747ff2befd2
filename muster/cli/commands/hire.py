"""`muster hire`, and the name that upstream's pages print for it."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from muster.cli.options import AdminToken, AsJson, Stack, Yes, examples


def hire(  # noqa: PLR0917 - typer passes every option by name
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="What it does.")],
    stack: Stack = None,
    local_model: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The endpoint, as seen from inside the container. Without it, a new agent uses "
            "the Anthropic API, with the key of ANTHROPIC_API_KEY.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model that is served there.")] = None,
    forge_user: Annotated[
        str | None, typer.Option(help="The bot user; default: the agent's name.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(help="A placeholder for servers that want a key.")
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
            )
        else:
            now = session.agents([name])[0].model_dump()
            changed = {key: value for key, value in fields.items() if _as_text(now[key]) != value}
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
            )
        session.change_roster(change, yes=yes, only_preview=preview)


def _as_text(value: object) -> object:
    """Return a field of the roster's model as the command line gives it."""
    return list(value) if isinstance(value, tuple) else value


def _key(section: Mapping[str, Any]) -> dict[str, str]:
    """Return what the stack keeps for an agent that uses the Anthropic API."""
    key = os.environ.get("ANTHROPIC_API_KEY")
    return {"anthropicApiKey": key} if key and not section.get("base_url") else {}


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
