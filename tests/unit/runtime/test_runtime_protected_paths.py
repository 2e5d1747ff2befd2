"""Which changed files belong to protected paths."""

import pytest
from runtime.deliver import is_protected

PATHS = [".forgejo/workflows", ".gitea/workflows", ".claude", ".mcp.json"]


@pytest.mark.parametrize(
    "path",
    [
        ".forgejo/workflows",  # a link or a submodule in place of the folder
        ".forgejo",
        ".forgejo/workflows/x.yml",
        ".forgejo/workflows/a/b.yml",
        ".Forgejo/WORKFLOWS/x.yml",
        ".gitea/workflow\u017f/x.yml",
        ".claude/settings.json",
        "sub/.claude/settings.json",
        "sub/.CLAUDE",
        ".mcp.json",
        "a/b/.mcp.json",
    ],
)
def test_a_protected_path_is_recognised(path: str) -> None:
    assert is_protected(path, PATHS)


@pytest.mark.parametrize(
    "path",
    [
        "forgejo/workflows/x.yml",
        ".forgejo/issue_template.md",
        ".forgejo/workflows-old/x.yml",
        "docs/.forgejo/workflows/x.yml",
        "claude/settings.json",
        ".mcp.json5",
        "README.md",
    ],
)
def test_another_path_is_not_protected(path: str) -> None:
    assert not is_protected(path, PATHS)


def test_slashes_around_a_protected_path_do_not_matter() -> None:
    assert is_protected("ci/x.yml", ["/ci/"])


def test_nothing_is_protected_by_an_empty_list() -> None:
    assert not is_protected(".claude/settings.json", [])
