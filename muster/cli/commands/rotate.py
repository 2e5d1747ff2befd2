"""`muster rotate`."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from muster.cli.options import AdminToken, AsJson, Every, NamesOrAll, Stack, Yes, examples


def rotate(
    names: NamesOrAll = None,
    stack: Stack = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Only credentials older than this: 30d, 12h, 2w."),
    ] = None,
    admin_token: AdminToken = None,
    *,
    every: Every = False,
    token_from_stdin: Annotated[
        bool,
        typer.Option(
            "--token-from-stdin",
            help="Use a token that you made at the forge, for one agent: it is tested before "
            "anything is changed, and later rotated like any other.",
        ),
    ] = False,
    password_from_stdin: Annotated[
        bool,
        typer.Option(
            "--password-from-stdin", help="Set a password of your own choice, for one agent."
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Replace credentials: a new token is proven and put to work before the old one is revoked."""
    from muster import roster_edit
    from muster.cli import given_credentials
    from muster.cli.durations import duration
    from muster.cli.session import RosterChange, Session
    from muster.status import recorded

    age = duration(older_than) if older_than else None
    if bool(names) == every:
        raise typer.BadParameter("name the agents, or write --all: one of them")
    by_hand = token_from_stdin or password_from_stdin
    if token_from_stdin and password_from_stdin:
        raise typer.BadParameter("standard input holds one of them: token or password")
    if by_hand and (len(names or []) != 1 or older_than):
        raise typer.BadParameter("a token or password by hand is for one agent")
    given = sys.stdin.readline().strip() if by_hand else ""
    if by_hand and not given:
        raise typer.BadParameter("there is nothing on standard input")
    session = Session(stack, as_json=as_json, admin_token=admin_token)
    with session.alone():
        chosen = session.agents(names)
        if age is not None:
            hired = recorded(session.deployment())
            limit = datetime.now(UTC) - age
            chosen = [each for each in chosen if _issued(hired, each.name) < limit]
        if not chosen:
            session.screen.say("No credentials are that old: nothing to do.")
            session.screen.report({"stack": session.stack, "changes": []})
            return
        if token_from_stdin:
            given_credentials.prove_token(session, chosen[0], given)
        edited = session.roster_text()
        numbers = session.next_rotations({each.name: each.rotation for each in chosen})
        for name, number in numbers.items():
            edited = roster_edit.with_fields(edited, name, {"rotation": number})
        kind = "token" if token_from_stdin else "password"
        change = RosterChange(
            edited,
            question=f"Rotate the credentials of {', '.join(each.name for each in chosen)}?",
            ways=_ways(chosen[0].name, kind)
            if by_hand
            else "The roster is changed: muster up tries it again.",
            secrets={f'given["{chosen[0].name}"].{kind}': given} if by_hand else {},
            forget=[f'given["{each.name}"]' for each in chosen],
            agents=frozenset(numbers),
        )
        session.change_roster(change, yes=yes)


def _ways(agent: str, kind: str) -> str:
    return (
        f"The roster is changed, and the {kind} is stored in the stack: muster up tries it again; "
        f"muster rotate {agent} undoes this and makes a new one"
    )


def _issued(hired: dict[str, dict[str, Any]], agent: str) -> datetime:
    """Return when an agent's credentials were issued; one without any has none that are old."""
    told = hired.get(agent, {}).get("issued_at")
    return datetime.fromisoformat(told) if told else datetime.now(UTC)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "muster rotate dev-qwen",
            "muster rotate --all --older-than 30d --yes",
            "muster rotate dev-qwen --token-from-stdin --yes < token.txt",
        )
    )(rotate)
