"""`muster doctor`."""

from typing import Annotated

import typer

from muster.cli.options import AdminToken, AsJson, Stack, examples


def doctor(
    stack: Stack = None,
    admin_token: AdminToken = None,
    *,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Fix what is safe to fix: revoke stray tokens, remove stray containers, bar "
            "accounts without an agent, clear what killed runs left. Never volumes.",
        ),
    ] = False,
    ask_model: Annotated[
        bool,
        typer.Option(
            "--ask-model",
            help="Also send one small request to each model, which may cost something, and show "
            "its reply and the seconds that it took.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Report what is wrong, with the command that fixes it.

    Checks everything from the toolchain to leftovers. Changes nothing without `--fix`. What
    cannot be asked because of an earlier problem says so. Exits with 1 where something is
    wrong.
    """
    from muster.cli.checkup import Checkup
    from muster.cli.screen import Screen
    from muster.doctor.findings import examine, exit_code

    screen = Screen(as_json=as_json)
    checkup = Checkup(stack, admin_token=admin_token, as_json=as_json, fix=fix, ask_model=ask_model)
    again = checkup.subject.muster("doctor")
    found = []
    try:
        for name, check in checkup.checks().items():
            with screen.working(f"Asking: {name}"):
                answers = list(examine(name, check, fix=fix, again=again))
            for finding in answers:
                screen.finding(finding)
            found += answers
    finally:
        checkup.close()
    screen.report({"stack": checkup.stack, "checks": [finding.report() for finding in found]})
    raise typer.Exit(exit_code(found))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "muster doctor",
            "muster doctor --fix",
            "muster doctor --ask-model",
            "muster doctor --stack acme --json",
        )
    )(doctor)
