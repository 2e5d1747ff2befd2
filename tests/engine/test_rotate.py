"""Rotation: new credentials in service before the old ones end."""

from pathlib import Path

from asking import api_status, git_works, password_status
from workplace import Workplace


def test_rotating_one_agent_ends_its_old_token_and_leaves_the_others_alone(
    workplace: Workplace, tmp_path: Path
) -> None:
    url, repo = workplace.server.url, workplace.repo
    other = workplace.agent("review-qwen")
    workplace.roster(workplace.agent("dev-qwen") + other)
    workplace.up()
    old_token, old_password = workplace.token("dev-qwen"), workplace.password("dev-qwen")
    container, other_container = workplace.container("dev-qwen"), workplace.container("review-qwen")

    workplace.roster(workplace.agent("dev-qwen", rotation=2) + other)
    workplace.up()

    new_token = workplace.token("dev-qwen")
    user = workplace.user("dev-qwen")
    assert api_status(url, new_token) == 200
    assert git_works(url, repo, user, new_token, tmp_path)
    assert api_status(url, old_token) == 401
    assert not git_works(url, repo, user, old_token, tmp_path)
    assert password_status(url, user, old_password) == 401
    assert [token.last_eight for token in workplace.forge.tokens(user)] == [new_token[-8:]]
    assert workplace.container("dev-qwen").id != container.id
    assert workplace.container("review-qwen").id == other_container.id
    assert workplace.preview() == {}


def test_credentials_past_their_age_show_as_a_planned_replacement(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen", max_credential_age_days=30))
    workplace.up()
    old_token = workplace.token("dev-qwen")
    assert workplace.preview() == {}

    workplace.age_credentials(days=31)

    assert "AccessToken dev-qwen" in workplace.preview()["replace"]
    workplace.up()
    assert api_status(workplace.server.url, old_token) == 401
    assert workplace.preview() == {}


def test_replacing_the_token_by_name_swaps_the_container_and_ends_the_old_one(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    old_token, container = workplace.token("dev-qwen"), workplace.container("dev-qwen").id

    workplace.up("--replace", workplace.urn("AccessToken", "dev-qwen"))

    assert api_status(workplace.server.url, workplace.token("dev-qwen")) == 200
    assert api_status(workplace.server.url, old_token) == 401
    assert workplace.container("dev-qwen").id != container


def test_a_forge_that_takes_no_pat_for_minting_rotates_with_the_bots_own_password(
    strict_workplace: Workplace,
) -> None:
    place = strict_workplace
    place.roster(place.agent("dev-qwen"))
    place.up()
    old_token, old_password = place.token("dev-qwen"), place.password("dev-qwen")

    place.roster(place.agent("dev-qwen", rotation=2))
    place.up()

    user = place.user("dev-qwen")
    assert api_status(place.server.url, place.token("dev-qwen")) == 200
    assert api_status(place.server.url, old_token) == 401
    assert password_status(place.server.url, user, old_password) == 401
    assert password_status(place.server.url, user, place.password("dev-qwen")) == 200
    place.destroy()
    assert place.forge.tokens(user) == []
