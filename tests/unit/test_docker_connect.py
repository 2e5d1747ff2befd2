"""Connections to Docker engines: TLS, SSH, and what answers there."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificates
from declared import project
from docker_ways import demanding
from scripted_server import Answer, Request, Server, serving

from components.docker_place import OtherEngineError, engine
from muster import docker, docker_engine, preflight
from muster.docker import DockerError
from muster.docker_engine import DockerEngine
from muster.docker_host import DockerHost
from muster.docker_ssh import Ssh
from muster.forge import Administrator
from muster.keys import Keys
from muster.preflight import PreflightError

QWEN = '[agents.dev-qwen]\nbase_url = "http://host.docker.internal:8081"\nmodel = "qwen"\n'

ENGINE: dict[str, object] = {
    "Platform": {"Name": ""},
    "Components": [{"Name": "Engine", "Version": "29.0.1"}],
}
NOWHERE = "unix:///nowhere/docker.sock"
PODMAN: dict[str, object] = {"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]}
"""As Podman 4.3.1 answers /version."""


class Engine:
    """Answers as an engine does when it is asked what it is."""

    def __init__(
        self, id_: str = "one", version: dict[str, object] | None = None, **info: object
    ) -> None:
        self._version = {"ApiVersion": "1.44", "Version": "29.0.1", **(version or ENGINE)}
        self._info = {"ID": id_, **info}

    def __call__(self, request: Request) -> Answer:
        path = request.path.rpartition("/")[2]
        if path == "_ping":
            return Answer(body=b"OK")
        return Answer(json=self._version if path == "version" else self._info)


def tcp(server: Server) -> str:
    return f"tcp://127.0.0.1:{server.port}"


def described(host: DockerHost) -> DockerEngine:
    with docker.in_use(docker.connect_to(host)) as client:
        return docker_engine.describe(client)


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_an_engine_behind_tls_is_reached_with_its_certificates(certificates: Path) -> None:
    with serving(Engine(), tls=demanding(certificates)) as server:
        assert described(DockerHost(tcp(server), certificates=certificates)).id == "one"
        with pytest.raises(DockerError):
            described(DockerHost(tcp(server)))


def test_an_engine_with_a_certificate_of_somebody_else_is_refused(
    certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever authorities this machine trusts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "ca.pem"))
    others = make_certificates(tmp_path / "others")
    with (
        serving(Engine(), tls=demanding(certificates)) as server,
        pytest.raises(DockerError) as error,
    ):
        described(DockerHost(tcp(server), certificates=others))
    assert "certificate verify failed" in str(error.value)


def test_an_engine_on_loopback_is_reached_without_a_proxy(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(Engine()) as server:
        assert described(DockerHost(tcp(server))).id == "one"
    with serving(Engine(), tls=demanding(certificates)) as server:
        assert described(DockerHost(tcp(server), certificates=certificates)).id == "one"


# SSH

SSH = """\
#!{python}
import os, socket, sys, threading
with open({log!r}, "a") as log:
    print(*sys.argv[1:], sep="|", file=log)
if "locked" in sys.argv:
    sys.exit("Warning: added a host.\\nme@locked: Permission denied (publickey).")
engine = socket.create_connection(("127.0.0.1", {port}))
def pump(read, write, end):
    while data := read(65536):
        write(data)
    end()
back = lambda data: os.write(1, data)
threading.Thread(target=pump, args=(engine.recv, back, lambda: os._exit(0)), daemon=True).start()
pump(lambda size: os.read(0, size), engine.sendall, lambda: engine.shutdown(socket.SHUT_WR))
threading.Event().wait()
"""
"""Plays ssh, and `docker system dial-stdio` on the other machine."""


@contextmanager
def ssh_to(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have `ssh` lead to a server; yields the file with the words that it was called with."""
    program, log = folder / "ssh", folder / "called"
    program.write_text(SSH.format(python=sys.executable, log=str(log), port=server.port))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    yield log


def test_an_engine_over_ssh_is_reached_by_the_ssh_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Engine()) as server, ssh_to(server, tmp_path, monkeypatch) as called:
        assert described(DockerHost("ssh://me@box:2222")).id == "one"
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-T"]
    words = [*options, "-l", "me", "-p", "2222", "--", "box", "docker system dial-stdio"]
    assert called.read_text().splitlines() == ["|".join(words)]  # one connection serves all calls


def test_what_ssh_complains_about_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serving(Engine()) as server,
        ssh_to(server, tmp_path, monkeypatch),
        pytest.raises(DockerError) as error,
    ):
        docker.connect_to(DockerHost("ssh://me@locked", "DOCKER_HOST"))
    assert str(error.value) == (
        "Docker is unreachable (ssh://me@locked, DOCKER_HOST): me@locked: Permission denied "
        "(publickey). docker --host ssh://me@locked version must work without asking for "
        "anything, or name another engine with DOCKER_HOST or [muster] docker_host"
    )


