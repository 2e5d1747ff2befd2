"""A new project's roster."""

from collections.abc import Callable, Mapping
from pathlib import Path

import tomlkit

from muster import roster, roster_edit
from muster.cli.folders import STACKS
from muster.errors import MusterError
from muster.forge import Administrator, Forge, ForgeError
from muster.preflight import PATIENCE


def forge_answers(forge_url: str) -> bool:
    """Tell whether a forge answers at what was typed as its address."""
    try:
        return Forge(forge_url, None).answers()
    except ForgeError:  # not an address
        return False


def default_branch(environment: Mapping[str, str], repo: str, forge_url: str) -> str | None:
    """Return the repository's default branch; None if the forge does not show it.

    Args:
        environment: May hold the forge administrator's credentials: a private repository is not
            shown to others.
        repo: `owner/name`.
        forge_url: A forge that answers.
    """
    try:
        who = Administrator.from_environment(environment)
        found = Forge(forge_url, who.api if who else None, patience=PATIENCE).repository(repo)
    except ForgeError:
        return None
    return found.default_branch if found else None


def in_form(rule: Callable[[str], str], value: str) -> str:
    """Return a value in the form that the rosters' rule gives it; a wrong one is reported later."""
    try:
        return rule(value)
    except ValueError:
        return value


def write_roster(
    folder: Path, project: str, repo: str, forge_url: str, primary_branch: str | None = None
) -> Path:
    """Write a roster without agents.

    Args:
        folder: The project's folder.
        project: The project's name.
        repo: `owner/name`.
        forge_url: The forge.
        primary_branch: The repository's main branch, None if it is not known.

    Returns:
        Its path.

    Raises:
        MusterError: there is one of that name, or a value breaks a rule of rosters.
    """
    path = folder / STACKS / f"{project}.toml"
    if path.exists():
        raise MusterError(f"{path.relative_to(folder)} exists: edit it, or choose another name")
    document = tomlkit.document()
    document.update({"name": project, "repo": repo, "forge_url": forge_url})
    if primary_branch is not None:
        document["primary_branch"] = primary_branch
    if Path(project).name != project:
        raise MusterError(f'"{project}" is no name of a project; write one such as "acme"')
    roster_edit.write(path, f"{roster.SCHEMA}\n{tomlkit.dumps(document)}")
    try:
        roster.load(path)
    except MusterError:
        path.unlink()
        raise
    return path
