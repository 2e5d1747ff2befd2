"""Which accounts may become an agent's, and why others may not."""

import dataclasses
from typing import Any

import pytest

from muster import accounts
from muster.forge import User

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
