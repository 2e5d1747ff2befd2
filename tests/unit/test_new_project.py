"""What `muster init` takes from the forge."""

from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Request, serving
from typer.testing import CliRunner

from muster import roster
from muster.cli.main import app
from muster.cli.new_project import look, write_roster

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
    if request.headers["Authorization"] != f"token {PAT}" or request.path.endswith("sitte"):
        return Answer(404, {"message": "not found"})
    return Answer(json=REPOSITORY)


@pytest.mark.parametrize(
    ("environment", "repo", "branch", "warning"),
    [
        ({"FORGE_ADMIN_PAT": PAT}, "acme/site", "trunk", None),
        ({"FORGE_ADMIN_PAT": PAT}, "acme/sitte", None, "has no repository acme/sitte"),
        ({}, "acme/site", None, "without the administrator's credentials"),
        ({"FORGE_ADMIN_USER": "root"}, "acme/site", None, "FORGE_ADMIN_PASS is not"),
    ],
)
def test_the_default_branch_is_read_and_a_repository_that_is_missing_reported(
    environment: dict[str, str], repo: str, branch: str | None, warning: str | None
) -> None:
    with serving(private) as server:
        found = look(environment, repo, server.url)
    assert found.branch == branch
    assert (warning is None) == (found.warning is None)
    assert (warning or "") in (found.warning or "")


def test_no_forge_answers_where_there_is_none() -> None:
    found = look({}, "acme/site", "http://127.0.0.1:9")
    assert found.warning == "no forge answers at http://127.0.0.1:9; correct --forge-url"


@pytest.mark.parametrize(("branch", "read"), [("trunk", "trunk"), (None, "main")])
def test_a_new_roster_has_the_forges_branch(tmp_path: Path, branch: str | None, read: str) -> None:
    path = tmp_path / "acme.toml"
    write_roster(path, "acme", "acme/site", "https://forge.example.org", branch)
    assert roster.load(path).primary_branch == read
    assert ("primary_branch" in path.read_text()) == (branch is not None)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["Acme!", "--repo", "acme/site", "--forge-url", "http://forge"], "PROJECT: "),
        (["acme", "--repo", "site", "--forge-url", "http://forge"], "--repo: "),
        (["acme", "--repo", "acme/site", "--forge-url", "forge"], "--forge-url: "),
    ],
)
def test_what_is_wrong_is_named_by_its_option_before_anything_is_written(
    arguments: list[str], option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").touch()
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["init", *arguments])
    assert result.exit_code == 2
    assert option in result.output
    assert ".toml" not in result.output
    assert list((tmp_path / "stacks").iterdir()) == []
