"""What the shell's completion offers for agents, stacks and roles.

Nothing is printed or raised here: completion is silent about what is wrong.
"""

from collections.abc import Iterator
from pathlib import Path

import typer

from muster.cli.folders import STACKS, project_folder


def agents(context: typer.Context, incomplete: str) -> list[str]:
    """Return the agents of the stack's roster, or of every roster, that are not typed yet."""
    typed = context.params.get("names") or ()
    found = {
        name
        for roster in _rosters(context.params.get("stack"))
        for name in _agents(roster)
        if name.startswith(incomplete) and name not in typed
    }
    return sorted(found)


def stacks(incomplete: str) -> list[str]:
    """Return the stacks that have a roster or a configuration."""
    folder = project_folder() / STACKS
    configured = {path.stem.removeprefix("Pulumi.") for path in folder.glob("Pulumi.*.yaml")}
    found = {path.stem for path in folder.glob("*.toml")} | configured
    return sorted(name for name in found if name.startswith(incomplete))


def roles(context: typer.Context, incomplete: str) -> list[str]:
    """Return the roles that ship with the runtime and are not typed yet."""
    from muster.rules import ROLES  # noqa: PLC0415 - each command imports this module

    typed = context.params.get("roles") or ()
    return [role for role in ROLES if role.startswith(incomplete) and role not in typed]


def _rosters(stack: str | None) -> Iterator[Path]:
    yield from (project_folder() / STACKS).glob(f"{stack or '*'}.toml")


def _agents(roster: Path) -> list[str]:
    import tomllib  # noqa: PLC0415 - each command imports this module

    try:
        sections = tomllib.loads(roster.read_text(encoding="utf-8")).get("agents")
    except (OSError, ValueError):
        return []
    found = sections if isinstance(sections, dict) else {}
    return [name for name, section in found.items() if isinstance(section, dict)]
