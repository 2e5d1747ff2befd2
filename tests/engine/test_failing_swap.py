"""One agent's trouble is not the crew's."""

from asking import api_status
from workplace import Workplace


def test_a_swap_that_fails_leaves_the_token_in_service_and_lets_the_others_finish(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen") + workplace.agent("review-qwen"))
    workplace.up()
    failing, other = workplace.token("dev-qwen"), workplace.token("review-qwen")

    workplace.roster(
        workplace.agent("dev-qwen", rotation=2, cpus=1000.0)
        + workplace.agent("review-qwen", rotation=2)
    )
    workplace.up("--continue-on-error", expect=1)

    assert api_status(workplace.server.url, failing) == 200
    assert api_status(workplace.server.url, other) == 401
    assert api_status(workplace.server.url, workplace.token("review-qwen")) == 200

    workplace.roster(
        workplace.agent("dev-qwen", rotation=2) + workplace.agent("review-qwen", rotation=2)
    )
    workplace.up()
    assert api_status(workplace.server.url, failing) == 401
    assert workplace.container("dev-qwen").status == "running"
    assert workplace.preview() == {}
