"""`muster doctor`: each check is made to fail, and mended as the report says."""

import json
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from asking import api_status, wait_until
from forge_server import ForgeServer
from model_server import Model
from strict_forge import StrictForge
from workplace import ROOT, Workplace

from muster.accounts import full_name_of, mark_of
from muster.credentials import new_password
from muster.forge import AccessToken
from muster.names import labels
from toolchain.environment import COMMAND


@dataclass
class Report:
    """What the doctor said."""

    code: int
    lines: Sequence[Mapping[str, Any]]
    printed: str

    def of(self, name: str) -> list[tuple[bool | None, str, str]]:
        """Return what a check found."""
        found = [line for line in self.lines if line["name"] == name]
        return [(line["ok"], line["message"], line["mend"]) for line in found]

    def wrong(self, name: str) -> list[tuple[str, str]]:
        """Return a check's problems: what is wrong, and what mends it."""
        return [(message, mend) for ok, message, mend in self.of(name) if ok is False]

    def mended(self, name: str) -> list[str]:
        return [message for ok, message, _ in self.of(name) if message.startswith("mended: ")]

    @property
    def troubled(self) -> set[str]:
        """The checks that found something wrong."""
        return {line["name"] for line in self.lines if line["ok"] is False}

    @property
    def not_asked(self) -> dict[str, str]:
        return {line["name"]: line["message"] for line in self.lines if line["ok"] is None}


