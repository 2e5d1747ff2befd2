"""Bad input: a clear error in preview, nothing changed, nothing lost."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asking import api_status, password_status
from strict_forge import StrictForge
from workplace import Workplace

from muster.credentials import new_password

WITHOUT_ADMINISTRATOR = {"FORGE_ADMIN_USER": "", "FORGE_ADMIN_PASS": "", "FORGE_ADMIN_PAT": ""}
NO_KEY = {"ANTHROPIC_API_KEY": ""}


def _refusal(place: Workplace, *command: str, environment: dict[str, str] | None = None) -> str:
    """Run a command that is to be refused; return what the user is told.

    Whatever the mistake is, it is told once, without a traceback, and nothing is changed.
    """
    before = _world(place)
    printed = place.pulumi(*(command or ("preview",)), environment=environment, expect=1)
    assert _world(place) == before
    assert "Traceback" not in printed
    told = printed.partition("Diagnostics:\n")[2].partition("\n\n")[0]
    assert told.count("error:") == 1, printed
    return "\n".join(line.strip().removeprefix("error: ") for line in told.splitlines()[1:])


def _world(place: Workplace) -> dict[str, Any]:
    return {
        "users": sorted(user.login for user in place.forge.users()),
        "containers": place.containers(),
        "volumes": place.volumes(),
        "networks": place.networks(),
        "resources": [(found["urn"], found.get("outputs")) for found in place.state(secrets=True)],
    }


@contextmanager
def _stranger(place: Workplace, name: str, password: str) -> Iterator[None]:
    """Have an account at the forge that Muster did not make."""
    place.forge.create_user(
        name, email=f"{name}@x.invalid", password=password, login_name=name, full_name=name
    )
    try:
        yield
    finally:
        place.forge.purge_user(name)


def test_all_mistakes_of_a_roster_are_told_at_once_and_the_crew_stays_as_it_is(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    container = workplace.container("dev-qwen").id
    sections = (
        workplace.agent("dev-qwen", compact_pct=101, rolez=["dev"], roles="dev"),
        workplace.agent("dev--qwen", forge_user=f"{workplace.name}-other"),
        workplace.agent("twin", forge_user=workplace.user("dev-qwen"), poll_interval=0),
        workplace.agent("here", base_url="http://localhost:8081"),
        workplace.agent("reserved", forge_user="admin"),
    )
    workplace.roster("\n".join(sections))

    told = _refusal(workplace).splitlines()

    lines = workplace.roster_path.read_text().splitlines()
    for agent, field, right in (
        ("dev-qwen", "compact_pct", "a number from 1 to 100"),
        ("dev-qwen", "rolez", 'did you mean "roles"?'),
        ("dev-qwen", "roles", 'write roles = ["dev"]'),
        ("dev--qwen", "name", 'such as "dev-qwen"'),
        ("twin", "forge_user", "give each agent its own"),
        ("twin", "poll_interval", "a number of at least 1"),
        ("here", "base_url", "host.docker.internal"),
        ("reserved", "forge_user", "reserved"),
    ):
        (problem,) = (line for line in told if f'agent "{agent}", {field}: ' in line)
        file, number, _ = problem.split(":", 2)
        assert file == f"stacks/{workplace.name}.toml"
        assert lines[int(number) - 1].startswith((f"{field} =", f"[agents.{agent}]"))
        assert right in problem
    assert _refusal(workplace, "up", "--yes", "--skip-preview").splitlines() == told
    assert workplace.container("dev-qwen").id == container


def test_a_stack_without_a_roster_is_told_where_to_write_one(workplace: Workplace) -> None:
    told = _refusal(workplace)
    assert told.startswith(f"stacks/{workplace.name}.toml: there is no such roster; write one")


def test_what_the_world_lacks_is_told_at_once_with_file_line_agent_and_field(
    workplace: Workplace,
) -> None:
    missing = f"{workplace.name}-nowhere"
    taken, password = workplace.user("dev-qwen"), new_password()
    agents = (
        workplace.agent("keyless", base_url="", model=""),
        workplace.agent("imageless", image=missing),
        workplace.agent("dev-qwen"),
        workplace.agent("team", forge_user=f"{missing}-team"),
    )
    workplace.forge.create_repository(f"{missing}-team/site", "main")
    with _stranger(workplace, taken, password):
        workplace.roster("\n".join(agents), repo=f"keeper/{missing}")
        text = workplace.roster_path.read_text()
        workplace.roster_path.write_text(
            text.replace(f'network = "{workplace.server.network}"', f'network = "{missing}"')
        )
        told = _refusal(workplace, environment=NO_KEY).splitlines()

        lines = workplace.roster_path.read_text().splitlines()
        for part, field, right in (
            ('agent "keyless", base_url: ', "base_url =", "ANTHROPIC_API_KEY"),
            ('agent "imageless", image: ', "image =", f"image {missing} is not on this engine"),
            ("muster.network: ", "network =", f"no Docker network {missing}: create it"),
            ("repo: ", "repo =", f"no repository keeper/{missing}: create it"),
            ('agent "dev-qwen", forge_user: ', "forge_user =", "set adopt = true"),
            ('agent "team", forge_user: ', "forge_user =", "is an organization of the forge"),
        ):
            (problem,) = (line for line in told if part in line)
            file, number, _ = problem.split(":", 2)
            assert file == f"stacks/{workplace.name}.toml"
            assert lines[int(number) - 1].startswith(field)
            assert right in problem
        assert len(told) == 6

        workplace.roster(workplace.agent("dev-qwen", adopt=True))
        workplace.up()
        assert password_status(workplace.server.url, taken, password) == 401
        assert api_status(workplace.server.url, workplace.token("dev-qwen")) == 200


def test_a_forge_and_an_engine_that_do_not_answer_are_told_with_their_addresses(
    workplace: Workplace,
) -> None:
    workplace.roster(
        workplace.agent("dev-qwen"),
        'docker_host = "unix:///nowhere/docker.sock"',
        forge_url="http://127.0.0.1:9",
    )
    docker, forge = _refusal(workplace).splitlines()
    assert docker.startswith(
        "Docker is unreachable (unix:///nowhere/docker.sock, [muster] docker_host): No such file"
    )
    assert f"stacks/{workplace.name}.toml:3: forge_url: " in forge
    assert "http://127.0.0.1:9 cannot be reached" in forge


@pytest.mark.parametrize("who", ["nobody", "wrong password", "ordinary user", "weak PAT"])
def test_an_administrator_who_is_none_is_told_so(workplace: Workplace, who: str) -> None:
    name, password = workplace.user("ordinary"), new_password()
    workplace.roster(workplace.agent("dev-qwen"))
    with _stranger(workplace, name, password):
        weak = workplace.forge.mint_token("keeper", workplace.name, ["read:user", "read:admin"])
        credentials, right = {
            "nobody": ({}, "no credentials of the forge's administrator: set FORGE_ADMIN_USER"),
            "wrong password": ({"USER": "keeper", "PASS": password}, "Check FORGE_ADMIN_USER and"),
            "ordinary user": ({"USER": name, "PASS": password}, f"{name} is not an administrator"),
            "weak PAT": ({"PAT": str(weak.secret)}, "required=[write:admin]"),
        }[who]
        given = {f"FORGE_ADMIN_{key}": value for key, value in credentials.items()}
        told = _refusal(workplace, environment={**WITHOUT_ADMINISTRATOR, **given})
        workplace.forge.revoke_token("keeper", weak.id)
    assert right in told
    assert not any(value in told for key, value in credentials.items() if key != "USER")


def test_destroying_without_an_administrator_says_so_and_keeps_the_crew(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    before = _world(workplace)
    printed = workplace.destroy(environment=WITHOUT_ADMINISTRATOR, expect=1)
    assert "no credentials of the forge's administrator: set FORGE_ADMIN_USER" in printed
    assert "Traceback" not in printed
    assert _world(workplace) == before


def test_a_container_of_somebody_elses_under_an_agents_name_is_left_alone(
    workplace: Workplace,
) -> None:
    workplace.roster("\n" + workplace.agent("dev-qwen"))
    name = workplace.container_name("dev-qwen")
    theirs = workplace.client.containers.create("muster-agent", name=name)
    try:
        told = _refusal(workplace)
        theirs.reload()
    finally:
        theirs.remove()

    assert f"{workplace.name}.toml:" in told
    assert f"a container named {name} exists and is not this stack's" in told


USERS, COLLABORATORS = "/admin/users", "/repos/{owner}/{repo}/collaborators/{user}"
TOKENS = "/users/{user}/tokens"


def _has_one_of_each(place: Workplace) -> bool:
    user = place.user("dev-qwen")
    (token,) = place.forge.tokens(user)
    assert token.last_eight == place.token("dev-qwen")[-8:]
    assert [found.login for found in place.forge.users()].count(user) == 1
    assert place.containers() == {"agents-dev-qwen"}
    return place.preview() == {}


def test_an_update_that_the_forge_refused_half_way_is_finished_by_the_next(
    workplace: Workplace,
) -> None:
    with StrictForge(workplace.server.url, strict=False) as proxy:
        workplace.forge_url = proxy.url
        workplace.roster(workplace.agent("dev-qwen"))
        proxy.refuse("POST", USERS, 500)
        assert "POST /admin/users: 500" in workplace.up(expect=1)
        for method, call, named in (
            ("PUT", COLLABORATORS, "collaborators"),
            ("POST", TOKENS, "tokens"),
        ):
            proxy.refuse(method, call, 500)
            printed = workplace.up("--continue-on-error", expect=1)
            assert re.search(rf"error: .*/{named}\b.*: 500 Internal Server Error", printed)
        workplace.up()
        assert _has_one_of_each(workplace)


def test_answers_that_get_lost_on_their_way_leave_nothing_twice(workplace: Workplace) -> None:
    with StrictForge(workplace.server.url, strict=False) as proxy:
        workplace.forge_url = proxy.url
        workplace.roster(workplace.agent("dev-qwen"))
        for call in (("POST", USERS), ("PUT", COLLABORATORS), ("POST", TOKENS)):
            proxy.drop_answers(*call)
        workplace.up()
        assert _has_one_of_each(workplace)
