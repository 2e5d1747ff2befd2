"""What `muster init` takes from the forge."""

from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Request, serving

from muster import roster
from muster.cli.new_project import default_branch, forge_answers, write_roster

PAT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY: dict[str, Any] = {
    "id": 1,
    "full_name": "acme/site",
    "default_branch": "trunk",
    "private": True,
    "archived": False,
    "empty": False,
}


def private(request: Request) -> Answer:
    """A forge that shows its repository to administrators only."""
    if request.path == "/api/v1/version":
        return Answer(json={"version": "11.0.4"})
    if request.headers["Authorization"] != f"token {PAT}":
        return Answer(404, {"message": "not found"})
    return Answer(json=REPOSITORY)


@pytest.mark.parametrize(
    ("environment", "branch"),
    [({"FORGE_ADMIN_PAT": PAT}, "trunk"), ({}, None), ({"FORGE_ADMIN_USER": "root"}, None)],
)
def test_the_default_branch_is_read_if_the_forge_shows_it(
    environment: dict[str, str], branch: str | None
) -> None:
    with serving(private) as server:
        assert default_branch(environment, "acme/site", server.url) == branch


def test_no_forge_answers_where_there_is_none() -> None:
    with serving(private) as server:
        assert forge_answers(server.url)
    assert not forge_answers("http://127.0.0.1:9")
    assert not forge_answers("forge")


@pytest.mark.parametrize(("branch", "read"), [("trunk", "trunk"), (None, "main")])
def test_a_new_roster_has_the_forges_branch(tmp_path: Path, branch: str | None, read: str) -> None:
    (tmp_path / "stacks").mkdir()
    path = write_roster(tmp_path, "acme", "acme/site", "https://forge.example.org", branch)
    assert roster.load(path).primary_branch == read
    assert ("primary_branch" in path.read_text()) == (branch is not None)
