"""Which accounts may become an agent's, and why others may not."""

import dataclasses
from typing import Any

import pytest
from scripted_server import Answer, Request, Script, serving

from muster import accounts
from muster.forge import Forge, Token, User

MARK = accounts.mark_of("live", "demo", "dev-qwen")

OURS = User(
    id=3,
    login="dev-qwen",
    login_name=MARK,
    source_id=0,
    full_name="",
    email="",
    created_at="2026-01-02T03:04:05+00:00",
    active=True,
    is_admin=False,
    prohibit_login=False,
    restricted=True,
)


def refusal(*, adopt: bool = False, **changes: Any) -> str | None:  # noqa: ANN401 - a user's fields
    return accounts.refusal(dataclasses.replace(OURS, **changes), mark=MARK, adopt=adopt)


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("changes", [{}, {"prohibit_login": True}, {"is_admin": True}])
def test_an_account_with_this_agents_mark_is_this_agents(
    changes: dict[str, bool], *, adopt: bool
) -> None:
    assert refusal(adopt=adopt, **changes) is None


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize(
    "other", ["live/demo/review", "live/other/dev-qwen", "staging/demo/dev-qwen", ""]
)
def test_an_account_with_another_mark_is_refused_even_for_adoption(
    other: str, *, adopt: bool
) -> None:
    assert refusal(login_name=f"muster:{other}", adopt=adopt) == (
        f"bot user dev-qwen belongs to another agent ({other}), and no account is handed on: "
        "choose another forge_user; or if the stack, the project or the agent was renamed, take "
        "the old name back"
    )


@pytest.mark.parametrize("login_name", ["", "dev-qwen", "uid=dev-qwen,dc=example", "my muster:"])
def test_an_account_without_a_mark_is_refused_unless_it_is_to_be_adopted(login_name: str) -> None:
    assert refusal(login_name=login_name) == (
        "user dev-qwen exists and Muster did not make it: choose another forge_user, "
        "or set adopt = true to take the account over"
    )
    assert refusal(login_name=login_name, adopt=True) is None


def test_an_administrator_is_never_adopted() -> None:
    reason = refusal(login_name="", is_admin=True, adopt=True)
    assert reason == ("user dev-qwen is an administrator of the forge: choose another forge_user")


def test_an_account_whose_password_is_kept_elsewhere_is_never_adopted() -> None:
    reason = refusal(login_name="dev-qwen", source_id=2, adopt=True)
    assert reason is not None
    assert "authentication source" in reason


def test_no_two_agents_share_a_mark() -> None:
    marks = {
        accounts.mark_of(stack, project, agent)
        for stack in ("a", "b")
        for project in ("a", "b")
        for agent in ("a", "b")
    }
    assert len(marks) == 8


def test_the_standing_is_that_of_the_restrictions_that_every_bot_user_gets() -> None:
    said = {"is_admin": "admin"}
    restrictions = {
        field: accounts.RESTRICTIONS[said.get(field, field)] for field in accounts.STANDING
    }
    assert restrictions == accounts.STANDING
    assert accounts.standing_of(OURS) == accounts.STANDING
    barred = dataclasses.replace(OURS, prohibit_login=True)
    assert accounts.standing_of(barred) == {**accounts.STANDING, "prohibit_login": True}


def test_an_address_reaches_nobody_and_is_as_unique_as_the_name() -> None:
    """Forges compare names and addresses without regard to case."""
    assert accounts.email_of("Demo.Dev") == "demo.dev@muster.invalid"


LARGE = [f"somebody-{number}" for number in range(500)]


def forge_of(names: list[str]) -> Script:
    """A forge with these accounts, whose full names are those of a crew's bot users."""
    told = [
        {
            "id": number,
            "login": name,
            "login_name": f"muster:live/demo/{name}",
            "full_name": accounts.full_name_of("demo", name),
            "created": "2026-01-02T04:04:05+01:00",
        }
        for number, name in enumerate(names)
    ]

    def script(request: Request) -> Answer:
        below = request.path.removeprefix("/api/v1")
        if below in {"/admin/users", "/users/search"}:
            words = request.query.get("q", [""])[0]
            found = [one for one in told if words in str(one["full_name"])]
            page, limit = (int(request.query[key][0]) for key in ("page", "limit"))
            listed: Any = found[(page - 1) * limit : page * limit]
            total = {"X-Total-Count": str(len(found))}
            wrapped = {"ok": True, "data": listed}
            return Answer(json=wrapped if "search" in below else listed, headers=total)
        name = below.removeprefix("/users/")
        one = next((one for one in told if one["login"] == name), None)
        return Answer(404, {"message": "not found"}) if one is None else Answer(json=one)

    return script


@pytest.mark.parametrize("size", [1, 3, 4, 40])
@pytest.mark.parametrize("others", [[], LARGE])
def test_a_crews_accounts_are_found_in_few_calls(size: int, others: list[str]) -> None:
    crew = [f"dev-{number}" for number in range(size)]
    with serving(forge_of([*others, *crew[1:]])) as server:
        found, by_name = accounts.accounts(Forge(server.url, Token("t")), crew)
        assert by_name is bool(others)
        assert found.keys() >= {*crew[1:]}
        assert crew[0] not in found
        assert len(server.requests) <= size + 2


def test_a_forge_is_searched_for_a_projects_accounts() -> None:
    with serving(forge_of(["dev-qwen", "dev-claude"])) as server:
        words = accounts.crew_words("demo")
        found = Forge(server.url, Token("t")).users(words)
        assert [user.login for user in found] == ["dev-qwen", "dev-claude"]
        assert list(Forge(server.url, Token("t")).users("(agent of other")) == []
        assert {path for _, path in server.asked()} == {"/api/v1/users/search"}
