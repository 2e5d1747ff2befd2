"""`muster init`, `env` and `completion`: what comes before and beside a crew."""

import os
import shlex
from enum import StrEnum
from typing import Annotated

import typer

from muster.cli.options import Yes, examples


def init(
    project: Annotated[str | None, typer.Argument(help="The project's, and the stack's, name.")] = (
        None
    ),
    repo: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Its repository at the forge.")
    ] = None,
    forge_url: Annotated[str | None, typer.Option(metavar="URL", help="The forge.")] = None,
    *,
    remove: Annotated[
        bool,
        typer.Option(
            "--remove", help="Remove an empty stack instead, and its roster if it has no agents."
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Make a project: a roster without agents, and its stack. Asks for what is missing.

    If the roster exists, e.g. in a clone, only its stack is made.
    """
    from muster import rules
    from muster.cli import folders, new_project, place
    from muster.cli.screen import Screen

    screen = Screen()
    name = project or screen.ask("Project", "muster init PROJECT")
    name = new_project.checked("PROJECT", rules.project, name)
    if repo is not None:
        repo = new_project.checked("--repo", rules.repository, repo)
    if forge_url is not None:
        forge_url = new_project.checked("--forge-url", rules.forge_url, forge_url)
    folder = folders.project_folder()
    place.activate(os.environ, folder, None)
    made = new_project.NewProject(folder, name, screen)
    if remove:
        made.remove(yes=yes)
    elif made.path.exists():
        made.take_up(repo, forge_url)
    else:
        if repo is None:
            asked = screen.ask("Repository (owner/name)", "--repo OWNER/NAME")
            repo = new_project.checked("--repo", rules.repository, asked)
        if forge_url is None:
            asked = screen.ask("Forge (URL)", "--forge-url URL")
            forge_url = new_project.checked("--forge-url", rules.forge_url, asked)
        made.make(repo, forge_url)


def env() -> None:
    """Print the variables that plain `pulumi` needs in this shell.

    The forge administrator's credentials are not among them.
    """
    from muster.cli import folders, place

    found = place.variables(os.environ)
    if url := place.backend(os.environ, folders.project_folder()):
        found["PULUMI_BACKEND_URL"] = url
    for name, value in found.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


class Shell(StrEnum):
    """The shells that completion is made for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[
        Shell | None, typer.Argument(help="The shell; default: the one that runs this.")
    ] = None,
    *,
    install: Annotated[
        bool, typer.Option("--install", help="Write it to your home folder, for new shells.")
    ] = False,
) -> None:
    """Print the shell's completion for `muster`: of commands, agents, stacks and roles."""
    from shellingham import (  # type: ignore[import-untyped]
        ShellDetectionFailure,
        detect_shell,
    )
    from typer._completion_shared import get_completion_script
    from typer._completion_shared import install as written

    try:
        name = shell.value if shell else str(detect_shell()[0])
    except ShellDetectionFailure:
        name = "unknown"
    if name not in list(Shell):
        raise typer.BadParameter(f"name the shell: {', '.join(Shell)} (this one is {name})")
    how = {"prog_name": "muster", "complete_var": "_MUSTER_COMPLETE"}
    if not install:
        typer.echo(get_completion_script(shell=name, **how))
        return
    _, path = written(shell=name, **how)
    typer.echo(f"Wrote {path}. Open a new shell, and type: muster <Tab>")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=examples(
            "muster init acme --repo acme/site --forge-url https://forge.example.org",
            "muster init acme   # stacks/acme.toml exists, its stack does not",
            "muster init acme --remove",
        )
    )(init)
    app.command(epilog=examples('eval "$(muster env)"'))(env)
    app.command(epilog=examples("muster completion --install", 'eval "$(muster completion bash)"'))(
        completion
    )
