"""What a stack's name, the environment and the stack's configuration make of a roster."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from declared import IMAGES, project

from muster import preflight
from muster import project as projects
from muster.administrator import AdministratorMissingError
from muster.docker_engine import DockerEngine
from muster.forge import Administrator
from muster.keys import Keys
from muster.preflight import PreflightError
from muster.project import Project
from muster.roster import RosterError

ADMINISTRATOR = {"FORGE_ADMIN_USER": "root", "FORGE_ADMIN_PASS": "Admin-Pass-1"}
NOTHING: Mapping[str, str] = MappingProxyType({})
ROSTER = 'name = "demo"\nrepo = "acme/demo"\nforge_url = "https://forge.example.org"\n'
LOCAL = f"{ROSTER}[muster]\nlocal_forge = true\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stacks").mkdir()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Have the preflight find everything in order; return what it was asked to look at."""
    calls: list[dict[str, Any]] = []

    def inspect(_roster: object, stack: str, **facts: object) -> preflight.Inspection:
        calls.append({"stack": stack, **facts})
        return preflight.Inspection(IMAGES, DockerEngine("an engine"), None, ("a warning",))

    monkeypatch.setattr(preflight, "inspect", inspect)
    return calls


def find(
    configuration: Mapping[str, str] = NOTHING, environment: Mapping[str, str] = ADMINISTRATOR
) -> Project:
    return projects.inspect(projects.read("live", environment, configuration.get))


def roster(text: str = ROSTER, path: str = "stacks/live.toml") -> None:
    Path(path).write_text(text)


# The roster


def test_the_stacks_name_selects_the_roster(asked: list[dict[str, Any]]) -> None:
    roster()
    found = find()
    assert (found.stack, found.roster.name, found.images) == ("live", "demo", IMAGES)
    assert asked == [
        {
            "stack": "live",
            "forge_url": "https://forge.example.org",
            "administrator": Administrator("root", "Admin-Pass-1"),
            "keys": Keys(),
            "given": [],
            "pulling": None,
        }
    ]


@pytest.mark.usefixtures("asked")
def test_the_configuration_may_name_another_roster() -> None:
    roster(ROSTER.replace('"demo"', '"site"'), "factory.toml")
    assert find({"roster": "factory.toml"}).roster.name == "site"


@pytest.mark.usefixtures("asked")
def test_a_candidate_is_read_in_place_of_the_roster_and_its_errors_name_the_roster(
    tmp_path: Path,
) -> None:
    roster()
    candidate = tmp_path / "candidate"
    environment = {**ADMINISTRATOR, projects.CANDIDATE: str(candidate)}
    candidate.write_text(ROSTER.replace('"demo"', '"site"'))
    assert find(environment=environment).roster.name == "site"
    candidate.write_text(f"{ROSTER}primary_branch = 3\n")
    with pytest.raises(RosterError, match=r"^stacks/live\.toml:4: primary_branch"):
        find(environment=environment)


def test_a_stack_without_a_roster_is_told_before_anything_is_asked(
    asked: list[dict[str, Any]],
) -> None:
    with pytest.raises(RosterError, match=r"^stacks/live\.toml: there is no such roster"):
        find()
    assert asked == []


def test_a_missing_administrator_is_told_before_anything_is_asked(
    asked: list[dict[str, Any]],
) -> None:
    roster()
    with pytest.raises(AdministratorMissingError):
        find(environment={})
    assert asked == []


# The key


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("environment", "configuration", "key"),
    [
        ({}, {}, None),
        ({"ANTHROPIC_API_KEY": "of the environment"}, {}, "of the environment"),
        ({}, {"anthropicApiKey": "of the stack"}, "of the stack"),
        ({"CLAUDE_CODE_OAUTH_TOKEN": "token"}, {"anthropicApiKey": "of the stack"}, "token"),
        ({"ANTHROPIC_API_KEY": "key", "CLAUDE_CODE_OAUTH_TOKEN": "token"}, {}, "key"),
        ({"ANTHROPIC_API_KEY": ""}, {"anthropicApiKey": "of the stack"}, "of the stack"),
        (
            {"ANTHROPIC_API_KEY": "of the environment"},
            {"anthropicApiKey": "of the stack"},
            "of the environment",
        ),
    ],
)
def test_the_environments_key_wins_over_the_stacks(
    environment: dict[str, str], configuration: dict[str, str], key: str | None
) -> None:
    roster()
    assert find(configuration, {**ADMINISTRATOR, **environment}).keys == Keys(key)


# The forge


@pytest.mark.parametrize(
    ("configuration", "url"),
    [({}, "http://127.0.0.1:3000"), ({"forgePort": "3007"}, "http://127.0.0.1:3007")],
)
def test_a_local_forge_is_at_the_configured_port_of_this_machines_loopback(
    asked: list[dict[str, Any]], configuration: dict[str, str], url: str
) -> None:
    roster(LOCAL)
    found = find(configuration)
    assert (found.forge_url, asked[0]["forge_url"]) == (url, url)
    assert found.internal_forge_url == "http://demo-forge:3000"


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "3000.5", "three", "³"])
def test_a_port_that_is_none_is_told(asked: list[dict[str, Any]], port: str) -> None:
    roster(LOCAL)
    with pytest.raises(PreflightError, match="forgePort"):
        find({"forgePort": port})
    assert asked == []


@pytest.mark.parametrize(
    ("muster", "inside"),
    [
        ("", "https://forge.example.org"),
        ('forge_internal_url = "http://forgejo:3000"', "http://forgejo:3000"),
    ],
)
def test_containers_see_the_forge_where_the_roster_says(
    tmp_path: Path, muster: str, inside: str
) -> None:
    assert project(tmp_path, "", muster).internal_forge_url == inside


# The network


@pytest.mark.parametrize(
    ("muster", "network"), [("", "muster-demo"), ('network = "factory_net"', "factory_net")]
)
def test_a_network_is_the_projects_own_unless_the_roster_names_one(
    tmp_path: Path, muster: str, network: str
) -> None:
    assert project(tmp_path, "", muster).network == network


def test_a_project_shows_no_secret(tmp_path: Path) -> None:
    secrets = ("sk-ant-a-real-key", "Admin-Pass-1", "a-pat")
    found = project(
        tmp_path,
        "",
        keys=Keys(secrets[0], {"dev-qwen": secrets[0]}),
        administrator=Administrator("root", *secrets[1:]),
    )
    assert not [secret for secret in secrets if secret in repr(found)]
