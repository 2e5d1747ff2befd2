"""Drift: what was changed by hand shows in a refresh, and `up --refresh` mends it."""

from collections.abc import Callable

from asking import api_status, password_status
from workplace import Workplace

from muster.accounts import mark_of

CHOSEN_BY_HAND = "chosen-By-hand.0123456789"
SCOPES = frozenset({"write:repository", "write:issue", "read:user"})


def _delete_token(place: Workplace, agent: str) -> None:
    user = place.user(agent)
    for token in place.forge.tokens(user):
        place.forge.revoke_token(user, token.id)


def _widen_scopes(place: Workplace, agent: str) -> None:
    token = place.forge.tokens(place.user(agent))[0]
    place.server.sql("UPDATE access_token SET scope = 'all' WHERE id = ?", token.id)


def _set_password(place: Workplace, agent: str) -> None:
    user = place.forge.user(place.user(agent))
    assert user is not None
    place.forge.edit_user(
        user.login, login_name=user.login_name, source_id=0, password=CHOSEN_BY_HAND
    )


def _overwrite_mark(place: Workplace, agent: str) -> None:
    place.forge.edit_user(place.user(agent), login_name="by-a-script", source_id=0)


def _prohibit_login(place: Workplace, agent: str) -> None:
    user = place.forge.user(place.user(agent))
    assert user is not None
    place.forge.edit_user(
        user.login, login_name=user.login_name, source_id=0, prohibit_login=True, restricted=False
    )


def _remove_collaborator(place: Workplace, agent: str) -> None:
    place.forge.remove_collaborator(place.repo, place.user(agent))


def _lower_permission(place: Workplace, agent: str) -> None:
    place.forge.add_collaborator(place.repo, place.user(agent), "read")


def _remove_container(place: Workplace, agent: str) -> None:
    place.container(agent).remove(force=True)


def _stop_container(place: Workplace, agent: str) -> None:
    place.container(agent).stop()


MEDDLING: dict[str, tuple[Callable[[Workplace, str], None], str]] = {
    "token-deleted": (_delete_token, "AccessToken"),
    "scopes-changed": (_widen_scopes, "AccessToken"),
    "password-set": (_set_password, "BotPassword"),
    "mark-overwritten": (_overwrite_mark, "BotUser"),
    "login-prohibited": (_prohibit_login, "BotUser"),
    "access-removed": (_remove_collaborator, "RepositoryAccess"),
    "access-lowered": (_lower_permission, "RepositoryAccess"),
    "container-removed": (_remove_container, "Container"),
    "container-stopped": (_stop_container, "Container"),
}
"""For each agent, what is done to it by hand and the resource in which it shows."""


def _assert_whole(place: Workplace, agent: str) -> None:
    user = place.forge.user(place.user(agent))
    assert user is not None
    assert user.restricted
    assert not user.prohibit_login
    assert user.login_name == mark_of(place.name, place.name, agent)
    token = place.token(agent)
    assert api_status(place.server.url, token) == 200
    tokens = place.forge.tokens(user.login)
    assert [(found.last_eight, found.scopes) for found in tokens] == [(token[-8:], SCOPES)]
    assert place.forge.collaborator_permission(place.repo, user.login) == "write"
    assert place.container(agent).status == "running"


def test_what_was_changed_by_hand_is_mended_by_a_refreshing_up(workplace: Workplace) -> None:
    crew = [*MEDDLING, "untouched"]
    workplace.roster("".join(workplace.agent(name) for name in crew))
    workplace.up()
    untouched = workplace.container("untouched").id

    for agent, (meddle, _) in MEDDLING.items():
        meddle(workplace, agent)

    planned = {resource for steps in workplace.preview("--refresh").values() for resource in steps}
    assert {f"{kind} {agent}" for agent, (_, kind) in MEDDLING.items()} <= planned
    assert not any("untouched" in resource for resource in planned)
    workplace.up("--refresh")
    for agent in crew:
        _assert_whole(workplace, agent)
    theirs = workplace.user("password-set")
    assert password_status(workplace.server.url, theirs, CHOSEN_BY_HAND) == 401
    ours = workplace.password("password-set")
    assert password_status(workplace.server.url, theirs, ours) == 200
    assert workplace.container("untouched").id == untouched
    assert workplace.preview("--refresh") == {}
