"""Which branches a forge's protection rules cover, by the forge's own word."""

import secrets
from collections.abc import Iterator

import pytest

from muster.doctor.branch import covers
from muster.forge import Administrator, Forge, NotFoundError

RULES = ["main", "release/*", "wip/**", "v?", "Stable"]
BRANCHES = ["maint", "release/1", "release/2/3", "wip/a", "wip/b/c", "v1", "v10", "stable"]


@pytest.fixture
def repo(forge: Forge, administrator: Administrator) -> Iterator[str]:
    name = f"{administrator.user}/repo-{secrets.token_hex(4)}"
    forge.create_repository(name, "main")
    yield name
    forge._http.change("DELETE", f"/repos/{name}")  # noqa: SLF001


def protect(forge: Forge, repo: str, rule: str) -> None:
    path = f"/repos/{repo}/branch_protections"
    forge._http.post(path, {"rule_name": rule}, dict, look=lambda: None)  # noqa: SLF001


def create_branch(forge: Forge, repo: str, name: str) -> None:
    path = f"/repos/{repo}/branches"
    forge._http.post(path, {"new_branch_name": name}, dict, look=lambda: None)  # noqa: SLF001


def is_protected(forge: Forge, repo: str, branch: str) -> bool:
    """Return what the forge says of a branch."""
    return bool(forge._http.get(f"/repos/{repo}/branches/{branch}", dict)["protected"])  # noqa: SLF001


def test_a_repository_tells_the_names_of_its_protection_rules(forge: Forge, repo: str) -> None:
    assert forge.branch_protections(repo) == []
    for rule in RULES:
        protect(forge, repo, rule)
    assert sorted(forge.branch_protections(repo)) == sorted(RULES)


def test_a_repository_that_is_gone_has_no_protection_rules_to_tell(forge: Forge) -> None:
    with pytest.raises(NotFoundError):
        forge.branch_protections("nobody/nothing")


def test_a_rule_covers_the_branches_that_the_forge_protects_by_it(forge: Forge, repo: str) -> None:
    for branch in BRANCHES:
        create_branch(forge, repo, branch)
    for rule in RULES:
        protect(forge, repo, rule)
    for branch in ["main", *BRANCHES]:
        covered = any(covers(rule, branch) for rule in RULES)
        assert (branch, covered) == (branch, is_protected(forge, repo, branch))