def test_without_an_ssh_program_that_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DockerError, match="No such file or directory"):
        docker.connect_to(DockerHost("ssh://box"))


def test_a_path_in_an_ssh_address_is_the_other_machines_socket() -> None:
    command = Ssh("ssh://box/run/user/1000/my docker.sock").command
    assert command[-2:] == [
        "box",
        "docker '--host=unix:///run/user/1000/my docker.sock' system dial-stdio",
    ]


# What answers


def test_an_engine_says_what_it_can_limit() -> None:
    lacking = Engine(
        SecurityOptions=["name=seccomp,profile=builtin", "name=rootless"],
        MemoryLimit=True,
        SwapLimit=False,
        CpuCfsQuota=True,
        PidsLimit=False,
    )
    with serving(lacking) as server:
        assert described(DockerHost(tcp(server))) == DockerEngine(
            "one", is_rootless=True, limits_swap=False, limits_pids=False
        )


def test_docker_is_not_refused() -> None:
    with serving(Engine()) as server, docker.engine(tcp(server)) as client:
        docker_engine.refuse_other_engines(client)


def test_podman_is_refused_by_name() -> None:
    with (
        serving(Engine(version=PODMAN)) as server,
        docker.engine(tcp(server)) as client,
        pytest.raises(DockerError) as error,
    ):
        docker_engine.refuse_other_engines(client)
    assert str(error.value).startswith("this is Podman 4.3.1, not Docker: Muster needs Docker")


def test_the_preflight_refuses_podman_before_it_asks_for_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "PATIENCE", 0)
    with serving(Engine(version=PODMAN)) as server, pytest.raises(PreflightError) as error:
        preflight.inspect(
            project(tmp_path, QWEN, f'docker_host = "{tcp(server)}"').roster,
            "live",
            forge_url="http://127.0.0.1:9",
            administrator=Administrator("root", "Admin-Pass-1"),
            keys=Keys(),
        )
    assert error.value.problems[0].startswith("this is Podman 4.3.1")
    assert {request.path.rpartition("/")[2] for request in server.requests} == {"_ping", "version"}


def warned(
    folder: Path, engine: DockerEngine, muster: str = "", host: str = "unix://"
) -> list[str]:
    roster = project(folder, QWEN, muster).roster
    return [str(each) for each in docker_engine.warnings(DockerHost(host), engine, roster)]


def test_a_common_engine_gives_nothing_to_warn_of(tmp_path: Path) -> None:
    assert warned(tmp_path, DockerEngine("one", limits_swap=False)) == []


def test_a_rootless_engine_warns_of_addresses_that_do_not_lead_here(tmp_path: Path) -> None:
    rootless = DockerEngine("one", is_rootless=True)
    forge = 'forge_internal_url = "http://host.docker.internal:3000"'
    endpoint, inside = warned(tmp_path, rootless, forge)
    assert 'agent "dev-qwen", base_url: this Docker engine is rootless' in endpoint
    assert "e.g. http://192.168.1.5:8081" in endpoint
    assert "muster.forge_internal_url: this Docker engine is rootless" in inside
    assert f"{tmp_path}/live.toml:5: " in inside


def test_limits_that_an_engine_drops_are_named(tmp_path: Path) -> None:
    (told,) = warned(tmp_path, DockerEngine("one", limits_memory=False, limits_cpus=False))
    assert "muster.memory: this Docker engine cannot limit memory, cpus, so the agents" in told


def test_a_local_forge_on_another_machine_needs_a_forwarded_port(tmp_path: Path) -> None:
    (told,) = warned(tmp_path, DockerEngine("one"), "local_forge = true", "ssh://me@box")
    assert "muster.local_forge: the Docker engine is on another machine" in told


# Which engine a resource is on


def place(address: str | None, id_: str | None = "one") -> dict[str, Any]:
    return {"docker_host": address, "docker_certificates": None, "docker_engine": id_}


def test_a_resource_is_found_by_the_way_that_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    with serving(Engine()) as server, engine(place(tcp(server))) as client:
        assert client.ping()


def test_a_resource_is_found_by_the_way_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded way may be another machine's, or lead to another engine by now."""
    with serving(Engine()) as server, serving(Engine("another")) as other:
        monkeypatch.setenv("DOCKER_HOST", tcp(server))
        for recorded in (tcp(other), NOWHERE, None):
            with engine(place(recorded)) as client:
                assert docker_engine.describe(client).id == "one"


def test_another_engine_is_not_mistaken_for_the_crews(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Engine("another")) as other:
        monkeypatch.setenv("DOCKER_HOST", tcp(other))
        with pytest.raises(DockerError, match="unreachable"), engine(place(NOWHERE)):
            pass
        with pytest.raises(OtherEngineError), engine(place(tcp(other))):
            pass


def test_a_resource_that_never_recorded_its_engine_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(Engine()) as server:
        monkeypatch.setenv("DOCKER_HOST", tcp(server))
        with engine({"docker_host": None}) as client:
            assert client.ping()
