"""What reaches an agent's container, a `.env` file and `docker compose`, and in which form."""

import json
from typing import Any

import pytest
from asking import api_status, password_status, wait_until
from test_compose_view import run_compose
from workplace import Workplace

from muster import compose, dotenv

KEY = "sk-ant-only-for-this-test-9876543210"
ANTHROPIC = {"base_url": "", "model": ""}


def _run(container: Any, *command: str) -> str:  # noqa: ANN401 - docker has no types
    """Run a command as the agent's user; return its output."""
    code, output = container.exec_run(list(command))
    assert code == 0, output
    return str(output.decode().strip())


def _variables(container: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    return dict(line.split("=", 1) for line in container.attrs["Config"]["Env"])


def _works(container: Any) -> None:  # noqa: ANN401 - as above
    """Wait until the agent has proven its token at the forge."""

    def proven() -> bool:
        lines = container.logs().decode().splitlines()
        return any(json.loads(line)["forge"]["status"] == 200 for line in lines)

    wait_until(proven)


def test_credentials_come_as_files_that_only_the_agent_can_read_or_as_variables(
    workplace: Workplace,
) -> None:
    """Switching between both converges, and works each time."""
    place, folder = workplace, "/run/secrets/muster"
    place.roster(place.agent("dev-qwen"))
    place.up()
    token, password = place.token("dev-qwen"), place.password("dev-qwen")
    container = place.container("dev-qwen")
    _works(container)
    modes = _run(container, "stat", "-c", "%n %a %u", f"{folder}/forge_token")
    assert modes == f"{folder}/forge_token 400 1000"
    assert _run(container, "ls", folder).split() == ["anthropic_api_key", "forge_token"]
    assert _run(container, "cat", f"{folder}/forge_token") == token
    assert container.exec_run(["touch", f"{folder}/more"], user="root").exit_code != 0
    assert not any(secret in json.dumps(place.inspected()) for secret in (token, password))
    assert _variables(container)["FORGE_TOKEN_FILE"] == f"{folder}/forge_token"
    assert "FORGE_TOKEN" not in _variables(container)

    place.roster(place.agent("dev-qwen", credentials="env"))
    place.up()
    variables = _variables(place.container("dev-qwen"))
    assert variables["FORGE_TOKEN"] == token == place.token("dev-qwen")
    assert variables["FORGE_PASS"] == password
    assert variables["ANTHROPIC_API_KEY"] == "sk-no-key-required"
    assert not any(name.endswith("_FILE") for name in variables)
    assert place.containers() == {"agents-dev-qwen"}
    assert "agents-dev-qwen-credentials" not in place.volumes()
    _works(place.container("dev-qwen"))
    assert place.preview() == {}

    place.roster(place.agent("dev-qwen"))
    place.up()
    assert "FORGE_TOKEN" not in _variables(place.container("dev-qwen"))
    _works(place.container("dev-qwen"))
    assert place.preview() == {}


def test_an_agents_container_may_do_little_and_is_found_by_name(workplace: Workplace) -> None:
    place = workplace
    limits = 'memory = "300m"\ncpus = 0.5\n'
    place.roster(place.agent("dev-qwen", pids=99), limits)
    place.up()
    container = place.container("dev-qwen")
    host = container.attrs["HostConfig"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-file": "3", "max-size": "10m"},
    }
    assert (host["Memory"], host["MemorySwap"]) == (300 * 1024**2, 300 * 1024**2)
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 99)
    assert {mount["Type"] for mount in container.attrs["Mounts"]} == {"volume"}
    assert {mount["Destination"]: mount["RW"] for mount in container.attrs["Mounts"]} == {
        "/home/agent/data": True,
        "/home/agent/repos": True,
        "/run/muster/endpoints": True,
        "/run/secrets/muster": False,
    }
    assert host["ReadonlyRootfs"]
    assert _run(container, "id", "-u") == "1000"
    address = _run(container, "getent", "hosts", "agents-dev-qwen").split()[0]
    network = container.attrs["NetworkSettings"]["Networks"][place.server.network]
    assert address == network["IPAddress"]
    assert _run(container, "getent", "hosts", "host.docker.internal")


