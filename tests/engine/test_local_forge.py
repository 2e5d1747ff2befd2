"""A stack that brings its own forge: `local_forge = true`."""

import json
import socket
import subprocess

import pytest
from asking import api_status, process_arguments, wait_until
from workplace import Workplace

from muster.credentials import new_password
from muster.forge import Basic, Forge


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _configure(place: Workplace, administrator: Basic, port: int) -> None:
    """Have the stack configuration alone know the administrator."""
    for name in ("FORGE_ADMIN_USER", "FORGE_ADMIN_PASS", "FORGE_ADMIN_PAT"):
        place.environment.pop(name)
    place.pulumi("config", "set", "muster:forgePort", str(port))
    place.pulumi("config", "set", "muster:forgeAdminUser", administrator.user)
    subprocess.run(
        ["pulumi", "config", "set", "--secret", "muster:forgeAdminPass"],
        cwd=place.folder,
        env=place.environment,
        input=administrator.password,
        text=True,
        check=True,
        capture_output=True,
    )


def _roster(place: Workplace) -> None:
    place.roster_path.write_text(
        f"""
        name = "{place.name}"
        repo = "team/{place.name}"

        [muster]
        local_forge = true
        keep_volumes = false

        {place.agent("dev-qwen")}
        """
    )


@pytest.mark.slow
def test_an_engine_killed_before_the_administrator_is_made_is_followed_by_one_that_makes_it(
    workplace: Workplace,
) -> None:
    place, port = workplace, _free_port()
    administrator = Basic("keeper-of-all", new_password())
    _configure(place, administrator, port)
    _roster(place)
    with place.engine("up", "--yes", "--skip-preview") as engine:
        wait_until(Forge(f"http://127.0.0.1:{port}", None).answers, seconds=60)
        engine.kill()

    place.pulumi("cancel", "--yes")
    place.up()

    assert Forge(f"http://127.0.0.1:{port}", administrator).whoami().is_admin
    assert place.container("dev-qwen").status == "running"
    place.destroy()


def test_a_stack_with_a_forge_of_its_own_works_and_leaves_nothing(workplace: Workplace) -> None:
    place, port = workplace, _free_port()
    administrator = Basic("keeper-of-all", new_password())
    _configure(place, administrator, port)
    _roster(place)
    with socket.create_server(("127.0.0.1", port)):
        assert f"port {port} of this machine is in use" in place.pulumi("preview", expect=1)
    with process_arguments() as seen:
        place.up()
    assert any("admin\0user\0create" in arguments for arguments in seen)
    assert not any(administrator.password in arguments for arguments in seen)

    forge = Forge(f"http://127.0.0.1:{port}", administrator)
    assert forge.whoami().is_admin
    assert forge.repository(f"team/{place.name}") is not None
    assert [token.name for token in forge.tokens(administrator.user)] == []
    container = place.client.containers.get(f"{place.name}-forge")
    assert container.ports["3000/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
    everything = json.dumps([place.inspected(), place.state()])
    assert administrator.password not in everything

    def works() -> bool:
        lines = place.container("dev-qwen").logs().decode().splitlines()
        return any(json.loads(line)["forge"]["status"] == 200 for line in lines)

    wait_until(works)
    assert place.preview() == {}

    token, port = place.token("dev-qwen"), _free_port()
    place.pulumi("config", "set", "muster:forgePort", str(port))
    with socket.create_server(("127.0.0.1", port)):
        assert f"port {port} of this machine is in use" in place.pulumi("preview", expect=1)
    assert "BotUser dev-qwen" in place.preview()["update"]
    place.up()
    assert place.token("dev-qwen") == token
    assert api_status(f"http://127.0.0.1:{port}", token) == 200

    # Refreshing and destroying run no program: the credentials come from the configuration.
    place.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    place.destroy()
    assert (place.containers(), place.volumes(), place.networks()) == (set(), set(), set())
