"""Delivery: a tree's commits reach the forge, within the limits of the roster."""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.report import neutral
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


def collect(
    services: Services, tree: Tree, message: str, parents: Sequence[str], *, onto: str | None = None
) -> Change:
    """Take a tree's commits into the mirror, as one, and check it against the limits.

    A model may have made commits itself: its messages could close issues once they are merged.

    Args:
        services: The agent's tools.
        tree: The tree, with everything committed.
        message: The message of the commit.
        parents: The commits that it follows: the branch's last one, and what is merged into it.
        onto: The commit that the change is compared with; default: the first parent.

    Returns:
        The change; its commit is the first parent if nothing changed.

    Raises:
        NotDeliveredError: The change is too large, or touches protected paths.
        TreeError: The change is broken, or git failed in the jail.
    """
    mirror, work = services.mirror, services.settings.work
    made = tree.deliver(f"refs/muster/tasks/{tree.folder.name}", parents)
    commit = _as_one(services, made, message, parents)
    if commit != made:
        tree.git("reset", "--quiet", "--soft", commit)
    base = mirror.run("merge-base", onto or parents[0], commit).strip()
    listed = mirror.run("diff", "--numstat", "-z", "--no-renames", "--no-textconv", base, commit)
    rows = [row.split("\t", 2) for row in listed.split("\0") if row]
    files = tuple(name for _, _, name in rows)
    lines = sum(int(count) for row in rows for count in row[:2] if count != "-")
    if touched := [name for name in files if is_protected(name, work.protected_paths)]:
        named = ", ".join(f"`{neutral(name)}`" for name in touched[:5])
        raise ProtectedError(f"the change touches protected paths: {named}")
    if lines > work.diff_lines:
        raise NotDeliveredError(
            f"the change has {lines} lines, more than the {work.diff_lines} of diff_lines"
        )
    summary = mirror.run("diff", "--stat=80", "--no-renames", "--no-textconv", base, commit)
    return Change(commit, files, lines, summary)


def _as_one(services: Services, made: str, message: str, parents: Sequence[str]) -> str:
    """Return a commit with the content of another one; that one itself if it is as it should be."""
    mirror, identity = services.mirror, services.identity
    shown = mirror.run("show", "--no-patch", "--format=%T%n%P%n%an <%ae>%n%cn <%ce>%n%B", made)
    content, ancestors, author, committer, said = shown.split("\n", 4)
    ours = f"{identity.name} <{identity.email}>"
    is_ours = (author, committer, said.strip()) == (ours, ours, message.strip())
    if is_ours and ancestors.split() == list(parents):
        return made
    if len(parents) == 1 and content == mirror.run("rev-parse", f"{parents[0]}^{{tree}}").strip():
        return parents[0]
    follows = [word for parent in parents for word in ("-p", parent)]
    variables = {
        "GIT_AUTHOR_NAME": identity.name,
        "GIT_AUTHOR_EMAIL": identity.email,
        "GIT_COMMITTER_NAME": identity.name,
        "GIT_COMMITTER_EMAIL": identity.email,
    }
    return mirror.run("commit-tree", content, *follows, stdin=message, more=variables).strip()


def is_protected(path: str, protected: list[str]) -> bool:
    """Whether a change of a file changes a protected path.

    The file is one, lies in one, or takes the place of a folder with one, as a symlink or a
    submodule does. A plain name is protected in every folder. Case does not count: some file
    systems do not know it.
    """
    changed = path.casefold()
    for entry in (each.casefold().strip("/") for each in protected):
        if changed == entry or changed.startswith(f"{entry}/") or entry.startswith(f"{changed}/"):
            return True
        if "/" not in entry and entry in changed.split("/"):
            return True
    return False
