"""The Docker engine that `docker ps` uses is the one for everything, however it is reached."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from docker_ways import make_certificates, ssh_program, tls_in_front
from workplace import Workplace

from muster import docker_host

NOWHERE = {
    "DOCKER_HOST": "unix:///nowhere/docker.sock",
    "DOCKER_CONTEXT": "nowhere",
    "DOCKER_CERT_PATH": "/nowhere",
    "DOCKER_CERT_MATERIAL": "none",
}
"""Each of these, pulumi-docker takes for a setting of its own where it is given none."""


@pytest.fixture
def socket() -> Path:
    """The socket of the engine that the tests run on."""
    scheme, _, path = docker_host.resolve(None).address.partition("://")
    if scheme != "unix":
        pytest.skip("the engine has no socket here")
    return Path(path)


def context(folder: Path, name: str, address: str) -> dict[str, str]:
    """Make a folder of Docker's configuration with one context; return what selects it."""
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    endpoints = {"docker": {"Host": address, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(
        json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints})
    )
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    return {"DOCKER_CONFIG": str(folder), "DOCKER_HOST": "", "DOCKER_CONTEXT": ""}


def test_a_crew_runs_on_the_engine_that_its_roster_names(
    workplace: Workplace, socket: Path
) -> None:
    workplace.roster(workplace.agent("dev-qwen"), f'docker_host = "unix://{socket}"')
    workplace.up(environment=NOWHERE)
    assert workplace.container("dev-qwen").status == "running"
    workplace.destroy(environment=NOWHERE)
    assert workplace.containers() == set()


def test_another_way_to_the_same_engine_replaces_nothing(
    workplace: Workplace, socket: Path, tmp_path: Path
) -> None:
    """A context, TLS, SSH: for the SDK and for pulumi-docker, and the credentials follow."""
    selected = context(tmp_path / "docker", "linked", f"unix://{tmp_path / 'docker.sock'}")
    (tmp_path / "docker.sock").symlink_to(socket)
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up(environment=selected)
    made = workplace.container("dev-qwen").id
    (tmp_path / "docker.sock").unlink()

    certificates = make_certificates(tmp_path / "certificates")
    with tls_in_front(socket, certificates) as address:
        tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
        tls |= {"DOCKER_HOST": address}
        printed = workplace.pulumi("preview", "--json", environment=tls)
        steps = json.loads(printed[printed.index("{") :])["steps"]
        changed = {step["urn"].split("::", 2)[2] for step in steps if step["op"] != "same"}
        assert {urn.rpartition("$")[2] for urn in changed} == {
            "pulumi:providers:docker::docker",
            "pulumi-python:dynamic/muster:ContainerClaim::dev-qwen",
        }
        workplace.up(environment=tls)
        # The credentials' own record of the way is the old one, which leads nowhere.
        unchanged = ("--refresh", "--expect-no-changes", "--skip-preview", "--yes")
        workplace.pulumi("up", *unchanged, environment=tls)

    docker = shutil.which("docker")
    assert docker is not None
    programs = ssh_program(tmp_path / "programs", socket, docker)
    ssh = {"PATH": f"{programs}{os.pathsep}{workplace.environment['PATH']}"}
    workplace.roster(workplace.agent("dev-qwen"), 'docker_host = "ssh://me@box"')
    workplace.up(environment=ssh)
    assert workplace.container("dev-qwen").id == made

    workplace.destroy(environment={**NOWHERE, **ssh})
    assert workplace.containers() == set()
