"""Containers that Nomad started, as Docker lists them."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from muster import handover

if TYPE_CHECKING:
    import docker


class NomadsContainers:
    """The list of containers of an engine that Nomad uses; it plays `docker.DockerClient`."""

    def __init__(self, variables: dict[str, list[str] | None]) -> None:
        self.containers = self
        self._variables = variables
        self.asked: list[dict[str, object]] = []

    def list(self, **asked: object) -> list[SimpleNamespace]:
        self.asked.append(asked)
        return [
            SimpleNamespace(name=name, attrs={"Config": {"Image": "sha256:0a1b", "Env": each}})
            for name, each in self._variables.items()
        ]


def test_only_disintos_agents_count_among_what_nomad_runs() -> None:
    client = NomadsContainers(
        {
            "agents-0a1b": ["DISINTO_CONTAINER=1", "AGENT_ROLES=dev"],
            "web-2c3d": ["PORT=80"],
            "plain-4e5f": None,
        }
    )
    assert handover.agents_on_nomad(cast("docker.DockerClient", client)) == ["agents-0a1b"]
    # Stopped containers say nothing about where the factory runs now.
    assert client.asked == [
        {"filters": {"label": "com.hashicorp.nomad.alloc_id"}, "ignore_removed": True}
    ]
