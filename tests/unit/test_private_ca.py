"""The certificates of a private CA: what a `ca_file` may hold, and who trusts them."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificates, serving_tls
from declared import Secret, declare, project
from scripted_server import Answer, serving

from components.crew import Crew
from muster import compose, container, endpoint, preflight, private_ca
from muster.endpoint import Way
from muster.forge import Administrator, Basic, Forge, ForgeUnreachableError
from muster.keys import Keys
from muster.preflight import PreflightError

QWEN = '[agents.dev-qwen]\nbase_url = "http://10.0.0.5:8081"\nmodel = "qwen"\n'
FOLDER = "/run/secrets/muster"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no bundle in the environment, and no compose."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(compose, "COMMANDS", ())


# What the file holds


def test_certificates_are_taken_and_what_else_stands_there_is_left_out(
    ca: Path, tmp_path: Path
) -> None:
    own = (ca / "ca.pem").read_text()
    file = tmp_path / "ca.pem"
    file.write_text(f"# Die Zertifizierungsstelle für alle\r\n{own}\nthe end\n{own}")
    assert private_ca.read(file) == own * 2


def _der(ca: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert((ca / "ca.pem").read_text())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda _: b"", "contains no valid certificate in PEM form"),
        (_der, "contains no valid certificate in PEM form"),
        (
            lambda _: b"-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n",
            "contains no valid certificate in PEM form",
        ),
        (
            lambda ca: (ca / "ca.pem").read_bytes() + (ca / "ca-key.pem").read_bytes(),
            "contains a private key",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_the_preview_at_its_line(
    ca: Path, tmp_path: Path, content: Callable[[Path], bytes], message: str
) -> None:
    (tmp_path / "own.pem").write_bytes(content(ca))
    [found] = private_ca.problems(project(tmp_path, f'{QWEN}ca_file = "own.pem"\n').roster)
    line = f"{QWEN}ca_file".count("\n") + len(["name", "repo", "forge_url", "[muster]", ""]) + 1
    assert str(found).startswith(f'{tmp_path}/live.toml:{line}: agent "dev-qwen", ca_file: ')
    assert message in found.message
    assert "PRIVATE KEY" not in found.message


def test_a_missing_file_of_the_crew_is_reported_once_at_the_crews_line(tmp_path: Path) -> None:
    crew = f"{QWEN}{QWEN.replace('dev-qwen', 'second')}"
    [found] = private_ca.problems(project(tmp_path, crew, 'ca_file = "gone.pem"').roster)
    assert (found.line, found.field, found.agent) == (5, "muster.ca_file", None)
    assert found.message.startswith(f"{tmp_path}/gone.pem cannot be read (No such file")


def test_the_preflight_refuses_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    roster = project(tmp_path, QWEN, 'docker_host = "unix:///gone.sock"\nca_file = "gone"').roster
    with pytest.raises(PreflightError) as caught:
        preflight.inspect(
            roster,
            "live",
            forge_url="http://127.0.0.1:1",
            administrator=Administrator("root", "x"),
            keys=Keys(),
        )
    assert any("muster.ca_file" in each for each in caught.value.problems)


# Who trusts it


def _forge(_: object) -> Answer:
    return Answer(json={"version": "15.0.3"})


def test_the_forge_is_trusted_by_the_crews_file_and_by_no_other(ca: Path) -> None:
    with serving(_forge, serving_tls(ca)) as server, serving(_forge, serving_tls(ca)) as other:
        private_ca.trust_for_forge(server.url, ca / "ca.pem")
        assert Forge(server.url, Basic("root", "x")).version() == "15.0.3"
        with pytest.raises(ForgeUnreachableError, match="set ca_file under"):
            Forge(other.url, None).version()


def test_a_bundle_of_the_environment_is_trusted_beside_the_file(
    ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = make_certificates(tmp_path / "others")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(others / "ca.pem"))
    with serving(_forge, serving_tls(ca)) as server:
        private_ca.trust_for_forge(server.url, ca / "ca.pem")
        assert Forge(server.url, None).version() == "15.0.3"
    with serving(_forge, serving_tls(others)) as server:
        private_ca.trust_for_forge(server.url, ca / "ca.pem")
        assert Forge(server.url, None).version() == "15.0.3"


def test_a_file_that_is_gone_from_the_state_counts_as_none(tmp_path: Path) -> None:
    with serving(_forge) as server:
        private_ca.trust_for_forge(server.url.replace("http", "https"), tmp_path / "gone.pem")
        assert Forge(server.url, None).version() == "15.0.3"


def test_an_endpoint_is_probed_with_its_agents_file(ca: Path) -> None:
    def models(_: object) -> Answer:
        return Answer(json={"data": [{"id": "qwen"}]})

    with serving(models, serving_tls(ca)) as server:
        trusted = private_ca.read(ca / "ca.pem")
        assert endpoint.probe(server.url, "", "qwen", way=Way(trusted)).serves_model
        refused = endpoint.probe(server.url, "", "qwen")
    assert "its certificate is not trusted" in str(refused.error)


# What the agent gets


@pytest.mark.parametrize("credentials", ["file", "env"])
def test_an_agents_container_has_the_file_and_the_variables_that_name_it(
    tmp_path: Path, credentials: str
) -> None:
    found = project(tmp_path, f'{QWEN}ca_file = "ca.pem"\ncredentials = "{credentials}"\n')
    service = container.service(found, found.roster.agents["dev-qwen"])
    assert FOLDER in [mount.path for mount in service.mounts if mount.read_only]
    bundle = dict.fromkeys(
        ["CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"],
        f"{FOLDER}/ca-bundle.pem",
    )
    wanted = {"NODE_EXTRA_CA_CERTS": f"{FOLDER}/ca.pem", **bundle}
    assert wanted.items() <= service.environment.items()
    assert service.environment["MUSTER_ENV"].split(",") == sorted(wanted)


def test_a_variable_of_the_roster_wins_over_the_file(tmp_path: Path) -> None:
    own = 'env = {GIT_SSL_CAINFO = "/etc/own.pem"}\n'
    found = project(tmp_path, f'{QWEN}ca_file = "ca.pem"\n{own}')
    seen = container.environment(found, found.roster.agents["dev-qwen"])
    assert seen["GIT_SSL_CAINFO"] == "/etc/own.pem"


@pytest.mark.parametrize("credentials", ["file", "env"])
def test_the_file_is_delivered_and_another_content_is_a_change(
    ca: Path, tmp_path: Path, credentials: str
) -> None:
    def declared() -> dict[str, Any]:
        found = project(tmp_path, f'{QWEN}credentials = "{credentials}"\n', 'ca_file = "ca.pem"')
        crew = declare(lambda: Crew(found))
        assert crew["Container dev-qwen"].options["trigger"] == ["sha256:agent", "the-delivery"]
        for kind in ("BotUser", "BotPassword", "AccessToken", "RepositoryAccess", "TokenSweep"):
            assert crew[f"{kind} dev-qwen"].inputs["forge_ca"] == f"{tmp_path}/ca.pem"
        return crew["CredentialFiles dev-qwen"].inputs

    own = (ca / "ca.pem").read_text()
    (tmp_path / "ca.pem").write_text(own)
    first = declared()
    (tmp_path / "ca.pem").write_text(f"A comment.\n{own}")
    assert declared() == first
    (tmp_path / "ca.pem").write_text(own * 2)
    second = declared()
    assert first["ca_file"] == second["ca_file"] == f"{tmp_path}/ca.pem"
    assert first["ca"]["image"] == "sha256:agent"
    assert first["ca"]["sha256"] != second["ca"]["sha256"]
    assert isinstance(first["files"], Secret)
    assert ("forge_token" in first["files"].value) == (credentials == "file")


def test_the_bundle_has_the_systems_roots_and_the_files_certificates(
    ca: Path, tmp_path: Path
) -> None:
    own = (ca / "ca.pem").read_text()
    others = (make_certificates(tmp_path / "others") / "ca.pem").read_text()
    files = private_ca.files(own, ["# roots", *others.splitlines()])
    assert files == {"ca.pem": own, "ca-bundle.pem": others + own}
    (tmp_path / "bundle").write_text(files["ca-bundle.pem"])
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", tmp_path / "bundle", ca / "server.pem"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith(": OK\n")