def test_an_env_file_keeps_our_keys_in_place_and_every_other_line(workplace: Workplace) -> None:
    """What stood there before the crew stands there after it, be it what the crew needs too."""
    place = workplace
    file = place.folder / ".env"
    own = (
        "# the factory's own\nWOODPECKER_TOKEN='x y'\n\nFORGE_ADMIN=none # as before\n"
        "ANTHROPIC_BASE_URL=http://host.docker.internal:8081\n"
    )
    file.write_text(own)
    settings = 'env_file = ".env"'
    other = place.agent("review-qwen")

    def key(kind: str, agent: str) -> str:
        return f"FORGE_{kind}_{place.user(agent).upper().replace('-', '_')}"

    def work(agents: tuple[str, ...] = ("dev-qwen", "review-qwen")) -> bool:
        found, url = dotenv.read(file), place.server.url
        return all(
            api_status(url, found[key("TOKEN", agent)]) == 200
            and password_status(url, place.user(agent), found[key("PASS", agent)]) == 200
            for agent in agents
        )

    place.roster(place.agent("dev-qwen") + other, settings)
    place.up()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().startswith(own)
    assert work()
    before = dotenv.read(file)

    place.roster(place.agent("dev-qwen", rotation=2) + other, settings)
    place.up()
    assert file.read_text().startswith(own)
    assert work()
    after = dotenv.read(file)
    assert list(after) == list(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {key("TOKEN", "dev-qwen"), key("PASS", "dev-qwen")}

    dotenv.write(file, {key("TOKEN", "dev-qwen"): "spoilt"})
    dotenv.remove(file, {key("PASS", "review-qwen")})
    place.up("--refresh")
    assert work()

    place.roster(other, settings)
    place.up()
    assert file.read_text().startswith(own)
    assert not any(key(kind, "dev-qwen") in dotenv.read(file) for kind in ("TOKEN", "PASS"))
    assert work(("review-qwen",))
    place.destroy()
    assert file.read_text() == own


def test_an_anthropic_agent_gets_the_key_of_the_environment_as_a_secret(
    workplace: Workplace,
) -> None:
    place = workplace
    place.environment["ANTHROPIC_API_KEY"] = KEY
    place.roster(place.agent("claude", **ANTHROPIC))
    place.up()
    container = place.container("claude")
    assert _run(container, "cat", "/run/secrets/muster/anthropic_api_key") == KEY
    assert "ANTHROPIC_BASE_URL" not in _variables(container)
    assert place.outputs()["agents"]["claude"]["endpoint"] == "anthropic"
    assert KEY not in json.dumps([place.inspected(), place.state()])
    assert KEY in json.dumps(place.state(secrets=True))
    assert place.preview() == {}

    place.environment["ANTHROPIC_API_KEY"] = KEY[::-1]
    place.up()
    after = place.container("claude")
    assert _run(after, "cat", "/run/secrets/muster/anthropic_api_key") == KEY[::-1]
    assert after.id != container.id


def test_a_disabled_agent_keeps_its_credentials_and_has_no_container(workplace: Workplace) -> None:
    place = workplace
    place.roster(place.agent("dev-qwen"))
    place.up()
    token = place.token("dev-qwen")

    place.roster(place.agent("dev-qwen", enabled=False))
    place.up()
    assert place.containers() == set()
    assert place.outputs()["agents"]["dev-qwen"]["container"] is None
    assert api_status(place.server.url, token) == 200
    assert place.volumes() >= {"agents-dev-qwen-data", "agents-dev-qwen-repos"}
    assert place.preview() == {}

    place.roster(place.agent("dev-qwen"))
    place.up()
    assert place.token("dev-qwen") == token
    _works(place.container("dev-qwen"))


@pytest.mark.skipif(compose.command() is None, reason="docker compose is not installed")
def test_compose_serves_a_crew_that_pulumi_hired(workplace: Workplace) -> None:
    place, service = workplace, "agents-dev-qwen"
    place.roster(place.agent("dev-qwen") + place.agent("review-qwen"))
    place.up()
    file = place.folder / "stacks" / f"{place.name}.compose.yaml"
    ids = {name: place.container(name).id for name in ("dev-qwen", "review-qwen")}

    run_compose(file, "stop", service)
    assert place.container("dev-qwen").status == "exited"
    assert run_compose(file, "ps", "--services").split() == ["agents-review-qwen"]
    run_compose(file, "start", service)
    run_compose(file, "up", "-d")
    assert run_compose(file, "exec", "-T", service, "printenv", "AGENT_NAME").strip() == "dev-qwen"
    _works(place.container("dev-qwen"))
    assert '"agent": "dev-qwen"' in run_compose(file, "logs", "--no-log-prefix", service)
    assert {name: place.container(name).id for name in ids} == ids
    assert place.preview() == {}
