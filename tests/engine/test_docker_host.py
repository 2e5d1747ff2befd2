"""The Docker engine that a roster names is the one that is used, whatever the environment says."""

import os

from workplace import Workplace

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def test_a_crew_runs_on_the_engine_that_its_roster_names(workplace: Workplace) -> None:
    engine = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    workplace.roster(workplace.agent("dev-qwen"), f'docker_host = "{engine}"')
    workplace.up(environment=NOWHERE)
    assert workplace.container("dev-qwen").status == "running"
    workplace.destroy(environment=NOWHERE)
    assert workplace.containers() == set()
