"""`muster hire`, and the name that upstream's pages print for it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muster.cli import completing
from muster.cli.options import AdminToken, AsJson, Stack, Yes, examples, on
from muster.errors import MusterError

if TYPE_CHECKING:
    from muster.cli.session import RosterChange, Session
    from muster.roster import Agent

OPTIONS = {"base_url": "--local-model", "roles": "ROLE"}
"""The options that are not named like their field of the roster."""


def hire(  # noqa: PLR0917 - typer passes every option by name
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    roles: Annotated[
        list[str],
        typer.Argument(
            metavar="ROLE...",
            help="What it does, e.g. dev or dev,review.",
            autocompletion=completing.roles,
        ),
    ],
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
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing if the agent is already hired.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would be done, and change nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Hire an agent: preview it, ask, write its section of the roster, and apply.

    If the agent is already hired, given fields that differ are changed; if none differs, its
    credentials are rotated. With --if-missing nothing happens then.
    """
    from muster import roster_edit
    from muster.cli.session import RosterChange, Session
    from muster.roster import SCHEDULE
    from muster.status import recorded

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
        "roles": [role for each in roles for role in each.split(",") if role],
        "forge_user": forge_user,
        "compact_pct": compact_pct,
        "poll_interval": poll_interval,
        "formula": formula,
        "adopt": adopt or None,
    }
    fields = {key: value for key, value in given.items() if value is not None}
    session = Session(stack, as_json=as_json, admin_token=admin_token)
    with session.alone(), _options_named(name):
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
        elif if_missing and name in recorded(session.deployment()):
            session.screen.say(f"{name} is already hired: nothing was changed.")
            session.screen.report({"stack": session.stack, "changes": []})
            return
        else:
            change = _again(session, text, name, {} if if_missing else fields)
        session.change_roster(change, yes=yes, only_preview=preview)
        if not preview:
            session.screen.next(f"muster logs {name}{on(stack)} -f")


def _again(session: "Session", text: str, name: str, fields: Mapping[str, Any]) -> "RosterChange":
    """Change the fields of an agent that the roster has; rotate its credentials if none differs."""
    from muster import roster_edit
    from muster.cli.session import RosterChange

    agent = session.agents([name])[0]
    changed = _changed(agent, fields)
    if changed:
        session.screen.say(f"{name} is already hired: changing {', '.join(changed)}.")
        question = f"Change {', '.join(changed)} of {name}?"
    elif fields:
        session.screen.say(f"{name} is already hired with these fields: rotating its credentials.")
        question = f"Rotate the credentials of {name}?"
        changed = {"rotation": session.next_rotations({name: agent.rotation})[name]}
    else:
        question = f"Hire {name}?"
    return RosterChange(
        roster_edit.with_fields(text, name, changed),
        question=question,
        ways="The roster is changed: muster up finishes it.",
        secrets=_key((roster_edit.fields(text, name) or {}) | dict(fields)),
        agents=frozenset({name}),
    )


@contextmanager
def _options_named(name: str) -> Iterator[None]:
    """Name options in errors, in place of lines that were never written to the roster."""
    from muster.problems import RosterError

    try:
        yield
    except RosterError as error:
        raise typer.BadParameter(_by_options(str(error), name)) from None
    except MusterError as error:
        raise type(error)(_by_options(str(error), name)) from None


def _by_options(text: str, name: str) -> str:
    def option(found: re.Match[str]) -> str:
        field = found["field"]
        return f"{OPTIONS.get(field, '--' + field.replace('_', '-'))}: " if field else ""

    where = rf'^\S+\.toml:\d+: agent "{re.escape(name)}"(?:, (?P<field>\w+))?: '
    return re.sub(where, option, text, flags=re.MULTILINE)


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
        "muster hire dev-qwen dev          # already hired: rotates its credentials",
        "muster hire dev-qwen dev --if-missing --yes    # for scripts",
    )
    app.command(epilog=shown)(hire)
    app.command("hire-an-agent", epilog=shown, short_help="The same as hire.")(hire)
