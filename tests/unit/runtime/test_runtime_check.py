"""The project's checks: whose commands run, and how their ends count."""

from pathlib import Path
from typing import Any

import pytest
from issue_tracker import IssueTracker
from runtime import check
from runtime.check import FILE, ChecksError, Commands, commands
from runtime.services import Services
from runtime.tree import Tree
from workshop import TOKEN, bare, services, settings


def agent(folder: Path, file: str | None, **work: Any) -> Services:  # noqa: ANN401 - JSON
    files = {"README.md": "hello"} if file is None else {FILE: file}
    bare(folder / "origin", files)
    made = services(folder, IssueTracker(), settings(work))
    made.fetch_branches()
    return made


def test_without_a_file_the_rosters_commands_count(tmp_path: Path) -> None:
    made = agent(tmp_path, None, setup=["npm ci"], check=["npm test"])

    assert commands(made) == Commands(setup=["npm ci"], check=["npm test"])


@pytest.mark.parametrize(
    ("file", "setup", "check"),
    [
        ('setup = ["a"]\ncheck = ["b", "c"]', ["a"], ["b", "c"]),
        ('check = "b"', ["npm ci"], ["b"]),
        ('setup = "a"', ["a"], ["npm test"]),
        ("check = []", ["npm ci"], []),
        ("", ["npm ci"], ["npm test"]),
        ("# nothing yet", ["npm ci"], ["npm test"]),
    ],
)
def test_what_the_repository_names_comes_before_the_roster(
    file: str, setup: list[str], check: list[str], tmp_path: Path
) -> None:
    made = agent(tmp_path, file, setup=["npm ci"], check=["npm test"])

    assert commands(made) == Commands(setup, check)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("check =", f"{FILE} is not valid TOML: "),
        ("checks = []", f"{FILE}: unknown key checks; it has setup and check"),
        ("check = 5", f"{FILE}: check must be a list of commands"),
        ('check = ["a", 5]', f"{FILE}: check must be a list of commands"),
        ("setup = {a = 1}", f"{FILE}: setup must be a list of commands"),
        ("setup = [[]]", f"{FILE}: setup must be a list of commands"),
    ],
)
def test_a_file_that_is_not_valid_says_what_is_expected(
    file: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ChecksError) as error:
        commands(agent(tmp_path, file))

    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.fixture
def made(tmp_path: Path) -> Services:
    return agent(tmp_path, None)


@pytest.fixture
def tree(made: Services) -> Tree:
    where = made.tree("issue", 12)
    where.make("muster/issue-12", made.fetch_branches())
    return where


def never() -> bool:
    return False


def test_each_check_runs_and_its_exit_code_is_its_result(made: Services, tree: Tree) -> None:
    wanted = Commands([], ["echo all tests passed; exit 3", "test -f README.md", "kill -9 $$"])

    results = check.run(made, tree, wanted, never)

    assert [(each.command, each.passed) for each in results] == [
        ("echo all tests passed; exit 3", False),
        ("test -f README.md", True),
        ("kill -9 $$", False),
    ]
    assert (results[0].code, results[0].output) == (3, "all tests passed\n")


def test_a_check_that_takes_too_long_has_no_exit_code(
    made: Services, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "SECONDS", 0.1)

    [result] = check.run(made, tree, Commands([], ["sleep 60"]), never)

    assert (result.code, result.passed) == (None, False)


def test_an_output_is_shown_without_secrets(made: Services, tree: Tree) -> None:
    [result] = check.run(made, tree, Commands([], [f"echo {TOKEN}"]), never)

    assert result.output == "***\n"


def test_preparing_ends_with_the_first_command_that_fails(made: Services, tree: Tree) -> None:
    wanted = Commands(["touch one", "echo no network >&2; exit 7", "touch two"], [])

    failed = check.set_up(made, tree, wanted, never)

    assert failed is not None
    assert (failed.command, failed.code) == ("echo no network >&2; exit 7", 7)
    assert failed.output == "no network\n"
    assert (tree.path / "one").exists()
    assert not (tree.path / "two").exists()


def test_preparing_that_succeeds_says_nothing(made: Services, tree: Tree) -> None:
    assert check.set_up(made, tree, Commands(["true"], ["false"]), never) is None


SHOW = 'echo "$HTTPS_PROXY $https_proxy $LANG $TERM $PIP_INDEX_URL $FORGE_TOKEN $HOME"'
ENV = {
    "MUSTER_ENV": "HTTPS_PROXY,LANG,HOME,PIP_INDEX_URL",
    "HTTPS_PROXY": "http://proxy:3128",
    "HOME": "/root",
    "LANG": "de_DE.UTF-8",
    "PIP_INDEX_URL": "https://pypi.corp/simple",
}


@pytest.mark.parametrize(("network", "proxy"), [("none", ""), ("open", "http://proxy:3128")])
def test_the_rosters_variables_reach_the_projects_commands_and_proxies_those_with_a_network(
    tmp_path: Path, network: str, proxy: str
) -> None:
    bare(tmp_path / "origin", {"README.md": "hello"})
    made = services(tmp_path, IssueTracker(), settings({"network": network}, **ENV))
    tree = made.tree("issue", 12)
    tree.make("muster/issue-12", made.fetch_branches())
    seen = f"de_DE.UTF-8 dumb https://pypi.corp/simple  {tree.folder}/home\n"
    [checked] = check.run(made, tree, Commands([], [SHOW]), never)
    assert checked.output == f"  {seen}"
    failed = check.set_up(made, tree, Commands([f"{SHOW}; false"], []), never)
    assert failed is not None
    assert failed.output == f" {proxy} {seen}"
