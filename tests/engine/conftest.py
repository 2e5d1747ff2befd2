"""A real forge, a real engine and real Docker for every test, each with its own names."""

import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from crew import Crew
from forge_server import ForgeServer
from strict_forge import StrictForge
from workplace import Workplace

from muster.docker import engine
from muster.forge import Administrator, Forge


def pytest_configure() -> None:
    """Take Ctrl-C as a terminal's programs do, however the tests were started.

    A shell without job control starts a program in the background with SIGINT ignored, and all that
    the program starts inherits that: a test's Ctrl-C would have no effect.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The engine that `docker ps` uses."""
    with engine(None) as client:
        yield client


@pytest.fixture(scope="session")
def server(docker_client: docker.DockerClient) -> Iterator[ForgeServer]:
    """A forge in a container of its own, for all tests of a run."""
    with ForgeServer(docker_client) as started:
        yield started


@pytest.fixture
def forge_url(server: ForgeServer) -> str:
    return server.url


@pytest.fixture
def administrator(server: ForgeServer) -> Administrator:
    return server.administrator


@pytest.fixture
def forge(server: ForgeServer) -> Forge:
    """The forge, spoken to with the administrator's name and password."""
    return Forge(server.url, server.administrator.basic)


@pytest.fixture
def workplace(
    server: ForgeServer, docker_client: docker.DockerClient, tmp_path: Path
) -> Iterator[Workplace]:
    """A project of its own: folder, state, repository, stack; nothing of it is left behind."""
    with Workplace(tmp_path, server, docker_client, f"t{secrets.token_hex(3)}") as made:
        yield made


@pytest.fixture
def strict_workplace(workplace: Workplace) -> Iterator[Workplace]:
    """A project whose administrator has a PAT only, at a forge that takes none for minting."""
    with StrictForge(workplace.server.url) as proxy:
        workplace.forge_url = proxy.url
        del workplace.environment["FORGE_ADMIN_USER"], workplace.environment["FORGE_ADMIN_PASS"]
        yield workplace


@pytest.fixture
def second_workplace(
    server: ForgeServer,
    docker_client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workplace]:
    """A second project beside the first."""
    folder = tmp_path_factory.mktemp("second")
    with Workplace(folder, server, docker_client, f"t{secrets.token_hex(3)}") as made:
        yield made


@pytest.fixture
def crew(server: ForgeServer, docker_client: docker.DockerClient) -> Iterator[Crew]:
    """A repository, and agents to be hired for it; nothing of it is left behind."""
    with Crew(docker_client, server) as made:
        yield made
        made.show_logs()
