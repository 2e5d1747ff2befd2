"""Two stacks on one forge and one Docker host never touch each other's agents."""

from typing import Any

from asking import api_status
from workplace import Workplace


def _crew(place: Workplace) -> dict[str, Any]:
    """Return what must stay the same while somebody else's stack changes."""
    user = place.forge.user(place.user("dev-qwen"))
    container = place.container("dev-qwen")
    return {
        "user": user,
        "tokens": [(token.id, token.last_eight) for token in place.forge.tokens(user.login)]
        if user
        else None,
        "permission": place.forge.collaborator_permission(place.repo, place.user("dev-qwen")),
        "container": (container.id, container.attrs["State"]["StartedAt"], container.status),
        "containers": place.containers(),
        "volumes": place.volumes(),
    }


def test_rotating_and_destroying_one_stack_leaves_the_other_as_it_is(
    workplace: Workplace, second_workplace: Workplace
) -> None:
    """Both crews have an agent of the same name; the second's roster lies elsewhere."""
    first, second = workplace, second_workplace
    elsewhere = second.folder / "factory" / "projects.toml"
    elsewhere.parent.mkdir()
    second.roster(second.agent("dev-qwen"))
    second.roster_path.rename(elsewhere)
    second.pulumi("config", "set", "muster:roster", "factory/projects.toml")
    first.roster(first.agent("dev-qwen"))
    first.up()
    second.up()
    token, kept = second.token("dev-qwen"), _crew(second)
    assert kept["user"].login == f"{second.name}-dev-qwen"

    first.roster(first.agent("dev-qwen", rotation=2))
    first.up()
    assert _crew(second) == kept

    taken = first.agent("dev-qwen", rotation=2, forge_user=second.user("dev-qwen"), adopt=True)
    first.roster(taken)
    refused = first.pulumi("preview", expect=1)
    assert 'agent "dev-qwen", forge_user: ' in refused
    assert f"belongs to another agent ({second.name}/{second.name}/dev-qwen)" in refused
    assert _crew(second) == kept

    first.destroy()
    assert first.containers() == set()
    assert _crew(second) == kept
    assert api_status(second.server.url, token) == 200
    assert second.preview() == {}
