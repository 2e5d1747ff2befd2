"""Which Docker engine is used: the rules of Docker's command line, with what Muster refuses."""

import hashlib
import json
from pathlib import Path

import pytest

from muster.docker_host import DockerHost, DockerHostError, resolve

PEMS = ("ca.pem", "cert.pem", "key.pem")


class Home:
    """A home folder with Docker's configuration."""

    def __init__(self, folder: Path) -> None:
        self.docker = folder / ".docker"
        self.docker.mkdir()
        self.variables = {"HOME": str(folder)}

    def use(self, context: str) -> None:
        (self.docker / "config.json").write_text(json.dumps({"currentContext": context}))

    def context(self, name: str, endpoint: dict[str, object] | None, *pems: str) -> Path:
        """Make a context as `docker context create` does; return the folder of its certificates."""
        key = hashlib.sha256(name.encode()).hexdigest()
        meta = self.docker / "contexts" / "meta" / key
        meta.mkdir(parents=True)
        endpoints = {} if endpoint is None else {"docker": endpoint}
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": endpoints}))
        certificates = self.docker / "contexts" / "tls" / key / "docker"
        return certificates_in(certificates, *pems) if pems else certificates

    def resolved(self, named: str | None = None, **variables: str) -> DockerHost:
        return resolve(named, {**self.variables, **variables})

    def refused(self, named: str | None = None, **variables: str) -> str:
        with pytest.raises(DockerHostError) as error:
            self.resolved(named, **variables)
        return str(error.value)


def certificates_in(folder: Path, *pems: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for pem in pems or PEMS:
        (folder / pem).write_text("a certificate")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# Who names the engine


def test_without_any_setting_it_is_the_local_socket(home: Home) -> None:
    assert home.resolved().address == "unix:///var/run/docker.sock"


def test_the_current_context_is_followed(home: Home) -> None:
    home.context("colima", {"Host": "unix:///home/me/.colima/docker.sock"})
    home.use("colima")
    found = home.resolved()
    assert found.address == "unix:///home/me/.colima/docker.sock"
    assert found.source == f'context "colima", current in {home.docker}/config.json'


def test_each_setting_wins_over_the_next(home: Home) -> None:
    for name in ("one", "two"):
        home.context(name, {"Host": f"unix:///{name}.sock"})
    home.use("one")
    context = {"DOCKER_CONTEXT": "two"}
    host = {**context, "DOCKER_HOST": "unix:///three.sock"}
    assert home.resolved().address == "unix:///one.sock"
    assert home.resolved(**context).address == "unix:///two.sock"
    assert home.resolved(**host).address == "unix:///three.sock"
    assert home.resolved("unix:///four.sock", **host).address == "unix:///four.sock"


def test_the_default_context_is_none(home: Home) -> None:
    home.context("one", {"Host": "unix:///one.sock"})
    home.use("one")
    found = home.resolved(DOCKER_CONTEXT="default")
    assert found.address == "unix:///var/run/docker.sock"


def test_empty_variables_name_nothing(home: Home) -> None:
    home.context("one", {"Host": "unix:///one.sock"})
    home.use("one")
    empty = {"DOCKER_HOST": "", "DOCKER_CONTEXT": "", "DOCKER_TLS_VERIFY": "", "DOCKER_CONFIG": ""}
    assert home.resolved(**empty).address == "unix:///one.sock"


def test_docker_config_names_the_folder(home: Home, tmp_path: Path) -> None:
    home.context("one", {"Host": "unix:///one.sock"})
    home.use("one")
    moved = home.docker.rename(tmp_path / "elsewhere")
    assert home.resolved(DOCKER_CONFIG=str(moved)).address == "unix:///one.sock"
    assert home.resolved().address == "unix:///var/run/docker.sock"


@pytest.mark.parametrize("text", ["{", "[]", '{"currentContext": 1}', "{}"])
def test_a_configuration_that_names_no_context_is_ignored(home: Home, text: str) -> None:
    (home.docker / "config.json").write_text(text)
    assert home.resolved().address == "unix:///var/run/docker.sock"


def test_a_context_that_is_gone_is_named(home: Home) -> None:
    home.use("gone")
    assert 'Docker context "gone", current in ' in home.refused()
    assert 'Docker context "other", DOCKER_CONTEXT: not found' in home.refused(
        DOCKER_CONTEXT="other"
    )


def test_a_context_for_something_else_is_refused(home: Home) -> None:
    home.context("cluster", None)
    assert "has no Docker endpoint" in home.refused(DOCKER_CONTEXT="cluster")


# Addresses


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("unix://", "unix:///var/run/docker.sock"),
        (" unix:///srv/docker.sock ", "unix:///srv/docker.sock"),
        ("tcp://10.0.0.5", "tcp://10.0.0.5:2375"),
        ("10.0.0.5:2375", "tcp://10.0.0.5:2375"),
        ("tcp://[fd00::5]:2375", "tcp://[fd00::5]:2375"),
        ("ssh://me@box", "ssh://me@box"),
        (
            "ssh://me@box:2222/run/user/1000/docker.sock",
            "ssh://me@box:2222/run/user/1000/docker.sock",
        ),
    ],
)
def test_an_address_is_written_in_full(home: Home, written: str, address: str) -> None:
    found = home.resolved(DOCKER_HOST=written)
    assert (found.address, found.certificates) == (address, None)


