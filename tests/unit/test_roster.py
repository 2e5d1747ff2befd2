"""What a roster may say, and what is said of one that is wrong."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from muster import rules, schema
from muster.roster import Agent, Muster, Roster, RosterError, load
from muster.work_settings import Work

HEAD = 'name = "demo"\nrepo = "acme/demo"\nforge_url = "https://forge.example.org"\n'
HEAD_LINES = HEAD.count("\n")

# A factory's own project file, as disinto writes it.
FACTORY = """\
# the factory's own notes
name            = "site"
repo            = "acme/site"
ops_repo        = "acme/site-ops"
forge_url       = "http://localhost:3000"
repo_root       = "/srv/site"
primary_branch  = "master"

[ci]
woodpecker_repo_id = 0
stale_minutes      = 60

[services]
containers = ["db"]

[monitoring]
check_prs = true

[agents.schedule]
architect_interval = 900

[agents.dev-qwen]
base_url = "http://10.10.10.1:8081"
model = "unsloth/Qwen3.5-35B-A3B"
api_key = "sk-no-key-required"
roles = ["dev"]
forge_user = "site-dev"
compact_pct = 60
poll_interval = 60

[agents.dev-dsh]
base_url = "http://10.10.10.1:8082"
model = "qwen"
harness = "dsh"
context_window = 163840

[agents.planner]
base_url = ""
model = ""
roles = ["planner"]