def typed(
    place: Workplace, command: str, environment: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Type a line into a shell in the project's folder; None takes a variable away."""
    changed = {**place.environment, **(environment or {})}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place.folder,
        env={name: value for name, value in changed.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=place.patience,
    )


def doctor(
    place: Workplace,
    *options: str,
    environment: Mapping[str, str | None] | None = None,
    command: str = "muster",
) -> Report:
    done = typed(place, f"{command} doctor --json {' '.join(options)}", environment)
    assert done.stdout, done.stderr
    return Report(done.returncode, json.loads(done.stdout)["checks"], done.stdout + done.stderr)


@pytest.fixture(scope="module")
def model(docker_client: docker.DockerClient) -> Model:
    return Model(docker_client)


@pytest.fixture(scope="module")
def crew(
    server: ForgeServer,
    docker_client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
    model: Model,
) -> Iterator[Workplace]:
    """A crew of two agents that was hired; each test leaves it as it found it."""
    folder = tmp_path_factory.mktemp("crew")
    with Workplace(folder, server, docker_client, f"t{secrets.token_hex(3)}") as made:
        # The model server does not report its window, without which agents do not work.
        settings = {"base_url": model.url, "context_window": 65536}
        agents = [made.agent(name, **settings) for name in ("dev-qwen", "review-qwen")]
        made.roster("".join(agents))
        made.up()
        yield made


def test_a_crew_that_is_well_is_told_so_without_a_secret(crew: Workplace, model: Model) -> None:
    with model.serving():
        done = typed(crew, "muster doctor")

    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    warned = [line for line in lines if not line.startswith("ok ")]
    assert [line.split()[:2] for line in warned] == [["warn", "branch"]]
    assert list(dict.fromkeys(line[6:20].strip() for line in lines)) == [
        *("toolchain", "stack", "docker", "forge", "administrator", "roster", "endpoint"),
        *("repository", "branch", "containers", "agents", "clocks", "killed runs", "leftovers"),
    ]
    assert "tokens are minted by the administrator's PAT, as a password" in done.stdout
    assert (
        f"{model.url} (dev-qwen, review-qwen): llama-server, serves a-model under any name, "
        f"1 slot, seen from network {crew.server.network}"
    ) in done.stdout
    assert "\x1b" not in done.stdout
    secret = [crew.token("dev-qwen"), crew.password("dev-qwen")]
    secret += [crew.environment[name] for name in ("FORGE_ADMIN_PASS", "FORGE_ADMIN_PAT")]
    assert not [each for each in secret if each in done.stdout + done.stderr]


def test_a_checkout_that_was_not_set_up_is_told_to_be(crew: Workplace, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for part in ("muster", "toolchain"):
        shutil.copytree(ROOT / part, checkout / part)
    for file in ("requirements.txt", "requirements.lock"):
        shutil.copy(ROOT / file, checkout)
    command = checkout / "muster-command"
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)

    report = doctor(crew, command=str(command), environment={"PYTHONPATH": str(checkout)})

    assert {mend for _, mend in report.wrong("toolchain")} == {f"make -C {checkout} setup"}
    assert report.not_asked["stack"] == "not asked: the toolchain is not complete"
    assert report.not_asked["forge"] == "not asked: no stack is known"
    assert report.troubled == {"toolchain"}


def test_what_depends_on_a_problem_is_not_asked_and_says_why(crew: Workplace, model: Model) -> None:
    unfit: dict[str, str | None] = {
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
        "FORGE_ADMIN_PAT": "0" * 40,
    }
    report = doctor(crew, environment=unfit)

    [(message, unset)] = report.wrong("docker")
    assert "Docker is unreachable" in message
    assert report.not_asked["endpoint"] == "not asked: Docker is unreachable"
    [(message, another)] = report.wrong("administrator")
    assert "does not let the administrator's credentials" in message
    assert report.not_asked["repository"] == "not asked: the forge lets no administrator in"
    assert (report.troubled, report.code) == ({"docker", "administrator"}, 1)

    with model.serving():
        pat = crew.environment["FORGE_ADMIN_PAT"]
        line = f"printf '%s\\n' {pat} | ({unset} && {another} && muster doctor)"
        done = typed(crew, line, unfit)
    assert done.returncode == 0, done.stdout


def test_no_credentials_and_another_passphrase_are_told(crew: Workplace) -> None:
    nobody = dict.fromkeys(("FORGE_ADMIN_USER", "FORGE_ADMIN_PASS", "FORGE_ADMIN_PAT"))
    [(message, mend)] = doctor(crew, environment=nobody).wrong("administrator")
    assert "no credentials of the forge's administrator" in message
    assert mend == "read -rs FORGE_ADMIN_PAT && export FORGE_ADMIN_PAT"

    report = doctor(crew, environment={"PULUMI_CONFIG_PASSPHRASE": "another"})
    [(message, mend)] = report.wrong("stack")
    assert "passphrase" in message
    assert mend == "read -rs PULUMI_CONFIG_PASSPHRASE && export PULUMI_CONFIG_PASSPHRASE"
    assert report.not_asked["repository"] == "not asked: the stack's state cannot be read"
    assert {"docker", "forge", "administrator", "roster"}.isdisjoint(report.troubled)
    passphrase = crew.environment["PULUMI_CONFIG_PASSPHRASE"]
    line = f"printf '%s\\n' '{passphrase}' | ({mend} && muster doctor --json)"
    mended = json.loads(typed(crew, line, {"PULUMI_CONFIG_PASSPHRASE": "another"}).stdout)
    assert [each["ok"] for each in mended["checks"] if each["name"] == "stack"] == [True]


def test_a_mistake_in_the_roster_is_opened_in_the_editor(crew: Workplace, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "$1"\nsed -i s/poll_intervall/poll_interval/ "$2"\n')
    editor.chmod(0o755)
    written = crew.roster_path.read_text()
    crew.roster_path.write_text(written.replace("poll_interval", "poll_intervall", 1))
    line = written[: written.index("poll_interval")].count("\n") + 1

    report = doctor(crew)

    [(message, mend)] = report.wrong("roster")
    assert f'{crew.name}.toml:{line}: agent "dev-qwen", poll_intervall: "poll_int' in message
    assert mend == f"${{EDITOR:-vi}} +{line} stacks/{crew.name}.toml"
    assert report.not_asked["endpoint"] == "not asked: the roster is wrong"
    assert report.troubled == {"roster"}
    assert typed(crew, mend, {"EDITOR": str(editor)}).stdout == f"+{line}\n"
    assert crew.roster_path.read_text() == written


def test_what_the_roster_names_has_to_be_there(crew: Workplace) -> None:
    written = crew.roster_path.read_text()
    text = written.replace(f'network = "{crew.server.network}"', f'network = "{crew.name}-net"')
    other = crew.agent("other", image="muster-none:1", forge_user="keeper")
    crew.roster_path.write_text(text + other)
    network = f"{crew.name}-net"
    try:
        found = doctor(crew).wrong("roster")
        assert typed(crew, f"docker network create {network}").returncode == 0
        mended = doctor(crew).wrong("roster")
    finally:
        crew.roster_path.write_text(written)
        for made in crew.client.networks.list(names=[network]):
            made.remove()

    messages, mends = [message for message, _ in found], [mend for _, mend in found]
    assert 'agent "other", image: image muster-none:1 is not on this engine' in messages[0]
    assert f"network: there is no Docker network {network}" in messages[1]
    assert [message for message, _ in mended] == [messages[0], messages[2]]
    assert 'agent "other", forge_user: user keeper is an administrator' in messages[2]
    assert mends[:2] == ["docker pull muster-none:1", f"docker network create {network}"]
    assert mends[2].startswith("${EDITOR:-vi} +")


def test_an_endpoint_is_asked_once_and_from_inside_the_agents_network(
    crew: Workplace, model: Model
) -> None:
    report = doctor(crew)
    [(message, mend)] = report.wrong("endpoint")
    assert f'agent "dev-qwen", base_url: {model.url} (dev-qwen, review-qwen)' in message
    assert f": does not answer inside network {crew.server.network}: Connection refused" in message
    assert mend == f"llama-server --host 0.0.0.0 --port {model.port}"
    assert report.troubled == {"endpoint"}

    written, loading = crew.roster_path.read_text(), Model(crew.client)
    text = written.replace(model.url, loading.url, 1)
    # Where an agent's image has no Python to ask with, Muster's own asks.
    section = "[agents.dev-qwen]\n"
    crew.roster_path.write_text(text.replace(section, f'{section}image = "muster-forge"\n'))
    try:
        with model.serving("127.0.0.1"), loading.serving(status=503):
            [(first, again), (second, start)] = doctor(crew).wrong("endpoint")
    finally:
        crew.roster_path.write_text(written)
    assert f"{loading.url} (dev-qwen): the endpoint is loading its model; wait" in first
    assert again == "muster doctor"
    assert f"{model.url} (review-qwen): does not answer inside" in second
    assert "it listens on loopback alone" in second
    assert start == mend

    with model.serving():
        report = doctor(crew, "--ask-model")
    assert report.wrong("endpoint") == []
    assert any('a-model replied "ready" in ' in message for _, message, _ in report.of("endpoint"))
    assert crew.containers() == {"agents-dev-qwen", "agents-review-qwen"}


def test_an_agent_that_lost_its_access_gets_it_back_by_an_update(
    crew: Workplace, model: Model
) -> None:
    user, other = crew.user("dev-qwen"), crew.user("review-qwen")
    crew.forge.revoke_token(user, crew.resource("AccessToken", "dev-qwen")["outputs"]["token_id"])
    crew.forge.remove_collaborator(crew.repo, other)
    crew.container("review-qwen").stop(timeout=1)
    _make_unhealthy(crew, "dev-qwen")
    mend = f"muster up --stack {crew.name}"

    with model.serving():
        report = doctor(crew, "--stack", crew.name)
        refused = 'agent "dev-qwen": the forge does not take its token: it was revoked there'
        shut_out = f'agent "review-qwen": bot user {other} may not write to {crew.repo}'
        assert report.wrong("repository") == [(refused, mend), (shut_out, mend)]
        ill, stopped = report.wrong("containers")
        name = crew.container_name("dev-qwen")
        assert ill == (
            f'agent "dev-qwen": container {name} is not in health: out of order',
            f"muster logs dev-qwen --stack {crew.name}",
        )
        name = crew.container_name("review-qwen")
        assert stopped == (
            f'agent "review-qwen": container {name} does not run: it is exited',
            mend,
        )
        assert report.troubled == {"repository", "containers"}

        done = typed(crew, f"{mend} --yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert doctor(crew).code == 0


def _make_unhealthy(place: Workplace, agent: str) -> None:
    """Put another container in the place of an agent's, which soon says that it is not well."""
    made = place.container(agent)
    made.remove(force=True, v=True)
    other = place.client.containers.run(
        made.image,
        name=made.name,
        labels=made.labels,
        entrypoint=["sleep", "infinity"],
        healthcheck={
            "test": ["CMD-SHELL", "echo out of order; exit 1"],
            "interval": 10**9,  # nanoseconds; what is not named is as in the image
            "start_period": 10**6,
            "retries": 1,
        },
        detach=True,
    )

    def is_unhealthy() -> bool:
        other.reload()
        return bool(other.health == "unhealthy")

    wait_until(is_unhealthy)


def test_leftovers_are_mended_only_when_asked_and_volumes_never(
    crew: Workplace, model: Model
) -> None:
    user, gone = crew.user("dev-qwen"), crew.user("gone")
    stray = crew.forge.mint_token(user, "muster-0123456789abcdef", ["read:user"])
    own = crew.forge.mint_token(user, "my-own", ["read:user"])
    crew.forge.create_user(
        gone,
        email=f"{gone}@muster.invalid",
        password=new_password(),
        login_name=mark_of(crew.name, crew.name, "gone"),
        full_name=full_name_of(crew.name, "gone"),
    )
    orphan = crew.forge.mint_token(gone, "muster-fedcba9876543210", ["read:user"])
    ours = labels(crew.name, crew.name, "gone")
    volume = crew.client.volumes.create(f"{crew.container_name('gone')}-data", labels=ours)
    crew.client.containers.run(
        "muster-agent",
        name=crew.container_name("gone"),
        labels=ours,
        entrypoint=["sleep", "60"],
        volumes={volume.name: {"bind": "/data", "mode": "rw"}},
        detach=True,
    )

    def works(token: AccessToken) -> bool:
        return api_status(crew.server.url, str(token.secret)) == 200

    with model.serving():
        report = doctor(crew)
        assert report.troubled == {"leftovers"}
        [token, container, account] = report.wrong("leftovers")
        assert f'agent "dev-qwen": token {stray.name} (…{stray.last_eight}) of' in token[0]
        assert f"container {crew.container_name('gone')} (running) is labelled" in container[0]
        assert f"bot user {gone} may log in" in account[0]
        assert {token[1], container[1], account[1]} == {"muster doctor --fix"}
        assert works(stray)
        assert works(orphan)
        assert crew.container("gone").status == "running"

        report = doctor(crew, "--fix")
        assert (report.code, len(report.mended("leftovers"))) == (0, 3)
        assert [works(each) for each in (stray, orphan, own)] == [False, False, True]
        assert api_status(crew.server.url, crew.token("dev-qwen")) == 200
        barred = crew.forge.user(gone)
        assert barred
        assert barred.prohibit_login
        assert "agents-gone" not in crew.containers()
        assert "agents-gone-data" in crew.volumes()

        report = doctor(crew)
        assert report.code == 0
        assert any(message.endswith(volume.name) for _, message, _ in report.of("leftovers"))
    crew.forge.revoke_token(user, own.id)


def test_a_strict_forge_with_another_time_is_told_and_swept(crew: Workplace, model: Model) -> None:
    written = crew.roster_path.read_text()
    user = crew.user("review-qwen")
    stray = crew.forge.mint_token(user, "muster-0123456789abcdef", ["read:user"])
    pat = dict.fromkeys(("FORGE_ADMIN_USER", "FORGE_ADMIN_PASS"))
    try:
        with StrictForge(crew.server.url, ahead=3600) as strict, model.serving():
            crew.roster_path.write_text(written.replace(crew.server.url, strict.url))
            report = doctor(crew, "--fix", environment=pat)
            strict.ahead = 0
            assert doctor(crew, environment=pat).code == 0
    finally:
        crew.roster_path.write_text(written)

    [(message, mend)] = report.wrong("clocks")
    assert re.search(r"the forge's clock is 3(599|600) s ahead of this machine's", message)
    assert mend == "sudo timedatectl set-ntp true"
    assert report.troubled == {"clocks"}
    [(_, message, _)] = report.of("administrator")
    assert message.endswith("tokens are minted by each bot user's own password")
    assert len(report.mended("leftovers")) == 1
    assert api_status(crew.server.url, str(stray.secret)) == 401


def test_a_forge_that_is_not_there_is_told_with_the_line_that_names_it(
    crew: Workplace, tmp_path: Path
) -> None:
    written = crew.roster_path.read_text()
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\nsed -i "${{1#+}}s|=.*|= \\"{crew.server.url}\\"|" "$2"\n')
    editor.chmod(0o755)
    nobody = f"http://127.0.0.1:{Model(crew.client).port}"
    crew.roster_path.write_text(written.replace(crew.server.url, nobody))
    try:
        report = doctor(crew)
        [(message, mend)] = report.wrong("forge")
        assert typed(crew, mend, {"EDITOR": str(editor)}).returncode == 0
        assert crew.roster_path.read_text() == written
    finally:
        crew.roster_path.write_text(written)

    assert message.startswith(f"stacks/{crew.name}.toml:3: forge_url: ")
    assert f"{nobody} cannot be reached: " in message
    assert "Connection refused" in message
    assert mend == f"${{EDITOR:-vi}} +3 stacks/{crew.name}.toml"
    assert report.not_asked["administrator"] == "not asked: the forge cannot be asked"


def test_a_stranger_at_the_local_forges_port_is_told_and_asked_nothing(crew: Workplace) -> None:
    written = crew.roster_path.read_text()
    crew.roster_path.write_text(written.replace("[muster]", "[muster]\nlocal_forge = true"))
    try:
        with StrictForge(crew.server.url, strict=False) as stranger:
            port = int(stranger.url.rpartition(":")[2])
            crew.pulumi("config", "set", "forgePort", str(port), "--stack", crew.name)
            [(message, mend)] = doctor(crew).wrong("forge")
            assert f"port {port} of this machine is in use, and not by this stack's" in message
            assert not stranger.calls
        assert mend.endswith(f"config set muster:forgePort {port + 1} --stack {crew.name}")
        assert typed(crew, mend).returncode == 0
        [(message, mend)] = doctor(crew).wrong("forge")
        assert "the local forge is not there" in message
        assert mend == "muster up"
    finally:
        crew.roster_path.write_text(written)
        crew.pulumi("config", "rm", "forgePort", "--stack", crew.name)


def test_what_a_killed_run_left_is_told_and_cleared(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    with workplace.engine("up", "--yes", "--skip-preview") as engine:
        workplace.wait_for_event("create", workplace.container_name("dev-qwen"))
        engine.kill()

    report = doctor(workplace)
    [(lock, clear), (begun, clear_too)] = report.wrong("killed runs")
    assert f"(process {engine.pid}), which is gone" in lock
    assert "begun and not ended: " in begun
    assert clear == clear_too == "muster doctor --fix"
    assert report.not_asked["leftovers"].startswith("not asked: an update has begun")

    assert len(doctor(workplace, "--fix").mended("killed runs")) == 2
    assert doctor(workplace).of("killed runs") == [(True, "none left anything", "")]
