"""How much Muster asks of a forge."""

from strict_forge import StrictForge
from workplace import Workplace


def _calls_to_hire(place: Workplace, proxy: StrictForge, agents: str) -> int:
    before = proxy.calls.total()
    place.roster(agents)
    place.up()
    return proxy.calls.total() - before


def test_an_agent_costs_the_forge_at_most_seven_calls_to_hire(
    workplace: Workplace, second_workplace: Workplace
) -> None:
    """What a run asks once, whatever the crew, is left out: the difference of two crews counts.

    One of them asks for the account, on a forge with more accounts than it lists in one call.
    """
    with StrictForge(workplace.server.url, strict=False) as proxy:
        for place in (workplace, second_workplace):
            place.forge_url = proxy.url
        one = _calls_to_hire(workplace, proxy, workplace.agent("first"))
        crew = "".join(second_workplace.agent(f"agent-{number}") for number in range(4))
        four = _calls_to_hire(second_workplace, proxy, crew)

    assert (four - one) / 3 <= 7
