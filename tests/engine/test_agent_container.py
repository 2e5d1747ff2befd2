"""The agent's image in a real container that has nothing to do."""

import docker
import docker.errors
import pytest
from crew import Crew, until

IMAGE = "muster-agent"


def test_an_idle_agent_is_healthy_within_seconds_and_stops_within_one(crew: Crew) -> None:
    worker = crew.hire("dev")

    def is_healthy() -> bool:
        return bool(worker.container.health == "healthy")

    until(is_healthy, "a healthy container")
    processes = worker.container.top(ps_args="-eo pid,uid")["Processes"]
    assert {uid for _, uid in processes} == {"1000"}
    worker.container.stop(timeout=1)  # then Docker kills, and the code is 137
    assert worker.container.wait()["StatusCode"] == 0
    assert worker.state()["state"] == "stopped"


def test_a_container_without_settings_names_what_is_missing(
    docker_client: docker.DockerClient,
) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        docker_client.containers.run(IMAGE, remove=True)
    assert caught.value.exit_status == 2
    assert "missing in the environment: AGENT_NAME;" in str(caught.value.stderr)
