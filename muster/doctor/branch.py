"""The primary branch: agents are not to change it without a review."""

import re
from collections.abc import Iterator

from muster.doctor.findings import Finding, NotAskedError, warning, well
from muster.doctor.subject import Subject
from muster.forge import NotFoundError


def protection(subject: Subject) -> Iterator[Finding]:
    """Check that the forge protects the primary branch."""
    roster, forge = subject.roster.get(), subject.as_administrator()
    branch = roster.primary_branch
    try:
        rules = forge.branch_protections(roster.repo)
    except NotFoundError:
        raise NotAskedError(f"{roster.repo} is not on the forge") from None
    if any(covers(rule, branch) for rule in rules):
        yield well(f"branch {branch} of {roster.repo} is protected")
        return
    yield warning(
        f"branch {branch} of {roster.repo} is not protected: every agent can push to it and merge "
        f"its own pull requests. Protect it at {forge.url}/{roster.repo}/settings/branches"
    )


def covers(rule: str, branch: str) -> bool:
    """Tell whether a protection rule of this name holds for a branch.

    A rule is a branch's name or a glob, in which `*` stops at a slash and `**` does not (Gitea
    and Forgejo: models/git/protected_branch.go).
    """
    parts = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    found = re.split(r"(\*\*|\*|\?)", rule)
    pattern = "".join(parts.get(part, re.escape(part)) for part in found)
    return re.fullmatch(pattern, branch, re.IGNORECASE) is not None
