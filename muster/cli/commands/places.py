"""`muster init`, `env` and `completion`: what comes before and beside a crew."""

import os
import shlex
from enum import StrEnum
from typing import Annotated

import typer

from muster.cli.options import examples


def init(
    project: Annotated[str | None, typer.Argument(help="The project's, and the stack's, name.")] = (
        None
    ),
    repo: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Its repository at the forge.")
    ] = None,
    forge_url: Annotated[str | None, typer.Option(metavar="URL", help="The forge.")] = None,
) -> None:
    """Make a project: a roster without agents, and its stack. Asks for what is missing."""
    from muster import rules
    from muster.cli import folders, new_project, place
    from muster.cli.engine import Engine
    from muster.cli.screen import Screen

    screen = Screen()
    name = project or screen.ask("Project", "muster init PROJECT")
    repository = repo or screen.ask("Repository (owner/name)", "--repo OWNER/NAME")
    url = forge_url or screen.ask("Forge (URL)", "--forge-url URL")
    repository = new_project.in_form(rules.repository, repository)
    url = new_project.in_form(rules.forge_url, url)
    folder = folders.project_folder()
    place.activate(os.environ, folder, None)
    reachable = new_project.forge_answers(url)
    branch = new_project.default_branch(os.environ, repository, url) if reachable else None
    path = new_project.write_roster(folder, name, repository, url, branch)
    try:
        Engine(folder, name).make_stack(select=True)
    except BaseException:
        path.unlink()
        raise
    screen.say(f"Made {path.relative_to(folder)} and stack {name}.")
    if not reachable:
        screen.say(f"warning: no forge answers at {url}; mend forge_url in {path.name}", "yellow")
    screen.next(f"muster hire dev-qwen dev --stack {name} --local-model URL --model MODEL")


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
        )
    )(init)
    app.command(epilog=examples('eval "$(muster env)"'))(env)
    app.command(epilog=examples("muster completion --install", 'eval "$(muster completion bash)"'))(
        completion
    )