[mirrors]
elsewhere = "git@git.example.org:acme/site.git"
"""

Load = Callable[[str], Roster]
Wrong = Callable[[str], list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """Load a roster with this text."""

    def read(text: str) -> Roster:
        path = tmp_path / "demo.toml"
        path.write_bytes(text.encode())
        return load(path)

    return read


@pytest.fixture
def wrong(read: Load, tmp_path: Path) -> Wrong:
    """Load a roster that is wrong, and return what is said of it without the folder."""

    def wrong(text: str) -> list[str]:
        with pytest.raises(RosterError) as caught:
            read(text)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return wrong


def agent(text: str, name: str = "dev-qwen") -> str:
    """Return a roster with one agent, whose fields begin on line 5."""
    return f"{HEAD}[agents.{name}]\n{text}\n"


def muster(text: str) -> str:
    """Return a roster whose `[muster]` fields begin on line 5."""
    return f"{HEAD}[muster]\n{text}\n"


def test_a_factorys_project_file_is_a_valid_roster(read: Load) -> None:
    roster = read(FACTORY)
    assert (roster.name, roster.repo, roster.primary_branch) == ("site", "acme/site", "master")
    assert roster.agents == {
        "dev-qwen": Agent(
            name="dev-qwen",
            base_url="http://10.10.10.1:8081",
            model="unsloth/Qwen3.5-35B-A3B",
            forge_user="site-dev",
        ),
        "dev-dsh": Agent(
            name="dev-dsh",
            base_url="http://10.10.10.1:8082",
            model="qwen",
            context_window=163840,
        ),
        "planner": Agent(name="planner", roles=("planner",)),
    }


def test_a_roster_without_agents_is_an_empty_crew(read: Load) -> None:
    assert read(HEAD).agents == {}


def test_what_an_agent_leaves_out_has_the_documented_default(read: Load) -> None:
    assert read(agent("")).agents["dev-qwen"].model_dump() == {
        "name": "dev-qwen",
        "base_url": None,
        "model": None,
        "api_key": "sk-no-key-required",
        "roles": ("dev",),
        "forge_user": "dev-qwen",
        "compact_pct": 60,
        "poll_interval": 60,
        "formula": None,
        "context_window": None,
        "permission": "write",
        "repositories": (),
        "sandbox": "on",
        "may_approve": False,
        "rotation": 1,
        "max_credential_age_days": None,
        "enabled": True,
        "adopt": False,
        "image": "muster-agent",
        "credentials": "file",
        "memory": "2g",
        "cpus": 2.0,
        "pids": 512,
        "read_only": True,
        "runtime": "muster",
        "capabilities": (),
        "user": None,
        "env": {},
        "ca_file": None,
        "turns": 60,
        "minutes": 60,
        "tokens": 2_000_000,
        "diff_lines": 1000,
        "tasks_per_day": None,
    }


def test_what_the_muster_section_leaves_out_has_the_documented_default(read: Load) -> None:
    assert read(HEAD).muster.model_dump() == {
        "local_forge": False,
        "keep_volumes": True,
        "forge_internal_url": None,
        "email_domain": "muster.invalid",
        "network": None,
        "docker_host": None,
        "network_options": {},
        "env_file": None,
        "image": "muster-agent",
        "credentials": "file",
        "memory": "2g",
        "cpus": 2.0,
        "pids": 512,
        "read_only": True,
        "runtime": "muster",
        "capabilities": (),
        "user": None,
        "env": {},
        "ca_file": None,
        "work": {
            "label": "backlog",
            "authors": "writers",
            "setup": (),
            "check": (),
            "network": "none",
            "turns": 60,
            "minutes": 60,
            "tokens": 2_000_000,
            "diff_lines": 1000,
            "tasks_per_day": None,
            "merge": "never",
            "protected_paths": (
                ".forgejo/workflows",
                ".gitea/workflows",
                ".github/workflows",
                ".claude",
                ".mcp.json",
            ),
        },
        "endpoints": {},
    }


def test_agents_take_container_settings_from_the_muster_section(read: Load) -> None:
    roster = read(
        muster('image = "crew:1"\nmemory = "1G"\ncpus = 1\n[agents.a]\n[agents.b]\nmemory = "64m"')
    )
    a, b = roster.agents["a"], roster.agents["b"]
    assert (a.image, a.memory_bytes, a.cpus) == ("crew:1", 1024**3, 1.0)
    assert (b.image, b.memory_bytes, b.cpus) == ("crew:1", 64 * 1024**2, 1.0)


def test_agents_take_budgets_from_the_work_section(read: Load) -> None:
    text = "[muster.work]\nturns = 9\ntasks_per_day = 3\n[agents.a]\n[agents.b]\nturns = 5\n"
    agents = read(HEAD + text).agents
    assert (agents["a"].turns, agents["a"].tasks_per_day, agents["a"].minutes) == (9, 3, 60)
    assert (agents["b"].turns, agents["b"].tasks_per_day, agents["b"].minutes) == (5, 3, 60)


def test_trailing_slashes_of_urls_do_not_count(read: Load) -> None:
    roster = read(
        'name = "demo"\nrepo = "acme/demo"\nforge_url = "https://forge.example.org/git//"\n'
        '[muster]\nforge_internal_url = "http://forge:3000/"\n'
        '[agents.a]\nmodel = "m"\nbase_url = "http://llama:8081/"\n'
    )
    assert roster.forge_url == "https://forge.example.org/git"
    assert roster.muster.forge_internal_url == "http://forge:3000"
    assert roster.agents["a"].base_url == "http://llama:8081"


def test_containers_reach_a_forge_on_this_machine_through_the_host(read: Load) -> None:
    at_home = HEAD.replace("https://forge.example.org", "http://localhost:3000/git")
    assert read(at_home).forge_url == "http://localhost:3000/git"
    assert read(at_home).forge_url_inside == "http://host.docker.internal:3000/git"
    assert read(HEAD).forge_url_inside == "https://forge.example.org"
    named = f'{at_home}[muster]\nforge_internal_url = "http://forgejo:3000"\n'
    assert read(named).forge_url_inside == "http://forgejo:3000"


def test_a_local_forge_needs_no_url(read: Load) -> None:
    roster = read('name = "demo"\nrepo = "acme/demo"\n[muster]\nlocal_forge = true\n')
    assert (roster.forge_url, roster.forge_url_inside) == (None, None)


def test_a_model_without_an_endpoint_is_one_of_anthropics(read: Load) -> None:
    assert read(agent('model = "claude-sonnet"')).agents["dev-qwen"].model == "claude-sonnet"


def test_carriage_returns_and_a_byte_order_mark_do_no_harm(read: Load, wrong: Wrong) -> None:
    text = "\ufeff" + agent('roles = [\n"dev"]\ncompact_pct = 50').replace("\n", "\r\n")
    assert read(text).agents["dev-qwen"].compact_pct == 50
    assert wrong(text.replace("50", "500"))[0].startswith("demo.toml:7:")


# Names


@pytest.mark.parametrize("name", ["d", "dev", "dev-qwen", "dev-qwen2", "d-1-2", "a" * 40])
def test_a_good_name_is_taken(read: Load, name: str) -> None:
    assert read(agent("", name)).agents[name].forge_user == name


@pytest.mark.parametrize(
    "name", ["dev--qwen", "-dev", "dev-", "Dev", "1dev", "dev_qwen", "dév", ""]
)
def test_a_bad_name_is_told_with_a_good_one(wrong: Wrong, name: str) -> None:
    assert wrong(agent("", json.dumps(name, ensure_ascii=False))) == [
        (
            f'demo.toml:4: agent "{name}", name: "{name}" is no valid name; use small letters, '
            'digits and single hyphens, a letter first and no hyphen last, such as "dev-qwen"'
        )
    ]


def test_an_over_long_name_is_told(wrong: Wrong) -> None:
    (line,) = wrong(agent("", "a" * 41))
    assert line.endswith(f'name: "{"a" * 41}" has 41 characters; use at most 40')


@pytest.mark.parametrize("user", ["admin", "API", "ghost", "forgejo-actions", "v2", "dev.KEYS"])
def test_a_name_that_the_forge_reserves_is_told_with_another(wrong: Wrong, user: str) -> None:
    (line,) = wrong(agent(f'forge_user = "{user}"'))
    assert line == (
        f'demo.toml:5: agent "dev-qwen", forge_user: "{user}" is reserved by the forge; '
        f'set forge_user to another name, such as "{user.lower().partition(".")[0]}-bot"'
    )


@pytest.mark.parametrize("roles", ['["dev"]', '["review", "gardener"]', None])
def test_an_agent_that_may_only_read_has_no_role_that_writes(
    wrong: Wrong, roles: str | None
) -> None:
    lines = f"roles = {roles}\n" if roles else ""
    (line,) = wrong(agent(f'permission = "read"\n{lines}'))
    role = "gardener" if roles and "gardener" in roles else "dev"
    assert line == (
        f'demo.toml:5: agent "dev-qwen", permission: the role "{role}" writes to the repository; '
        'write permission = "write", or give the agent roles that only read, such as ["review"]'
    )


@pytest.mark.parametrize("roles", ['["review"]', '["planner", "review"]', '["auditor"]'])
def test_an_agent_may_only_read_with_the_other_roles(read: Load, roles: str) -> None:
    made = read(agent(f'permission = "read"\nroles = {roles}')).agents["dev-qwen"]
    assert made.permission == "read"


def test_an_agents_further_repositories_follow_the_projects_own(read: Load, wrong: Wrong) -> None:
    roster = read(agent('repositories = ["Acme/Demo", "acme/handbook"]'))
    assert roster.repositories_of(roster.agents["dev-qwen"]) == ["acme/demo", "acme/handbook"]
    (line,) = wrong(agent('repositories = ["acme/handbook", "Acme/Handbook"]'))
    assert line.endswith('"Acme/Handbook" is listed twice; list each repository once')
    assert "repositories" in wrong(agent('repositories = ["handbook"]'))[0]


@pytest.mark.parametrize("domain", ["bots.example.org", "Bots.Example.org", "a-b.example"])
def test_bot_users_may_have_addresses_of_another_domain(read: Load, domain: str) -> None:
    assert read(muster(f'email_domain = "{domain}"')).muster.email_domain == domain.lower()


@pytest.mark.parametrize("domain", ["", "example", "a@example.org", "-a.example", "a b.example"])
def test_what_is_not_a_domain_is_refused(wrong: Wrong, domain: str) -> None:
    (line,) = wrong(muster(f'email_domain = "{domain}"'))
    assert f'muster.email_domain: "{domain}" is not a domain; write what follows the @' in line


def test_an_agent_whose_name_is_reserved_needs_another_bot_user(read: Load, wrong: Wrong) -> None:
    assert 'agent "admin", forge_user: "admin" is reserved' in wrong(agent("", "admin"))[0]
    roster = read(agent('forge_user = "admin-bot"', "admin"))
    assert roster.agents["admin"].forge_user == "admin-bot"


@pytest.mark.parametrize("user", ["", "-a", "a-", "a--b", "a._b", "a b", "ä", "a/b"])
def test_a_bot_user_that_the_forge_would_refuse_is_told(wrong: Wrong, user: str) -> None:
    (line,) = wrong(agent(f'forge_user = "{user}"'))
    assert f'forge_user: "{user}" is no name that the forge takes; use letters' in line


def test_a_bot_user_has_at_most_forty_characters(read: Load, wrong: Wrong) -> None:
    assert read(agent(f'forge_user = "{"a" * 40}"'))
    assert "has 41 characters; use at most 40" in wrong(agent(f'forge_user = "{"a" * 41}"'))[0]


@pytest.mark.parametrize("second", ["Dev-Qwen", "dev-qwen"])
def test_two_agents_with_one_bot_user_are_told(wrong: Wrong, second: str) -> None:
    text = agent('forge_user = "dev-qwen"\n[agents.b]\nforge_user = ', "a").rstrip() + f'"{second}"'
    assert wrong(text) == [
        (
            'demo.toml:7: agent "b", forge_user: agent "a" has this bot user already; '
            "give each agent its own"
        )
    ]


def test_a_bot_user_may_not_be_another_agents_default(wrong: Wrong) -> None:
    (line,) = wrong(agent('[agents.b]\nforge_user = "dev-qwen"'))
    assert 'agent "b", forge_user: agent "dev-qwen" has this bot user already' in line


def test_two_bot_users_that_variables_cannot_tell_apart_are_told(wrong: Wrong) -> None:
    (line,) = wrong(agent('forge_user = "a-b"\n[agents.b]\nforge_user = "a_b"'))
    assert '"a_b" is the same as agent "dev-qwen"\'s "a-b" in variables\' names' in line


@pytest.mark.parametrize("name", ["demo", "my_project", "a1-b2", "1", "a" * 40])
def test_a_projects_name_is_one_that_docker_and_compose_take(read: Load, name: str) -> None:
    assert read(HEAD.replace('"demo"', f'"{name}"')).name == name


@pytest.mark.parametrize("name", ["", "My Project", "Demo", "-demo", "demo-", "a/b", "a" * 41])
def test_another_projects_name_is_told(wrong: Wrong, name: str) -> None:
    assert wrong(HEAD.replace('"demo"', f'"{name}"'))[0].startswith("demo.toml:1: name: ")


# Fields


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("compact_pct = 0", "0 is too small; write a number from 1 to 100"),
        ("compact_pct = 101", "101 is too large; write a number from 1 to 100"),
        ("compact_pct = 60.5", "60.5 is no whole number; write compact_pct = 60"),
        ("poll_interval = 0", "0 is too small; write a number of at least 1"),
        ("poll_interval = -5", "-5 is too small; write a number of at least 1"),
        ('poll_interval = "60"', '"60" is no whole number; write poll_interval = 60'),
        ("poll_interval = true", "true is no whole number; write poll_interval = 60"),
        ("rotation = 0", "0 is too small; write a number of at least 1"),
        ("max_credential_age_days = 0", "0 is too small; write a number of at least 1"),
        ('enabled = "yes"', '"yes" is neither true nor false; write enabled = true'),
        ("adopt = 1", "1 is neither true nor false; write adopt = true"),
        ("roles = []", '[] is no role at all; write roles = ["dev"]'),
        ('roles = "dev"', '"dev" is no list; write roles = ["dev"]'),
        ('roles = ["dev", "dev"]', 'the role "dev" stands there twice; name each role once'),
        ("roles = [3]", '3 is no text in quotes; write roles = ["dev"]'),
        ("model = 3", '3 is no text in quotes; write model = "unsloth/Qwen3.5-35B-A3B"'),
        ('formula = " "', "this is empty; write a value, or leave the line out"),
        (
            'formula = "../dev.md"',
            (
                '"../dev.md" is not a path in the repository; write a relative path without "..", '
                'such as "docs/dev.md"'
            ),
        ),
        ("context_window = 1023", "1023 is too small; write a number of at least 1024"),
        ('context_window = "64k"', '"64k" is no whole number; write context_window = 65536'),
        ("sandbox = false", 'false is no choice here; write "on" or "off"'),
        ('may_approve = "yes"', '"yes" is neither true nor false; write may_approve = true'),
        ("turns = 0", "0 is too small; write a number of at least 1"),
        ("minutes = 0", "0 is too small; write a number of at least 1"),
        ("minutes = 0.5", "0.5 is no whole number; write minutes = 60"),
        ("tokens = 0", "0 is too small; write a number of at least 1"),
        ("diff_lines = 0", "0 is too small; write a number of at least 1"),
        ("tasks_per_day = 0", "0 is too small; write a number of at least 1"),
        ("forge_user = 3", '3 is no text in quotes; write forge_user = "dev-qwen"'),
        ('credentials = "vault"', '"vault" is no choice here; write "file" or "env"'),
        ("cpus = 0", "0 is too small; write a number of at least 0.01"),
        ("cpus = nan", "NaN is no number; write cpus = 2.0"),
        ("pids = 0", "0 is too small; write a number of at least 1"),
        ("read_only = 0", "0 is neither true nor false; write read_only = false"),
        ('memory = "1m"', '"1m" is less than Docker allows; at least "6m"'),
        (
            'memory = "2 gigs"',
            (
                '"2 gigs" is no amount of memory; write a number and b, k, m or g, '
                'such as "2g" or "512m"'
            ),
        ),
        ('image = "Image:1"', '"Image:1" is no image; write one such as "muster-agent"'),
        ('image = "My Image"', '"My Image" is no image; write one such as "muster-agent"'),
        ("created = 2026-01-01", '"created" is no known field; known are adopt, api_key, '),
    ],
)
def test_a_wrong_value_is_told_with_a_right_one(wrong: Wrong, field: str, told: str) -> None:
    (line,) = wrong(agent(field))
    place = f'demo.toml:5: agent "dev-qwen", {field.partition(" ")[0]}: '
    assert line.startswith(place + told)


@pytest.mark.parametrize(
    "image", ["crew", "crew:1.2", "r.example.org:5000/a/b_c:V1", f"crew@sha256:{'0' * 64}"]
)
def test_an_image_is_named_as_docker_names_it(read: Load, image: str) -> None:
    assert read(agent(f'image = "{image}"')).agents["dev-qwen"].image == image


@pytest.mark.parametrize("role", ["Dev", "dev--ops", "", "a b"])
def test_a_role_follows_the_grammar_of_names(wrong: Wrong, role: str) -> None:
    assert f'roles: "{role}" is no valid name; use' in wrong(agent(f'roles = ["{role}"]'))[0]


def test_a_role_of_ones_own_is_taken(read: Load) -> None:
    roles = read(agent('roles = ["dev", "release-notes"]')).agents["dev-qwen"].roles
    assert roles == ("dev", "release-notes")


@pytest.mark.parametrize(
    ("key", "right"),
    [("compct_pct", "compact_pct"), ("forgeuser", "forge_user"), ("baseurl", "base_url")],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(
    wrong: Wrong, key: str, right: str
) -> None:
    assert wrong(agent(f"{key} = 1")) == [
        f'demo.toml:5: agent "dev-qwen", {key}: "{key}" is no known field; did you mean "{right}"?'
    ]


def test_an_agents_name_is_its_sections_and_no_field(wrong: Wrong) -> None:
    (line,) = wrong(agent('name = "other"'))
    assert 'agent "dev-qwen", name: "name" is no known field' in line


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ('imgae = "x"', 'muster.imgae: "imgae" is no known field; did you mean "image"?'),
        ("local_forge = 1", "muster.local_forge: 1 is neither true nor false"),
        ('network = "host"', 'muster.network: Docker\'s own network "host" has no names'),
        ('network = "my net"', 'muster.network: "my net" is no name of a Docker network'),
        (
            'docker_host = "10.0.0.1"',
            "muster.docker_host: this is not the address of a Docker Engine",
        ),
        ('docker_host = "ssh://"', "muster.docker_host: this is not the address of a Docker"),
        (
            'docker_host = "ssh://me:hunter22@host"',
            "muster.docker_host: an address of a Docker Engine cannot hold a password",
        ),
        (
            "network_options = { mtu = [1] }",
            "muster.network_options.mtu: an option of a Docker network is a text",
        ),
        ('env_file = ""', "muster.env_file: this is empty"),
        (
            'forge_internal_url = "http://127.0.0.1:3000"',
            (
                'muster.forge_internal_url: "http://127.0.0.1:3000" is the container itself, seen '
                'from inside it; for this machine write "http://host.docker.internal:3000"'
            ),
        ),
    ],
)
def test_a_wrong_setting_of_the_crew_is_told_once(wrong: Wrong, field: str, told: str) -> None:
    (line,) = wrong(muster(f"{field}\n[agents.a]\n[agents.b]"))
    assert line.startswith(f"demo.toml:5: {told}")


def test_options_of_a_network_that_exists_are_refused(wrong: Wrong) -> None:
    (line,) = wrong(muster('network = "a"\nnetwork_options = { mtu = 1 }'))
    assert line.startswith("demo.toml:6: muster.network_options: these are for a network that")


def test_numbers_and_truths_are_options_of_a_network_as_docker_takes_them(read: Load) -> None:
    roster = read(muster("network_options = { mtu = 1400, icc = false, name = 'br-acme' }"))
    assert roster.muster.network_options == {"mtu": "1400", "icc": "false", "name": "br-acme"}


# Formulas


@pytest.mark.parametrize("formula", ["dev", "night-watch", "formulas/dev.md", ".muster/dev.md"])
def test_a_formula_is_a_name_or_a_path_in_the_repository(read: Load, formula: str) -> None:
    assert read(agent(f'formula = "{formula}"')).agents["dev-qwen"].formula == formula


@pytest.mark.parametrize("formula", ["/etc/passwd", "a/../../b", "..", ".", "a\\\\b"])
def test_a_formula_outside_the_repository_is_an_error(wrong: Wrong, formula: str) -> None:
    (line,) = wrong(agent(f'formula = "{formula}"'))
    assert "is not a path in the repository; write a relative path without" in line


# Work


def work(text: str) -> str:
    """Return a roster whose `[muster.work]` fields begin on line 5."""
    return f"{HEAD}[muster.work]\n{text}\n[agents.a]\n[agents.b]\n"


def test_every_setting_for_work_can_be_set(read: Load) -> None:
    settings = (
        'label = "ready"\nauthors = ["ann", "Bob.2"]\nsetup = ["npm ci"]\n'
        'check = ["make lint", "make test"]\nnetwork = "open"\nturns = 1\nminutes = 2\n'
        'tokens = 3\ndiff_lines = 4\ntasks_per_day = 5\nmerge = "when-approved"\n'
        'protected_paths = ["infra/", "./deploy.sh"]'
    )
    assert read(work(settings)).muster.work.model_dump() == {
        "label": "ready",
        "authors": ("ann", "Bob.2"),
        "setup": ("npm ci",),
        "check": ("make lint", "make test"),
        "network": "open",
        "turns": 1,
        "minutes": 2,
        "tokens": 3,
        "diff_lines": 4,
        "tasks_per_day": 5,
        "merge": "when-approved",
        "protected_paths": ("infra", "deploy.sh"),
    }


@pytest.mark.parametrize("authors", ["writers", "anyone"])
def test_authors_can_be_a_keyword(read: Load, authors: str) -> None:
    assert read(work(f'authors = "{authors}"')).muster.work.authors == authors


@pytest.mark.parametrize("authors", ['"ann"', '"Writers"', "[]", "true", "3"])
def test_other_authors_are_an_error_that_names_the_choices(wrong: Wrong, authors: str) -> None:
    assert wrong(work(f"authors = {authors}")) == [
        (
            'demo.toml:5: muster.work.authors: must be "writers", "anyone" or a list of forge '
            'users, such as ["ann", "bob"]'
        )
    ]


@pytest.mark.parametrize("user", ['"a b"', '""', "3", '"a/b"'])
def test_an_author_must_be_a_valid_forge_user(wrong: Wrong, user: str) -> None:
    (line,) = wrong(work(f'authors = ["ann", {user}]'))
    assert "is not a valid forge user; write user names, such as" in line


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ('labl = "x"', 'labl: "labl" is no known field; did you mean "label"?'),
        ("diff_line = 1", 'diff_line: "diff_line" is no known field; did you mean "diff_lines"?'),
        ('label = ""', "label: this is empty; write a value, or leave the line out"),
        ('setup = "make"', 'setup: "make" is no list; write setup = ["npm ci"]'),
        ("check = [1]", 'check: 1 is no text in quotes; write check = ["make test"]'),
        ('check = [" "]', "check: this is empty; write a value, or leave the line out"),
        ('network = "on"', 'network: "on" is no choice here; write "none" or "open"'),
        ("merge = true", 'merge: true is no choice here; write "never" or "when-approved"'),
        ("turns = 0", "turns: 0 is too small; write a number of at least 1"),
        ("tokens = 1.5", "tokens: 1.5 is no whole number; write tokens = 2000000"),
        ("tasks_per_day = 0", "tasks_per_day: 0 is too small; write a number of at least 1"),
        (
            'protected_paths = ["/etc"]',
            (
                'protected_paths: "/etc" is not a path in the repository; write a relative path '
                'without "..", such as "docs/dev.md"'
            ),
        ),
    ],
)
def test_a_wrong_setting_for_work_is_reported_once(wrong: Wrong, field: str, message: str) -> None:
    assert wrong(work(field)) == [f"demo.toml:5: muster.work.{message}"]


def test_work_must_be_a_section(wrong: Wrong) -> None:
    assert wrong(muster("work = 3")) == [
        "demo.toml:5: muster.work: 3 is no section; write [muster.work] and its fields below it"
    ]


# Endpoints

LLAMA = '[agents.a]\nbase_url = "http://llama:8081/"\nmodel = "m"\n'


def test_an_endpoint_has_one_slot_unless_the_roster_says_otherwise(read: Load) -> None:
    one = read(f'{HEAD}{LLAMA}[muster.endpoints."http://llama:8081"]\n')
    two = read(f'{HEAD}{LLAMA}[muster.endpoints."http://llama:8081"]\nslots = 2\n')
    assert one.muster.endpoints["http://llama:8081"].slots == 1
    assert two.muster.endpoints["http://llama:8081"].slots == 2


def test_trailing_slashes_of_an_endpoints_section_do_not_count(read: Load) -> None:
    roster = read(f'{HEAD}{LLAMA}[muster.endpoints."http://llama:8081//"]\nslots = 2\n')
    assert roster.muster.endpoints[str(roster.agents["a"].base_url)].slots == 2


def test_a_disabled_agents_endpoint_may_have_a_section(read: Load) -> None:
    text = f'{HEAD}{LLAMA}enabled = false\n[muster.endpoints."http://llama:8081"]\n'
    assert read(text).muster.endpoints


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            '"llama:8081"',
            (
                '"llama:8081": "llama:8081" is no URL; write http:// or https:// and a host, such '
                'as "http://10.0.0.5:8081"'
            ),
        ),
        (
            '"http://localhost:8081"',
            (
                '"http://localhost:8081": "http://localhost:8081" is the container itself, seen '
                'from inside it; for this machine write "http://host.docker.internal:8081"'
            ),
        ),
    ],
)
def test_a_section_of_something_that_is_not_an_endpoint_is_an_error(
    wrong: Wrong, section: str, message: str
) -> None:
    lines = wrong(f"{HEAD}{LLAMA}[muster.endpoints.{section}]\nslots = 2\n")
    assert lines == [f"demo.toml:7: muster.endpoints.{message}"]


def test_an_endpoints_section_may_outlive_its_last_agent(read: Load) -> None:
    assert read(f'{HEAD}[muster.endpoints."http://llama:8081"]\n').muster.endpoints


def test_two_sections_of_one_endpoint_are_an_error(wrong: Wrong) -> None:
    sections = '[muster.endpoints."http://llama:8081"]\n[muster.endpoints."http://llama:8081/"]\n'
    assert wrong(f"{HEAD}{LLAMA}{sections}") == [
        (
            'demo.toml:8: muster.endpoints."http://llama:8081/": this is the same endpoint as '
            '"http://llama:8081"; keep one of the two sections'
        )
    ]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("slots = 0", "slots: 0 is too small; write a number of at least 1"),
        ('slots = "2"', 'slots: "2" is no whole number; write slots = 2'),
        ("slot = 2", 'slot: "slot" is no known field; did you mean "slots"?'),
    ],
)
def test_a_wrong_field_of_an_endpoint_is_reported(wrong: Wrong, field: str, message: str) -> None:
    lines = wrong(f'{HEAD}{LLAMA}[muster.endpoints."http://llama:8081"]\n{field}\n')
    assert lines == [f'demo.toml:8: muster.endpoints."http://llama:8081".{message}']


def test_endpoints_without_a_url_are_one_error(wrong: Wrong) -> None:
    (line,) = wrong(f"{HEAD}{LLAMA}[muster.endpoints]\nslots = 2\n")
    assert line.startswith('demo.toml:8: muster.endpoints.slots: "slots" is no URL; write http://')


def test_an_endpoint_must_be_a_section(wrong: Wrong) -> None:
    lines = wrong(f'{HEAD}{LLAMA}[muster.endpoints]\n"http://llama:8081" = 2\n')
    assert lines == [
        (
            'demo.toml:8: muster.endpoints."http://llama:8081": 2 is no section; write '
            '[muster.endpoints."http://llama:8081"] and its fields below it'
        )
    ]


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8081",
        "http://LOCALHOST",
        "http://x.localhost:1",
        "http://127.0.0.1:8081",
        "http://127.1:8081",
        "http://0.0.0.0:8081",
        "http://[::1]:8081",
        "http://[::]:8081",
        "http://[::ffff:127.0.0.1]:8081",
    ],
)
def test_an_endpoint_that_is_the_container_itself_is_told_with_the_host(
    wrong: Wrong, url: str
) -> None:
    (line,) = wrong(agent(f'model = "m"\nbase_url = "{url}"'))
    assert line.startswith(
        f'demo.toml:6: agent "dev-qwen", base_url: "{url}" is the container itself, seen from '
        'inside it; for this machine write "http://host.docker.internal'
    )


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "https://llama.example.org:8443/llama", "http://[fd00::1]:8081"]
)
def test_a_good_endpoint_is_taken_as_it_is(read: Load, url: str) -> None:
    assert read(agent(f'model = "m"\nbase_url = "{url}"')).agents["dev-qwen"].base_url == url


@pytest.mark.parametrize(
    "url",
    ["10.0.0.1:8081", "llama:8081", "ftp://llama", "http://", "http:///x", "http://x:99999", "x"],
)
def test_an_endpoint_that_is_no_url_is_told(wrong: Wrong, url: str) -> None:
    (line,) = wrong(agent(f'model = "m"\nbase_url = "{url}"'))
    assert f'base_url: "{url}" is no URL; write http:// or https:// and a host' in line


def test_an_endpoint_without_a_model_is_told_together_with_a_bad_url(wrong: Wrong) -> None:
    lines = wrong(agent('base_url = "llama:8081"'))
    assert [line.partition(";")[0] for line in lines] == [
        'demo.toml:4: agent "dev-qwen", model: missing, and required with base_url',
        'demo.toml:5: agent "dev-qwen", base_url: "llama:8081" is no URL',
    ]


@pytest.mark.parametrize("where", ["base_url", "forge_url"])
def test_credentials_in_a_url_are_told_and_not_repeated(wrong: Wrong, where: str) -> None:
    url = "http://someone:hunter2@10.0.0.1:3000"
    text = agent(f'model = "m"\nbase_url = "{url}"')
    if where == "forge_url":
        text = HEAD.replace("https://forge.example.org", url)
    (line,) = wrong(text)
    assert f"{where}: the URL has credentials in it; remove them" in line
    assert "hunter2" not in line


def test_credentials_in_an_endpoints_section_are_not_repeated(wrong: Wrong) -> None:
    (line,) = wrong(f'{HEAD}[muster.endpoints."http://someone:hunter2@llama:8081"]\n')
    assert "the URL has credentials in it; remove them" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("url", ["http://f.example.org/?a=b", "http://f.example.org/#x"])
def test_a_forge_has_a_plain_url(wrong: Wrong, url: str) -> None:
    assert "has a ? or # in it" in wrong(HEAD.replace("https://forge.example.org", url))[0]


# Secrets


@pytest.mark.parametrize(
    "field",
    [
        'api_key = "SECRET"',
        'apikey = "SECRET"',
        'base_url = "SECRET"',
        'image = "SECRET X"',
        'model = {key = "SECRET"}',
        'roles = ["x SECRET"]',
        'roles = ["SECRET", "SECRET"]',
        'network = "http://someone:SECRET@forge"',
    ],
)
def test_what_looks_like_a_secret_is_never_repeated(wrong: Wrong, field: str) -> None:
    secret = "sk-ant-api03-0123456789"
    lines = wrong(agent(field.replace("SECRET", secret) + '\nrotation = "x"'))
    assert len(lines) >= 2
    assert "0123456789" not in "\n".join(lines)


REAL_KEYS = [
    "sk-ant-api03-" + "aB3_-" * 19 + "AA",
    "sk-ant-oat01-" + "aB3_-" * 19 + "AA",
    "sk-ant-admin01-" + "aB3_-" * 19,
    "sk-or-v1-" + "0123456789abcdef" * 4,
    "sk-proj-" + "aB3_-" * 30,
    "sk-svcacct-" + "aB3_-" * 30,
    "sk-" + "aB3" * 16,  # OpenAI's first ones
    "sk-" + "0123456789abcdef" * 2,  # DeepSeek, DashScope
    "sk-" + "aB3_-xY7qZ" + "kL9mN2pQ5rS8",  # a virtual key of LiteLLM's
    "sk-lm-" + "aB3dE5gH:kL9mN2pQ5rS8tU1vW4xY",  # LM Studio
    "gsk_" + "aB3dE5gH" * 6 + "aB3d",
    "hf_" + "aBcdEfgh" * 4 + "aB",
    "AIza" + "aB3_-dE" * 5,
    "xai-" + "aB3dE5gH" * 10,
    "nvapi-" + "aB3_-dE5" * 8,
    "pplx-" + "aB3dE5gH" * 6,
    "csk-" + "a3d5g7h9" * 6,
    "fw_" + "aB3dE5gH" * 3,
    "r8_" + "aB3dE5gH" * 4 + "aB3dE",
    "tgp_v1_" + "aB3_-dE5" * 5,
    "AKIA" + "AB3DE5GH" * 2,
    "ABSK" + "aB3dE5g+" * 12 + "==",
    "dapi" + "0123456789abcdef" * 2,
    "0123456789abcdef" * 2 + "." + "aB3dE5gH" * 2,  # Z.ai
    "ghp_" + "aB3dE5gH" * 4 + "aB3d",
]


@pytest.mark.parametrize("key", REAL_KEYS)
@pytest.mark.parametrize(
    "text",
    [
        agent('api_key = "KEY"'),
        agent('api_key = "Bearer KEY"'),
        agent('base_url = "http://llama:8081"\nmodel = "KEY"'),
        muster('work.setup = ["true", "export KEY=1; x KEY"]'),
        f'{HEAD}[mirror]\ntokens = [{{value = "KEY"}}]\n',
        f'{HEAD}[mirror]\n"KEY" = 1\n',
    ],
)
def test_a_real_key_is_refused_wherever_it_stands_and_never_repeated(
    wrong: Wrong, key: str, text: str
) -> None:
    lines = wrong(text.replace("KEY", key))
    assert any(
        "this looks like a real API key, and a real key never goes in the roster" in line
        and "muster key NAME" in line
        and "demo.toml:" in line
        for line in lines
    )
    assert key not in "\n".join(lines)


@pytest.mark.parametrize(
    "placeholder",
    ["sk-no-key-required", "sk-1234", "none", "EMPTY", "ollama", "lm-studio", "sk-local-llama"],
)
def test_a_placeholder_is_none(read: Load, placeholder: str) -> None:
    assert read(agent(f'api_key = "{placeholder}"')).agents["dev-qwen"].api_key == placeholder


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://llama:8081/", "http://llama:8081"),
        ("http://llama:8081/v1", "http://llama:8081"),
        ("http://llama:8081/v1/", "http://llama:8081"),
        ("http://llama:8081/v1/messages", "http://llama:8081"),
        ("http://llama:8081/v1/messages/count_tokens", "http://llama:8081"),
        ("http://llama:8081/v1/models", "http://llama:8081"),
        ("http://llama:8081//v1//", "http://llama:8081"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api"),
        ("https://host/anthropic/v1/messages", "https://host/anthropic"),
        ("HTTP://Llama:8081", "http://llama:8081"),
        ("http://llama:80", "http://llama"),
        ("https://llama:443/v1", "https://llama"),
        ("http://[FD00::1]:8081/v1", "http://[fd00::1]:8081"),
    ],
)
def test_an_endpoint_is_normalised_to_what_claude_code_appends_to(
    read: Load, written: str, url: str
) -> None:
    text = agent(f'model = "m"\nbase_url = "{written}"') + (
        f'[muster.endpoints."{written}"]\nslots = 2\n'
    )
    roster = read(text)
    assert roster.agents["dev-qwen"].base_url == url
    assert roster.muster.endpoints[url].slots == 2


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("http://llama:8081/v1/chat/completions", 'write "http://llama:8081"'),
        ("http://ollama:11434/api/chat", 'write "http://ollama:11434"'),
        ("http://llama:8081/health", 'write "http://llama:8081"'),
        ("https://api.anthropic.com", "leave base_url out"),
        ("https://api.anthropic.com/v1/messages", "leave base_url out"),
    ],
)
def test_an_endpoint_of_another_api_is_refused_with_the_right_form(
    wrong: Wrong, written: str, told: str
) -> None:
    (line,) = wrong(agent(f'model = "m"\nbase_url = "{written}"'))
    assert line.startswith('demo.toml:6: agent "dev-qwen", base_url: ')
    assert told in line


@pytest.mark.parametrize(
    "written",
    [
        *("https://forge.example.org/", "https://forge.example.org/api/v1"),
        *("https://forge.example.org/api/v1/", "https://Forge.example.org:443/api/swagger"),
        "https://forge.example.org/api/v1/repos/acme/demo",
    ],
)
def test_a_forge_is_normalised_to_its_root(read: Load, written: str) -> None:
    text = HEAD.replace("https://forge.example.org", written)
    text += f'[muster]\nforge_internal_url = "{written}"\n'
    roster = read(text)
    assert roster.forge_url == roster.muster.forge_internal_url == "https://forge.example.org"


def test_a_forge_may_be_below_a_path(read: Load) -> None:
    roster = read(HEAD.replace("forge.example.org", "example.org/git/api/v1"))
    assert roster.forge_url == "https://example.org/git"


def test_a_repository_in_place_of_a_forge_is_told_with_the_forge(wrong: Wrong) -> None:
    (line,) = wrong(HEAD.replace("forge.example.org", "forge.example.org/acme/demo.git"))
    assert line.startswith("demo.toml:3: forge_url: ")
    assert 'such as "https://forge.example.org"' in line


@pytest.mark.parametrize("written", ["acme/demo.git", "/acme/demo", "acme/demo/", "acme/demo.git/"])
def test_a_repository_is_normalised_to_owner_and_name(read: Load, written: str) -> None:
    assert read(HEAD.replace("acme/demo", written)).repo == "acme/demo"


@pytest.mark.parametrize(
    "written",
    [
        "https://forge.example.org/acme/demo",
        "https://forge.example.org/acme/demo.git",
        "ssh://git@forge.example.org:2222/acme/demo.git",
        "git@forge.example.org:acme/demo.git",
    ],
)
def test_a_repositorys_address_is_refused_with_owner_and_name(wrong: Wrong, written: str) -> None:
    (line,) = wrong(HEAD.replace("acme/demo", written))
    assert line.startswith("demo.toml:2: repo: this is a repository's address")
    assert 'such as "acme/demo"' in line


@pytest.mark.parametrize(
    ("written", "memory", "size"),
    [
        ("512m", "512m", 512 * 1024**2),
        ("512M", "512m", 512 * 1024**2),
        ("512mb", "512m", 512 * 1024**2),
        ("512MiB", "512m", 512 * 1024**2),
        ("2gb", "2g", 2 * 1024**3),
        ("2GiB", "2g", 2 * 1024**3),
        ("2 GB", "2g", 2 * 1024**3),
        ("2Gi", "2g", 2 * 1024**3),
        ("2048m", "2g", 2 * 1024**3),
        ("1.5g", "1536m", 1536 * 1024**2),
        ("1t", "1024g", 1024**4),
        ("2147483648", "2g", 2 * 1024**3),
        ("2147483648b", "2g", 2 * 1024**3),
    ],
)
def test_memory_is_read_in_composes_units(read: Load, written: str, memory: str, size: int) -> None:
    found = read(agent(f'memory = "{written}"')).agents["dev-qwen"]
    assert (found.memory, found.memory_bytes) == (memory, size)


def test_memory_without_a_unit_is_bytes_to_docker_and_told(wrong: Wrong) -> None:
    (line,) = wrong(agent('memory = "512"'))
    assert 'at least "6m"; did you mean "512m"?' in line


# Files


def test_everything_that_is_wrong_is_told_at_once_in_the_files_order(wrong: Wrong) -> None:
    lines = wrong(
        'repo = "acme"\n'
        "muster.pids = 0\n"
        'agents.a.roles = [\n  "dev", # ]\n  "dev",\n]\n'
        "[agents.b]\n"
        'formula = """\n[agents.c]\ncompact_pct = 5\n"""\n'
        "compact_pct = 500\n"
        "[[mirrors]]\n"
        "[agents.c.deeper]\n"
        "x = 1\n"
        "[agents.d]\n"
        "forge_user = 'b'\n"
    )
    assert [line.split(": ")[:2] for line in lines] == [
        ["demo.toml", "name"],
        ["demo.toml", "forge_url"],
        ["demo.toml:1", "repo"],
        ["demo.toml:2", "muster.pids"],
        ["demo.toml:3", 'agent "a", roles'],
        ["demo.toml:8", 'agent "b", formula'],
        ["demo.toml:12", 'agent "b", compact_pct'],
        ["demo.toml:14", 'agent "c", deeper'],
        ["demo.toml:17", 'agent "d", forge_user'],
    ]


def test_what_only_looks_like_the_end_of_a_line_is_not_counted(wrong: Wrong) -> None:
    (line,) = wrong(f'{HEAD}note = "a\u2028b"\n[agents.dev-qwen]\ncompact_pct = 0')
    assert line.startswith("demo.toml:6:")


def test_what_is_missing_is_told_where_the_section_begins(wrong: Wrong) -> None:
    lines = wrong(agent('base_url = "http://llama"\n[agents.dev-qwen.deeper]'))
    assert [line.partition(";")[0] for line in lines] == [
        'demo.toml:4: agent "dev-qwen", model: missing, and required with base_url',
        'demo.toml:6: agent "dev-qwen", deeper: "deeper" is no known field',
    ]


def test_a_missing_forge_is_told_with_both_ways_to_name_one(wrong: Wrong) -> None:
    assert wrong('name = "demo"\nrepo = "acme/demo"\n') == [
        (
            'demo.toml: forge_url: missing; write forge_url = "https://forge.example.org", '
            "or local_forge = true under [muster]"
        )
    ]


def test_a_wrong_repository_is_told_with_a_right_one(wrong: Wrong) -> None:
    for repository in ("", "demo", "a/b/c", "acme/", "a b/c"):
        (line,) = wrong(HEAD.replace("acme/demo", repository))
        assert line.endswith('is no repository; write owner/name, such as "acme/site"')


def test_what_is_no_section_is_told(wrong: Wrong) -> None:
    assert wrong(f"{HEAD}agents.a = 3\n") == [
        'demo.toml:4: agent "a": 3 is no section; write [agents.a] and its fields below it'
    ]
    assert "agents: [] is no section" in wrong(f"{HEAD}agents = []\n")[0]
    assert 'muster: "x" is no section' in wrong(f'{HEAD}muster = "x"\n')[0]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[agents.a]\n[agents.a]", 5, "the section [agents.a] stands there twice; keep one"),
        ("a = 1\na = 2", 5, "this key stands there twice; keep one"),
        ("a =", 4, "Invalid value"),
        ("a = 1\nb = [1", 5, "Unclosed array"),
        ("a = 1 b = 2", 4, "Expected newline or end of document after a statement"),
    ],
)
def test_text_that_is_no_toml_is_told_with_its_line(
    wrong: Wrong, text: str, line: int, told: str
) -> None:
    (told_of,) = wrong(f"{HEAD}{text}\n")
    assert told_of.startswith(f"demo.toml:{line}: this is no valid TOML: ")
    assert told in told_of


def test_a_missing_roster_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "stacks" / "demo.toml"
    with pytest.raises(RosterError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path}: there is no such roster; write one there, or name another with "
        "pulumi config set muster:roster PATH"
    )


def test_a_folder_in_the_rosters_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(RosterError, match="this cannot be read: Is a directory"):
        load(tmp_path)


def test_text_that_is_no_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_bytes(HEAD.encode() + b'a = "\xff"\n')
    with pytest.raises(RosterError, match=r"demo\.toml:4: this is no UTF-8 text"):
        load(path)


# The schema


def test_the_published_schema_is_the_models() -> None:
    published = Path(schema.__file__).with_name("roster.schema.json")
    command = [sys.executable, "-m", "muster.schema"]
    root = published.parents[1]
    printed = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout
    assert published.read_text() == printed, "run: python -m muster.schema > " + str(published)


def test_the_schema_knows_every_field_that_a_file_may_have() -> None:
    tables = schema.json_schema()["$defs"]
    fields = {name: set(table["properties"]) for name, table in tables.items()}
    assert fields == {
        "Agent": set(Agent.model_fields) - {"name"} | {"harness"},
        "Muster": set(Muster.model_fields),
        "Work": set(Work.model_fields),
        "Endpoint": {"slots"},
    }
    described = [field for table in tables.values() for field in table["properties"].values()]
    assert all("description" in field for field in described)


def test_the_schema_gives_agents_no_default_of_what_they_take_from_muster() -> None:
    agent = schema.json_schema()["$defs"]["Agent"]["properties"]
    assert [agent[key].get("default") for key in ("image", "read_only", "turns")] == 3 * [None]
    assert agent["turns"]["description"].endswith("Default: as in [muster.work].")
    assert agent["read_only"]["description"].endswith("Default: as in [muster].")


def test_the_schema_takes_names_of_agents_but_not_the_factorys_schedule() -> None:
    (pattern,) = schema.json_schema()["properties"]["agents"]["patternProperties"]
    assert pattern == rules.NAME_PATTERN.replace("^", "^(?!schedule$)(?=.{1,40}$)", 1)
    assert re.search(pattern, "a" * 40)
    assert not re.search(pattern, "a" * 41)


def test_the_schema_reports_a_missing_forge_url_as_such() -> None:
    document = schema.json_schema()
    assert "anyOf" not in document
    assert document["if"]["properties"]["muster"]["properties"] == {"local_forge": {"const": True}}
    assert document["else"] == {"required": ["forge_url"]}


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("http://host.docker.internal:8081", True),
        ("https://localhost.example.org/x", True),
        ("http://0.pool.example.org", True),
        ("", True),
        ("http://localhost:8081", False),
        ("https://api.localhost", False),
        ("http://127.0.0.1", False),
        ("http://127.1:80", False),
        ("http://0.0.0.0:8081/v1", False),
        ("http://[::1]:8081", False),
        ("http://me:password@models:8081", False),
        ("http://models:8081?key=a", False),
        ("models:8081", False),
    ],
)
def test_the_schema_knows_an_endpoints_url_as_the_loader_does(value: str, fits: bool) -> None:  # noqa: FBT001
    field = schema.json_schema()["$defs"]["Agent"]["properties"]["base_url"]
    assert bool(re.search(field["pattern"], value)) is fits
    if fits and value:
        assert rules.endpoint_url(value)
    elif value:
        with pytest.raises(ValueError, match=r"is no URL|container itself|credentials|leave out"):
            rules.endpoint_url(value)


def test_the_schema_refuses_an_empty_forge_url_and_real_keys_as_the_loader_does() -> None:
    document = schema.json_schema()
    assert not re.search(document["properties"]["forge_url"]["pattern"], "")
    key = document["definitions"]["RealKey"]["pattern"]
    assert "#" not in key
    assert re.search(key, "sk-ant-api03-abc")
    assert re.search(key, "Bearer " + "gsk_" + 20 * "a")
    assert not re.search(key, "sk-no-key-required")
    fields = document["$defs"]["Agent"]["properties"]
    refused = {"$ref": "#/definitions/RealKey"}
    assert fields["api_key"]["not"] == fields["env"]["additionalProperties"]["not"] == refused
    assert document["properties"]["repo"]["not"] == refused


def test_the_schema_knows_that_a_reader_has_no_writing_role() -> None:
    table = schema.json_schema()["$defs"]["Agent"]
    assert table["if"]["properties"] == {"permission": {"const": "read"}}
    assert table["then"]["required"] == ["roles"]
    assert table["then"]["properties"]["roles"]["items"] == {"not": {"enum": ["dev", "gardener"]}}
    assert table["properties"]["roles"]["uniqueItems"]


@pytest.mark.parametrize(
    ("text", "place", "kind"),
    [
        (agent(r'model = "a\u001b[2Jb"'), 'demo.toml:5: agent "dev-qwen", model', "U+001B"),
        (agent(r'api_key = "sk\tx"'), 'demo.toml:5: agent "dev-qwen", api_key', "U+0009"),
        (agent(r'roles = ["dev\n"]'), 'demo.toml:5: agent "dev-qwen", roles', "U+000A"),
        (
            agent(r'base_url = "http://x\u0000"'),
            'demo.toml:5: agent "dev-qwen", base_url',
            "U+0000",
        ),
        (agent("", r'"dev\u202eqwen"'), 'demo.toml:4: agent "devqwen"', "U+202E"),
        (HEAD.replace("acme/demo", r"acme/demo\u007f"), "demo.toml:2: repo", "U+007F"),
        (muster(r'env_file = ".env\r"'), "demo.toml:5: muster.env_file", "U+000D"),
        (muster(r'work.label = "back\u0085log"'), "demo.toml:5: muster.work.label", "U+0085"),
        (muster(r'work.check = ["a\u001bb"]'), "demo.toml:5: muster.work.check", "U+001B"),
    ],
)
def test_control_characters_are_refused_everywhere(
    text: str, place: str, kind: str, wrong: Wrong
) -> None:
    said = f"there is a control character ({kind}) in this text; remove it"
    assert f"{place}: {said}" in wrong(text)
    assert all(line.isprintable() for line in wrong(text))


def test_commands_may_have_several_lines_and_the_factorys_texts_are_its_own(read: Load) -> None:
    work = muster('work.check = ["""\n\tmake test\n\tmake lint\n"""]\n[ci]\nnote = """a\nb"""')
    assert read(work).muster.work.check == ("\tmake test\n\tmake lint\n",)
