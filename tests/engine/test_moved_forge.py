"""A forge that gets another address keeps its crew; another forge does not get it."""

import re
import subprocess
from typing import Any

import pytest
from asking import api_status
from patience import COMMAND
from strict_forge import StrictForge
from workplace import ROOT, Workplace

OF_THE_FORGE = ("BotUser", "BotPassword", "AccessToken", "RepositoryAccess", "TokenSweep")


def _hired_by_an_address_that_is_gone(place: Workplace, *agents: str) -> str:
    """Hire a crew by an address at which nobody answers afterwards; return the address."""
    with StrictForge(place.server.url, strict=False) as old:
        place.forge_url = old.url
        place.roster("".join(place.agent(name) for name in agents))
        place.up()
    place.forge_url = place.server.url
    return old.url


def test_a_crew_moves_with_its_forge_to_another_address(workplace: Workplace) -> None:
    """In the same update one agent is rotated and one is fired: both at the new address."""
    place, url = workplace, workplace.server.url
    names = ("dev-qwen", "rotated", "fired")
    old = _hired_by_an_address_that_is_gone(place, *names)
    tokens = {name: place.token(name) for name in names}
    container, account = place.container("dev-qwen").id, place.forge.user(place.user("dev-qwen"))

    place.roster(place.agent("dev-qwen") + place.agent("rotated", rotation=2))
    planned = place.preview()
    assert {f"{kind} dev-qwen" for kind in OF_THE_FORGE} <= set(planned["update"])
    assert not {f"{kind} dev-qwen" for kind in OF_THE_FORGE} & set(planned["replace"])
    place.up()

    assert place.forge.user(place.user("dev-qwen")) == account
    assert place.token("dev-qwen") == tokens["dev-qwen"]
    assert api_status(url, tokens["dev-qwen"]) == 200
    assert place.container("dev-qwen").id == container
    assert api_status(url, place.token("rotated")) == 200
    assert [api_status(url, tokens[name]) for name in ("rotated", "fired")] == [401, 401]
    fired = place.forge.user(place.user("fired"))
    assert fired is not None
    assert fired.prohibit_login
    assert place.volumes() >= {f"agents-{name}-repos" for name in names}
    assert old not in str(place.state())
    assert place.preview("--refresh") == {}


def _recorded(place: Workplace) -> dict[str, Any]:
    """Return what the state knows of everything that the crew has."""
    return {one["urn"]: one.get("outputs") for one in place.state(secrets=True) if one["custom"]}


@pytest.mark.slow
def test_a_crew_does_not_move_to_another_forge_and_begins_anew_where_the_old_one_is_gone(
    workplace: Workplace,
) -> None:
    """A forge that does not know the account is another one, whatever its address was."""
    place = workplace
    _hired_by_an_address_that_is_gone(place, "dev-qwen")
    place.forge.purge_user(place.user("dev-qwen"))
    container = place.container("dev-qwen")
    container.exec_run(["sh", "-c", "echo unpushed > /home/agent/repos/work"])
    before = _recorded(place)

    place.roster(place.agent("dev-qwen"))
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        printed = place.pulumi(*command, expect=1)
        assert f"is not at {place.server.url}, so that is another forge" in printed
        assert "Traceback" not in printed
    assert _recorded(place) == before
    assert place.container("dev-qwen").id == container.id

    page = (ROOT / "docs" / "troubleshoot.md").read_text()
    (forget,) = re.findall(r"^ *(pulumi stack export .*)$", page, re.MULTILINE)
    subprocess.run(
        ["sh", "-c", forget], cwd=place.folder, env=place.environment, check=True, timeout=COMMAND
    )
    place.up()
    assert api_status(place.server.url, place.token("dev-qwen")) == 200
    _, found = place.container("dev-qwen").exec_run(["cat", "/home/agent/repos/work"])
    assert found == b"unpushed\n"
    assert place.containers() == {"agents-dev-qwen"}
    assert place.preview("--refresh") == {}
