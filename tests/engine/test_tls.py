"""A forge and an endpoint behind TLS whose certificates only a private CA has signed."""

from pathlib import Path

import bridge
from certificates import make_certificates, serving_tls
from crew import bash, says, until
from scripted_endpoint import ContainersEndpoint
from wire import Wire
from workplace import Workplace

from muster.forge import Basic, WorkForge

FOLDER = "/run/secrets/muster"
SCRIPT = {
    "window": 65536,
    "slots": 1,
    "plays": [{"when": "Say hello", "steps": [bash("echo hello > hello"), says("Done.")]}],
}
ROSTER = """\
name = "{name}"
repo = "{repo}"
forge_url = "{forge}"
[muster]
ca_file = "ca.pem"
network = "{network}"
forge_internal_url = "{inside}"
[muster.work]
network = "open"
setup = [
    "git -c http.extraHeader='Authorization: Basic {login}' ls-remote {inside}/{repo}",
    "python3 -c 'from urllib import request; request.urlopen(\\"{inside}\\")'",
]
{agent}
"""


def test_an_agent_and_muster_trust_the_crews_private_ca(
    workplace: Workplace, tmp_path: Path
) -> None:
    """Git, the project's commands, Claude Code's gateway, and Muster's own calls to the forge."""
    place, host = workplace, bridge.address(workplace.client)
    names = ("DNS:host.docker.internal", f"IP:{host}")
    certificates = make_certificates(tmp_path / "certificates", *names)
    own = (certificates / "ca.pem").read_text()
    file = place.folder / "stacks" / "ca.pem"
    file.write_text(own)
    keeper = place.server.administrator.basic
    assert isinstance(keeper, Basic)
    forge = WorkForge(place.server.url, keeper, place.repo)
    forge.ensure_label("backlog", "0e8a16", "")
    forge.create_issue("Say hello", "Please.", ["backlog"])
    tls = serving_tls(certificates)
    with (
        ContainersEndpoint(place.client, SCRIPT) as scripted,
        Wire(f"http://{host}:{scripted.port}", host, tls) as endpoint,
        Wire(place.server.url, host, tls) as behind,
    ):
        place.roster_path.write_text(
            ROSTER.format(
                name=place.name,
                repo=place.repo,
                forge=behind.url_at(host),
                network=place.server.network,
                inside=behind.url,
                login=keeper.header.removeprefix("Basic "),
                agent=place.agent("dev", base_url=endpoint.url, credentials="env"),
            )
        )
        place.up()
        pull = until(lambda: next(iter(forge.pulls()), None), "a pull request")
        assert forge.file("hello", pull.head_sha) == b"hello\n"
        listed = place.container("dev").exec_run(f"stat -c '%n %a' {FOLDER}/ca.pem", user="9")
        assert listed.output.decode() == f"{FOLDER}/ca.pem 444\n"

        file.write_text(own * 2)
        changed = {"update": ["CredentialFiles dev"], "replace": ["Container dev"]}
        assert place.preview() == changed
        place.destroy()