@pytest.mark.parametrize("written", ["http://10.0.0.5", "fd://3", "ssh://"])
def test_what_is_no_address_is_refused(home: Home, written: str) -> None:
    assert home.refused(DOCKER_HOST=written).startswith(f'DOCKER_HOST: "{written}" is not the')


def test_an_address_with_a_port_that_is_none_is_refused(home: Home) -> None:
    assert "has no valid port" in home.refused(DOCKER_HOST="tcp://10.0.0.5:docker")


def test_a_password_in_an_address_is_refused_and_not_shown(home: Home) -> None:
    told = home.refused(DOCKER_HOST="ssh://me:hunter22@box")
    assert "cannot hold a password" in told
    assert "hunter22" not in told


# TLS


def test_tls_is_what_docker_tls_verify_says(home: Home, tmp_path: Path) -> None:
    """pulumi-docker and the SDK spoke plain HTTP to this address."""
    folder = certificates_in(tmp_path / "certs")
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
    found = home.resolved(DOCKER_HOST="tcp://10.0.0.5", **tls)
    assert (found.address, found.certificates) == ("tcp://10.0.0.5:2376", folder)
    assert home.resolved("tcp://10.0.0.6:2376", **tls).certificates == folder
    assert home.resolved(**tls).address == "tcp://127.0.0.1:2376"


def test_certificates_are_docker_s_own_by_default(home: Home) -> None:
    certificates_in(home.docker)
    found = home.resolved(DOCKER_HOST="tcp://10.0.0.5:2376", DOCKER_TLS_VERIFY="1")
    assert found.certificates == home.docker


def test_a_folder_of_certificates_alone_is_no_tls(home: Home, tmp_path: Path) -> None:
    """pulumi-docker would use it, even for a socket."""
    folder = str(certificates_in(tmp_path / "certs"))
    for host in ("tcp://10.0.0.5:2375", "unix:///srv/docker.sock"):
        assert home.resolved(DOCKER_HOST=host, DOCKER_CERT_PATH=folder).certificates is None


@pytest.mark.parametrize("host", ["unix:///srv/docker.sock", "ssh://me@box"])
def test_a_socket_or_ssh_uses_no_tls(home: Home, host: str) -> None:
    assert home.resolved(DOCKER_HOST=host, DOCKER_TLS_VERIFY="1").certificates is None


def test_missing_certificates_are_named(home: Home, tmp_path: Path) -> None:
    folder = certificates_in(tmp_path / "certs", "ca.pem")
    told = home.refused(
        DOCKER_HOST="tcp://10.0.0.5:2376", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(folder)
    )
    assert f"{folder} has no cert.pem, key.pem" in told
    assert "set DOCKER_CERT_PATH" in told


def test_tls_without_verification_is_refused(home: Home) -> None:
    told = home.refused(DOCKER_HOST="tcp://10.0.0.5:2376", DOCKER_TLS="1")
    assert "without verifying the server's certificate" in told
    assert "DOCKER_TLS_VERIFY=1" in told


def test_a_context_brings_its_certificates(home: Home) -> None:
    certificates = home.context("box", {"Host": "tcp://10.0.0.5:2376"}, *PEMS)
    found = home.resolved(DOCKER_CONTEXT="box", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH="/nowhere")
    assert (found.address, found.certificates) == ("tcp://10.0.0.5:2376", certificates)


def test_a_context_without_certificates_uses_no_tls(home: Home) -> None:
    home.context("box", {"Host": "tcp://10.0.0.5:2375", "SkipTLSVerify": False})
    assert home.resolved(DOCKER_CONTEXT="box", DOCKER_TLS_VERIFY="1").certificates is None


def test_a_context_with_half_of_its_certificates_is_refused(home: Home) -> None:
    home.context("box", {"Host": "tcp://10.0.0.5:2376"}, "ca.pem")
    assert "has no cert.pem, key.pem" in home.refused(DOCKER_CONTEXT="box")


def test_a_context_that_skips_verification_is_refused(home: Home) -> None:
    home.context("box", {"Host": "tcp://10.0.0.5:2376", "SkipTLSVerify": True})
    told = home.refused(DOCKER_CONTEXT="box")
    assert 'docker context update box --docker "host=tcp://10.0.0.5:2376' in told


@pytest.mark.parametrize(
    ("address", "remote"),
    [
        ("unix:///srv/docker.sock", False),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://10.0.0.5:2375", True),
        ("ssh://me@box", True),
    ],
)
def test_an_engine_on_another_machine_is_known_by_its_address(
    address: str, *, remote: bool
) -> None:
    assert DockerHost(address).is_remote == remote
