"""The Docker engine that `docker ps` uses is the one for everything, however it is reached."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificates
from docker_ways import answering_otherwise, ssh_program, tls_in_front
from workplace import Failed, Workplace

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
        told = workplace.muster(
            *("up", "--yes"),
            DOCKER_HOST=address,
            DOCKER_TLS_VERIFY="1",
            DOCKER_CERT_PATH=str(certificates),
        )
        assert "records a way to the Docker engine that does not work any more" in told
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


def without_limits(asked: str, answer: Any) -> tuple[int, Any] | None:  # noqa: ANN401 - JSON
    """Answer as Docker does where the kernel neither limits memory nor counts swap (20.10, 29)."""
    if answer is not None and asked == "GET /info":
        return 200, {**answer, "MemoryLimit": False, "SwapLimit": False}
    if answer is not None:
        limits = {"Memory": 0, "MemorySwap": -1}
        return 200, {**answer, "HostConfig": {**answer["HostConfig"], **limits}}
    return None


@pytest.mark.slow
def test_limits_that_an_engine_drops_are_no_change_for_ever(
    workplace: Workplace, socket: Path, tmp_path: Path
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    with answering_otherwise(socket, tmp_path / "docker.sock", without_limits) as address:
        engine = {"DOCKER_HOST": address}
        assert "this Docker engine cannot limit memory" in workplace.up(environment=engine)
        unchanged = ("--refresh", "--expect-no-changes", "--skip-preview", "--yes")
        workplace.pulumi("up", *unchanged, environment=engine)
        workplace.destroy(environment=engine)


def own_network(workplace: Workplace, muster: str) -> None:
    """Write a roster without agents, whose project has a network of its own."""
    workplace.roster("")
    head, _, _ = workplace.roster_path.read_text().partition("[muster]")
    workplace.roster_path.write_text(f"{head}[muster]\n{muster}\n")


def test_a_network_has_the_options_that_the_roster_names(workplace: Workplace) -> None:
    own_network(workplace, 'network_options = { "com.docker.network.driver.mtu" = 1400 }')
    workplace.up()
    [network] = workplace.networks()
    options = workplace.client.networks.get(network).attrs["Options"]
    assert options["com.docker.network.driver.mtu"] == "1400"
    assert workplace.preview("--refresh") == {}
    workplace.destroy()
    assert workplace.networks() == set()


NONE_LEFT = {
    "20.10": "could not find an available, non-overlapping IPv4 address pool among the defaults "
    "to assign to the network",
    "29": "all predefined address pools have been fully subnetted",
}
"""What Docker answers to a network that it has no addresses for, by version."""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["20.10", "29"])
def test_where_no_addresses_are_left_the_message_names_the_way_out(
    workplace: Workplace, socket: Path, tmp_path: Path, version: str
) -> None:
    def none_left(asked: str, _: object) -> tuple[int, Any] | None:
        answer = {"message": NONE_LEFT[version]}
        return (400, answer) if asked == "POST /networks/create" else None

    own_network(workplace, "")
    with (
        answering_otherwise(socket, tmp_path / "docker.sock", none_left) as address,
        pytest.raises(Failed) as error,
    ):
        workplace.up(environment={"DOCKER_HOST": address})
    diagnostics = str(error.value).partition("Diagnostics:")[2].splitlines()
    [shown] = [line for line in diagnostics if "docker network prune" in line]
    assert 'join an existing one ([muster] network = "NAME")' in shown
    assert NONE_LEFT[version] in shown
