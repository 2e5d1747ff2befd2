"""The agent's image in a real container, with the least that it needs, at a real forge."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest

from muster.credentials import TOKEN_SCOPES, new_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.models.containers import Container
    from forge_server import ForgeServer

    from muster.forge import AccessToken, Forge

IMAGE = "muster-agent"


class Agent:
    """A bot user with a token of least privilege, and a container that works with it."""

    def __init__(self, client: docker.DockerClient, server: ForgeServer, forge: Forge) -> None:
        self.client, self.server, self.forge = client, server, forge
        self.name = f"t{secrets.token_hex(4)}"
        self.repo = f"keeper/{self.name}"

    def start(self) -> None:
        self.token = self._bot_user()
        self.container: Container = self.client.containers.create(
            IMAGE,
            name=self.name,
            network=self.server.network,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            volumes={f"{self.name}-data": {"bind": "/home/agent/data", "mode": "rw"}},
            environment={
                "AGENT_NAME": self.name,
                "AGENT_ROLES": "dev",
                "ANTHROPIC_API_KEY": "sk-made-up",
                "FORGE_REPO": self.repo,
                "FORGE_TOKEN": str(self.token.secret),
                "FORGE_URL": self.server.internal_url,
                "POLL_INTERVAL": "1",
                "PRIMARY_BRANCH": "main",
                "PROJECT_NAME": self.name,
            },
        )
        self.container.start()

    def _bot_user(self) -> AccessToken:
        self.forge.create_repository(self.repo, "main")
        self.forge.create_user(
            self.name,
            email=f"{self.name}@muster.invalid",
            password=new_password(),
            login_name=self.name,
            full_name=self.name,
        )
        self.forge.add_collaborator(self.repo, self.name)
        return self.forge.mint_token(self.name, "test", TOKEN_SCOPES)

    def remove(self) -> None:
        """Remove by name whatever was made, however far it came."""
        for container in self.client.containers.list(all=True, filters={"name": self.name}):
            container.remove(force=True)
        for volume in self.client.volumes.list(filters={"name": self.name}):
            volume.remove()
        if self.forge.user(self.name) is not None:
            self.forge.purge_user(self.name)

    def cycles(self) -> Iterator[dict[str, Any]]:
        """Return the records of the cycles from the first one on, as they come."""
        for line in self.container.logs(stream=True, follow=True):
            yield json.loads(line)

    def becomes_healthy(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.container.reload()
            if self.container.health == "healthy":
                return True
            time.sleep(0.1)
        return False


@pytest.fixture
def agent(docker_client: docker.DockerClient, server: ForgeServer, forge: Forge) -> Iterator[Agent]:
    made = Agent(docker_client, server, forge)
    try:
        made.start()
        yield made
    finally:
        made.remove()


def test_a_bot_user_with_least_privilege_has_good_cycles(agent: Agent) -> None:
    """What Muster mints suffices, for a private repository and without any privilege in Docker."""
    first = next(agent.cycles())
    assert first["error"] is None
    assert (first["result"], first["forge"]["status"]) == ("ok", 200)


def test_a_new_container_is_healthy_within_seconds(agent: Agent) -> None:
    next(agent.cycles())
    assert agent.becomes_healthy(seconds=10)


def test_a_revoked_token_and_a_lost_repository_fail_the_next_cycle(agent: Agent) -> None:
    cycles = agent.cycles()
    next(cycles)
    agent.forge.remove_collaborator(agent.repo, agent.name)
    assert _next_failure(cycles)["forge"]["status"] == 404
    agent.forge.revoke_token(agent.name, agent.token.id)
    failure = next(record for record in cycles if record["forge"]["status"] != 404)
    assert failure["forge"]["status"] == 401
    assert failure["error"] == {"forge": "the forge refuses the token"}
    assert agent.container.exec_run(["python3", "/opt/muster/health.py"]).exit_code == 1


def _next_failure(cycles: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return next(record for record in cycles if record["result"] == "failed")


def test_a_stop_ends_the_container_within_a_second_with_exit_code_0(agent: Agent) -> None:
    next(agent.cycles())
    agent.container.stop(timeout=1)  # then Docker kills, and the code is 137
    assert agent.container.wait()["StatusCode"] == 0


def test_nothing_in_the_container_runs_as_root(agent: Agent) -> None:
    processes = agent.container.top(ps_args="-eo pid,uid")["Processes"]
    assert {uid for _, uid in processes} == {"1000"}


def test_a_container_without_settings_says_what_is_missing(
    docker_client: docker.DockerClient,
) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        docker_client.containers.run(IMAGE, remove=True)
    assert caught.value.exit_status == 2
    assert "missing in the environment: FORGE_URL;" in str(caught.value.stderr)
