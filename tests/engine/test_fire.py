"""Firing: removing a section removes what the agent could do, and keeps what it did."""

from pathlib import Path

import pytest
import requests
from asking import api_status, git_works, password_status
from patience import COMMAND
from workplace import Workplace


def _open_issue_and_pull_request(place: Workplace, token: str) -> tuple[int, int]:
    """Have the bot user open both; return their numbers."""
    api = f"{place.server.url}/api/v1/repos/{place.repo}"
    headers = {"Authorization": f"token {token}"}

    def post(path: str, body: dict[str, object]) -> int:
        answer = requests.post(f"{api}{path}", json=body, headers=headers, timeout=COMMAND)
        answer.raise_for_status()
        return int(answer.json().get("number", 0))

    issue = post("/issues", {"title": "found by the bot"})
    post(
        "/contents/work.txt",
        {"content": "d29yaw==", "message": "Work", "branch": "main", "new_branch": "work"},
    )
    return issue, post("/pulls", {"title": "done by the bot", "head": "work", "base": "main"})


def test_firing_refuses_the_bot_everywhere_and_keeps_its_issue_and_pull_request(
    workplace: Workplace, tmp_path: Path
) -> None:
    url, repo, user = workplace.server.url, workplace.repo, workplace.user("dev-qwen")
    workplace.roster(workplace.agent("dev-qwen") + workplace.agent("review-qwen"))
    workplace.up()
    token, password = workplace.token("dev-qwen"), workplace.password("dev-qwen")
    issue, pull = _open_issue_and_pull_request(workplace, token)

    workplace.roster(workplace.agent("review-qwen"))
    workplace.up()

    assert api_status(url, token) in {401, 403}
    assert password_status(url, user, password) in {401, 403}
    assert not git_works(url, repo, user, token, tmp_path)
    assert not git_works(url, repo, user, password, tmp_path)
    assert workplace.forge.tokens(user) == []
    assert workplace.containers() == {"agents-review-qwen"}
    kept = {"agents-dev-qwen-data", "agents-dev-qwen-repos"}
    assert workplace.volumes() >= kept
    admin = str(workplace.server.administrator.pat)
    assert api_status(url, admin, f"/repos/{repo}/issues/{issue}") == 200
    assert api_status(url, admin, f"/repos/{repo}/pulls/{pull}") == 200


def test_firing_removes_the_volumes_where_they_are_not_to_be_kept(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"), "keep_volumes = false")
    workplace.up()
    workplace.roster("", "keep_volumes = false")
    workplace.up()
    assert workplace.volumes() == set()


def test_an_agent_hired_again_finds_its_account_and_its_volumes(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    account = workplace.forge.user(workplace.user("dev-qwen"))
    assert account is not None
    exit_code, _ = workplace.container("dev-qwen").exec_run(
        ["sh", "-c", "echo unpushed > /home/agent/repos/work"]
    )
    assert exit_code == 0
    workplace.roster("")
    workplace.up()

    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()

    again = workplace.forge.user(workplace.user("dev-qwen"))
    assert again is not None
    assert again.id == account.id
    assert not again.prohibit_login
    assert api_status(workplace.server.url, workplace.token("dev-qwen")) == 200
    _, found = workplace.container("dev-qwen").exec_run(["cat", "/home/agent/repos/work"])
    assert found == b"unpushed\n"


def test_a_purge_that_is_asked_for_removes_the_account(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    workplace.roster("")
    workplace.up(environment={"MUSTER_PURGE": workplace.user("dev-qwen")})
    assert workplace.forge.user(workplace.user("dev-qwen")) is None


def test_a_barred_bot_user_is_fired_at_a_forge_where_only_its_password_could_revoke(
    strict_workplace: Workplace,
) -> None:
    place = strict_workplace
    place.roster(place.agent("dev-qwen"))
    place.up()
    token = place.token("dev-qwen")
    user = place.forge.user(place.user("dev-qwen"))
    assert user is not None
    place.forge.edit_user(user.login, login_name=user.login_name, source_id=0, prohibit_login=True)

    place.destroy()

    assert api_status(place.server.url, token) == 401
    assert place.forge.tokens(user.login) == []
    barred = place.forge.user(user.login)
    assert barred is not None
    assert barred.prohibit_login


@pytest.mark.slow
def test_a_container_that_compose_made_anew_is_fired_too(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen") + workplace.agent("review-qwen"))
    workplace.up()
    for agent in ("dev-qwen", "review-qwen"):
        workplace.remake_container(agent)

    workplace.roster(workplace.agent("review-qwen"))
    workplace.up()
    assert workplace.containers() == {"agents-review-qwen"}
    workplace.destroy()
    assert workplace.containers() == set()


def test_destroy_leaves_nothing_in_docker_but_kept_volumes(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    workplace.destroy()
    assert workplace.containers() == set()
    assert workplace.volumes() == {"agents-dev-qwen-data", "agents-dev-qwen-repos"}
    assert workplace.networks() == set()
    assert workplace.forge.tokens(workplace.user("dev-qwen")) == []
