"""Drift: what was changed by hand shows in a refresh, and `up --refresh` mends it."""

from collections.abc import Callable

import pytest
from asking import api_status
from workplace import Workplace


def _delete_token(place: Workplace) -> None:
    user = place.user("dev-qwen")
    for token in place.forge.tokens(user):
        place.forge.revoke_token(user, token.id)


def _widen_scopes(place: Workplace) -> None:
    token = place.forge.tokens(place.user("dev-qwen"))[0]
    place.server.sql("UPDATE access_token SET scope = 'all' WHERE id = ?", token.id)


def _prohibit_login(place: Workplace) -> None:
    user = place.forge.user(place.user("dev-qwen"))
    assert user is not None
    place.forge.edit_user(
        user.login, login_name=user.login_name, source_id=0, prohibit_login=True, restricted=False
    )


def _remove_collaborator(place: Workplace) -> None:
    place.forge.remove_collaborator(place.repo, place.user("dev-qwen"))


def _lower_permission(place: Workplace) -> None:
    place.forge.add_collaborator(place.repo, place.user("dev-qwen"), "read")


def _remove_container(place: Workplace) -> None:
    place.container("dev-qwen").remove(force=True)


def _stop_container(place: Workplace) -> None:
    place.container("dev-qwen").stop()


@pytest.mark.parametrize(
    "meddle",
    [
        _delete_token,
        _widen_scopes,
        _prohibit_login,
        _remove_collaborator,
        _lower_permission,
        _remove_container,
        _stop_container,
    ],
)
def test_what_was_changed_by_hand_is_mended_by_a_refreshing_up(
    workplace: Workplace, meddle: Callable[[Workplace], None]
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()

    meddle(workplace)

    assert workplace.preview("--refresh") != {}
    workplace.up("--refresh")
    user = workplace.forge.user(workplace.user("dev-qwen"))
    assert user is not None
    assert user.restricted
    assert not user.prohibit_login
    token = workplace.token("dev-qwen")
    assert api_status(workplace.server.url, token) == 200
    tokens = workplace.forge.tokens(user.login)
    assert [(found.last_eight, found.scopes) for found in tokens] == [
        (token[-8:], {"write:repository", "write:issue", "read:user"})
    ]
    assert workplace.forge.collaborator_permission(workplace.repo, user.login) == "write"
    assert workplace.container("dev-qwen").status == "running"
    assert workplace.preview("--refresh") == {}
