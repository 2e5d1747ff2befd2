"""What a killed engine leaves: the next run makes one of everything."""

from asking import api_status, wait_until
from workplace import Workplace


def _whole(place: Workplace) -> None:
    """Make sure of one user, one token that works, one container that runs."""
    user = place.user("dev-qwen")
    token = place.token("dev-qwen")
    assert api_status(place.server.url, token) == 200
    assert [found.last_eight for found in place.forge.tokens(user)] == [token[-8:]]
    assert place.container("dev-qwen").status == "running"
    assert place.containers() == {"agents-dev-qwen"}
    assert place.preview() == {}


def test_an_engine_killed_while_it_creates_a_container_leaves_nothing_double(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))

    with workplace.engine("up", "--yes", "--skip-preview") as engine:
        workplace.wait_for_event("create", workplace.container_name("dev-qwen"))
        engine.kill()

    workplace.pulumi("cancel", "--yes")
    workplace.up()
    _whole(workplace)


def test_an_agent_whose_section_goes_after_a_kill_leaves_no_credentials(
    workplace: Workplace,
) -> None:
    """What delivers them stands in nobody's state then."""
    workplace.roster(workplace.agent("dev-qwen"))

    with workplace.engine("up", "--yes", "--skip-preview") as engine:
        workplace.wait_for_event("create", f"{workplace.name}-credentials-dev-qwen")
        engine.kill()

    workplace.pulumi("cancel", "--yes")
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

    with workplace.engine("up", "--yes", "--skip-preview") as engine:
        workplace.wait_for_event("destroy", f"{workplace.name}-credentials-dev-qwen")
        engine.kill()

    assert api_status(workplace.server.url, old_token) == 200
    workplace.pulumi("cancel", "--yes")
    workplace.up()
    assert api_status(workplace.server.url, old_token) == 401
    _whole(workplace)


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
