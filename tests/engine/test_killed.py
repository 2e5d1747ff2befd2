"""What a killed engine leaves: the next run makes one of everything."""

from collections.abc import Callable

import pytest
from asking import api_status, wait_until
from workplace import Workplace

AT_EVERY_STEP, AT_THE_END = "false", "true"
"""When the engine writes its state, as PULUMI_SKIP_CHECKPOINTS says it."""


def _whole(place: Workplace) -> None:
    """Make sure of one user, one token that works, one container that runs."""
    user = place.user("dev-qwen")
    token = place.token("dev-qwen")
    assert api_status(place.server.url, token) == 200
    assert [found.last_eight for found in place.forge.tokens(user)] == [token[-8:]]
    assert place.container("dev-qwen").status == "running"
    assert place.containers() == {"agents-dev-qwen"}
    assert place.preview() == {}


def _barred(place: Workplace) -> bool:
    bot_user = place.forge.user(place.user("dev-qwen"))
    return bot_user is not None and bot_user.prohibit_login


def _killed_up(place: Workplace, moment: Callable[[], object]) -> None:
    """Kill an update's engine once `moment` has passed, and take away the lock it leaves."""
    with place.engine("up", "--yes", "--skip-preview") as engine:
        moment()
        engine.kill()
    place.pulumi("cancel", "--yes")


def _killed_rotation(place: Workplace, undone: str) -> str:
    """Kill an engine that writes no state before the end; return the token that the state has."""
    place.environment["PULUMI_SKIP_CHECKPOINTS"] = AT_THE_END
    place.roster(place.agent("dev-qwen"))
    place.up()
    old_token = place.token("dev-qwen")
    place.roster(place.agent("dev-qwen", rotation=2))
    moments = {
        "swap": lambda: place.wait_for_event("destroy", place.container_name("dev-qwen")),
        "sweep": lambda: wait_until(lambda: api_status(place.server.url, old_token) == 401),
    }
    _killed_up(place, moments[undone])
    assert place.token("dev-qwen") == old_token
    return old_token


@pytest.mark.parametrize("skip", [AT_EVERY_STEP, AT_THE_END])
def test_an_engine_killed_while_it_creates_a_container_leaves_nothing_double(
    workplace: Workplace, skip: str
) -> None:
    workplace.environment["PULUMI_SKIP_CHECKPOINTS"] = skip
    workplace.roster(workplace.agent("dev-qwen"))

    _killed_up(
        workplace, lambda: workplace.wait_for_event("create", workplace.container_name("dev-qwen"))
    )

    workplace.up()
    _whole(workplace)


def test_an_agent_whose_section_goes_after_a_kill_leaves_no_credentials(
    workplace: Workplace,
) -> None:
    """What delivers them stands in nobody's state then."""
    workplace.roster(workplace.agent("dev-qwen"))

    _killed_up(
        workplace,
        lambda: workplace.wait_for_event("create", f"{workplace.name}-credentials-dev-qwen"),
    )

    workplace.roster("")
    workplace.up()
    assert workplace.containers() == set()
    assert workplace.volumes() == {"agents-dev-qwen-data", "agents-dev-qwen-repos"}
    assert workplace.forge.tokens(workplace.user("dev-qwen")) == []


def test_an_engine_killed_between_the_new_token_and_the_swap_leaves_one_token(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    old_token = workplace.token("dev-qwen")
    workplace.roster(workplace.agent("dev-qwen", rotation=2))

    delivered = f"{workplace.name}-credentials-dev-qwen"
    _killed_up(workplace, lambda: workplace.wait_for_event("destroy", delivered))

    assert api_status(workplace.server.url, old_token) == 200
    workplace.up()
    assert api_status(workplace.server.url, old_token) == 401
    _whole(workplace)


@pytest.mark.parametrize("undone", ["swap", pytest.param("sweep", marks=pytest.mark.slow)])
def test_a_rotation_without_a_trace_in_the_state_is_done_again(
    workplace: Workplace, undone: str
) -> None:
    old_token = _killed_rotation(workplace, undone)

    workplace.up()

    assert api_status(workplace.server.url, old_token) == 401
    _whole(workplace)


@pytest.mark.slow
def test_a_refresh_mends_what_a_rotation_did_that_is_taken_back(workplace: Workplace) -> None:
    """The roster is as the state has it, but the state's token is revoked, its container gone."""
    old_token = _killed_rotation(workplace, "sweep")
    workplace.roster(workplace.agent("dev-qwen"))

    workplace.up("--refresh")

    assert workplace.token("dev-qwen") != old_token
    _whole(workplace)


def test_firing_without_a_trace_in_the_state_is_done_again(workplace: Workplace) -> None:
    workplace.environment["PULUMI_SKIP_CHECKPOINTS"] = AT_THE_END
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    token = workplace.token("dev-qwen")
    workplace.roster("")

    _killed_up(
        workplace, lambda: workplace.wait_for_event("destroy", workplace.container_name("dev-qwen"))
    )

    workplace.up()
    assert workplace.containers() == set()
    assert api_status(workplace.server.url, token) in {401, 403}
    assert _barred(workplace)
    assert workplace.preview() == {}


def test_the_doctor_fires_whom_neither_state_nor_roster_knows(workplace: Workplace) -> None:
    """Hired by an engine that was killed before it wrote its state, and not wanted any more."""
    workplace.environment["PULUMI_SKIP_CHECKPOINTS"] = AT_THE_END
    workplace.roster(workplace.agent("dev-qwen"))
    _killed_up(
        workplace, lambda: workplace.wait_for_event("start", workplace.container_name("dev-qwen"))
    )

    workplace.roster("")
    workplace.up()
    assert workplace.containers() == {"agents-dev-qwen"}

    workplace.muster("doctor", "--fix")

    assert workplace.containers() == set()
    assert _barred(workplace)
    assert workplace.forge.tokens(workplace.user("dev-qwen")) == []


def test_the_providers_end_when_the_engine_is_killed(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))

    with workplace.engine("up", "--yes", "--skip-preview") as engine:
        wait_until(lambda: workplace.forge.user(workplace.user("dev-qwen")) is not None)
        assert workplace.providers(engine) != []
        engine.kill()
        wait_until(lambda: workplace.providers(engine) == [], seconds=5)

    workplace.pulumi("cancel", "--yes")
    workplace.up()
    _whole(workplace)
