"""`muster preview`, `up` and `down`: the program's verbs, with Muster's view."""

from pathlib import Path
from typing import Annotated

import typer

from muster.cli.options import AdminToken, AsJson, NoRefresh, Stack, Summary, Yes, examples, on

CHANGES = 3
"""The exit code of a preview that has changes, with `--expect-no-changes`."""


def preview(
    stack: Stack = None,
    admin_token: AdminToken = None,
    *,
    expect_no_changes: Annotated[
        bool, typer.Option(help=f"Exit with {CHANGES} where there are changes.")
    ] = False,
    no_refresh: NoRefresh = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="PLAN", help="Save it for muster up --plan PLAN."),
    ] = None,
    summary: Summary = False,
    as_json: AsJson = False,
) -> None:
    """Show what `muster up` would do, and change nothing."""
    from muster.cli.session import Session

    session = Session(stack, as_json=as_json, admin_token=admin_token)
    session.screen.brief = summary
    changes = session.preview(refresh=not no_refresh, save=save)
    session.screen.report(session.outcome(changes))
    if expect_no_changes and changes.all:
        raise typer.Exit(CHANGES)


def up(
    stack: Stack = None,
    admin_token: AdminToken = None,
    *,
    yes: Yes = False,
    no_refresh: NoRefresh = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="PLAN",
            help="Do exactly what muster preview --save PLAN showed, without a question.",
        ),
    ] = None,
    summary: Summary = False,
    as_json: AsJson = False,
) -> None:
    """Apply the roster to the crew, and undo what was changed by hand.

    One agent's failure does not stop the others.
    """
    from muster.cli.session import Session

    session = Session(stack, as_json=as_json, admin_token=admin_token)
    session.screen.brief = summary
    with session.alone():
        if plan is not None:
            session.done(session.up_as_planned(plan, refresh=not no_refresh))
            return
        session.make_missing_stack(yes=yes)
        session.review(yes=yes, refresh=not no_refresh, question="Apply these changes?")
        session.done(session.up(refresh=not no_refresh))
    session.screen.next(f"muster status{on(stack)}")


def down(
    stack: Stack = None,
    admin_token: AdminToken = None,
    *,
    yes: Yes = False,
    no_refresh: NoRefresh = False,
    summary: Summary = False,
    as_json: AsJson = False,
) -> None:
    """Fire the whole crew and remove all that the stack made.

    Accounts with their issues and pull requests stay, and volumes with `keep_volumes = true`.
    The roster and the stack stay too: `muster up` hires the crew again.
    """
    from muster.cli.session import Session

    session = Session(stack, as_json=as_json, admin_token=admin_token)
    session.screen.brief = summary
    with session.alone():
        session.expect_forge()
        if not yes:
            session.screen.expect_answer()
            session.preview(refresh=False, destroy=True)
            session.screen.confirm(f"Remove all of stack {session.stack}?")
        session.done(session.destroy(refresh=not no_refresh))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=examples(
            "muster preview",
            "muster preview --summary",
            "muster preview --expect-no-changes --json",
            "muster preview --save acme.plan",
        )
    )(preview)
    app.command(
        epilog=examples("muster up", "muster up --yes --no-refresh", "muster up --plan acme.plan")
    )(up)
    app.command(epilog=examples("muster down", "muster down --stack acme --yes"))(down)
