"""Delivery: a tree's commits reach the forge, within the limits of the roster."""

from dataclasses import dataclass

from runtime.services import Services
from runtime.tree import Tree


class NotDeliveredError(Exception):
    """A change must not be pushed; the message says why, for the issue."""


class ProtectedError(NotDeliveredError):
    """A change touches protected paths: a person has to make it."""


@dataclass(frozen=True)
class Change:
    """What a task changed.

    Attributes:
        commit: The last commit, in the mirror.
        files: The changed files.
        lines: Added and removed lines, together.
        summary: `git diff --stat`.
    """

    commit: str
    files: tuple[str, ...]
    lines: int
    summary: str


def collect(services: Services, tree: Tree, *, onto: str | None = None) -> Change:
    """Take a tree's commits into the mirror and hold them against the limits.

    Args:
        services: The agent's tools.
        tree: The tree, with everything committed.
        onto: The commit that the change is compared with; default: where the branch began.

    Raises:
        NotDeliveredError: The change is too large, or touches protected paths.
        TreeError: Git failed in the jail.
        GitError: The bundle is broken.
    """
    mirror, work = services.mirror, services.settings.work
    commit = tree.deliver(f"refs/muster/tasks/{tree.folder.name}")
    base = mirror.run("merge-base", onto or str(tree.notes["base"]), commit).strip()
    listed = mirror.run("diff", "--numstat", "-z", "--no-renames", "--no-textconv", base, commit)
    rows = [row.split("\t", 2) for row in listed.split("\0") if row]
    files = tuple(name for _, _, name in rows)
    lines = sum(int(count) for row in rows for count in row[:2] if count != "-")
    if touched := [name for name in files if is_protected(name, work.protected_paths)]:
        raise ProtectedError(
            f"the change touches protected paths: {', '.join(f'`{name}`' for name in touched[:5])}"
        )
    if lines > work.diff_lines:
        raise NotDeliveredError(
            f"the change has {lines} lines, more than the {work.diff_lines} of diff_lines"
        )
    summary = mirror.run("diff", "--stat=80", "--no-renames", "--no-textconv", base, commit)
    return Change(commit, files, lines, summary)


def is_protected(path: str, protected: list[str]) -> bool:
    """Whether a file is, or lies in, a protected path; a plain name is protected in every folder.

    Case does not count: some file systems do not know it.
    """
    folded = path.casefold()
    for entry in (each.casefold().strip("/") for each in protected):
        if folded == entry or folded.startswith(f"{entry}/"):
            return True
        if "/" not in entry and entry in folded.split("/"):
            return True
    return False
