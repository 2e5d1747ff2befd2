"""A new project's roster."""

from pathlib import Path

import tomlkit

from muster import roster, roster_edit
from muster.cli.place import STACKS
from muster.errors import MusterError


def write_roster(folder: Path, project: str, repo: str, forge_url: str) -> Path:
    """Write a roster without agents.

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
    if Path(project).name != project:
        raise MusterError(f'"{project}" is no name of a project; write one such as "acme"')
    roster_edit.write(path, f"{roster.SCHEMA}\n{tomlkit.dumps(document)}")
    try:
        roster.load(path)
    except MusterError:
        path.unlink()
        raise
    return path
