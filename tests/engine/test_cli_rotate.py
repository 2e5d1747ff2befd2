"""`muster rotate`, as a person types it."""

from asking import api_status, password_status, process_arguments
from workplace import Workplace

from muster.credentials import TOKEN_SCOPES


def test_one_agent_is_rotated_and_only_old_credentials_are_when_age_is_asked_for(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen") + workplace.agent("review-qwen"))
    workplace.up()
    dev, review = workplace.token("dev-qwen"), workplace.token("review-qwen")

    workplace.muster("rotate", "dev-qwen", "--yes")

    assert api_status(workplace.server.url, dev) == 401
    assert api_status(workplace.server.url, workplace.token("dev-qwen")) == 200
    assert workplace.token("review-qwen") == review
    rotated = workplace.token("dev-qwen")
    roster = workplace.roster_path.read_text()
    workplace.roster_path.write_text(roster.replace("rotation = 2\n", ""))  # put back, by git say
    workplace.muster("rotate", "dev-qwen", "--yes")
    assert api_status(workplace.server.url, rotated) == 401
    assert "nothing to do" in workplace.muster("rotate", "--all", "--older-than", "30d", "--yes")
    workplace.age_credentials(31)
    workplace.muster("rotate", "--all", "--older-than", "30d", "--yes")
    assert api_status(workplace.server.url, review) == 401
    assert workplace.roster_path.read_text().count("rotation = ") == 2
    assert "30d" in workplace.muster("rotate", "--all", "--older-than", "a month", expect=2)
    assert "--all" in workplace.muster("rotate", expect=2)


def test_a_token_made_by_hand_is_proven_used_and_later_rotated_like_any_other(
    strict_workplace: Workplace,
) -> None:
    """At a forge that revokes by the bot user's own password alone, which rotates meanwhile."""
    workplace = strict_workplace
    url, user = workplace.server.url, workplace.user("dev-qwen")
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    first = workplace.token("dev-qwen")
    mine = workplace.forge.mint_token(user, "by hand", TOKEN_SCOPES).secret
    almighty = workplace.forge.mint_token(user, "too much", ["all"]).secret
    by_hand = ("rotate", "dev-qwen", "--token-from-stdin", "--yes")

    before = workplace.written()
    for secret, why in (("0" * 40, "does not work"), (str(almighty), "no fewer and no more")):
        refused = workplace.muster(*by_hand, stdin=f"{secret}\n", expect=1)
        assert why in refused
        assert "Nothing was changed" in refused
        assert workplace.written() == before
        assert secret not in refused
        assert api_status(url, first) == 200
    with process_arguments() as arguments:
        printed = workplace.muster(*by_hand, stdin=f"{mine}\n")

    assert workplace.token("dev-qwen") == mine
    assert api_status(url, first) == 401
    assert str(mine) not in printed
    assert not any(str(mine) in line for line in arguments)
    assert workplace.preview() == {}
    roster = workplace.roster_path.read_text()
    workplace.roster_path.write_text(roster.replace("rotation = 2", "rotation = 3"))
    password = workplace.password("dev-qwen")
    workplace.muster("up", "--yes")
    assert workplace.password("dev-qwen") != password
    assert workplace.token("dev-qwen") == mine
    assert api_status(url, str(mine)) == 200
    workplace.muster("rotate", "dev-qwen", "--yes")
    assert api_status(url, str(mine)) == 401
    assert api_status(url, workplace.token("dev-qwen")) == 200
    before = workplace.written()
    by_hand = ("rotate", "dev-qwen", "--password-from-stdin", "--yes")
    refused = workplace.muster(*by_hand, stdin="short\n", expect=1)
    assert "Nothing was changed" in refused
    assert workplace.written() == before
    assert workplace.preview() == {}
    password = "chosen-By-hand.0123456789-0123456789"
    workplace.muster(*by_hand, stdin=f"{password}\n")
    assert password_status(url, user, password) == 200
