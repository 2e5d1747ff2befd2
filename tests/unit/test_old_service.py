"""What an agent keeps of its old service's environment, and where its secrets go."""

from pathlib import Path

import pytest

from muster import factory, old_service, roster
from muster.factory import Factory
from muster.old_service import Service

# As disinto's generator writes it (lib/generators.sh), with a few of an operator's own.
VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin",
    "FORGE_URL": "http://forgejo:3000",
    "FORGE_REPO": "acme/site",
    "FACTORY_REPO": "acme/disinto",
    "FORGE_TOKEN": "token-of-the-bot",
    "FORGE_PASS": "password-of-the-bot",
    "FORGE_REVIEW_TOKEN": "token-of-another",
    "FORGE_BOT_USERNAMES": "",
    "AGENT_ROLES": "dev",
    "CLAUDE_TIMEOUT": "7200",
    "ANTHROPIC_BASE_URL": "http://10.10.10.1:8081",
    "ANTHROPIC_API_KEY": "sk-no-key-required",
    "CLAUDE_MODEL": "a-model",
    "CLAUDE_CONFIG_DIR": "/var/lib/disinto/claude-shared/config",
    "CLAUDE_CREDENTIALS_DIR": "/var/lib/disinto/claude-shared/config/credentials",
    "CLAUDE_CODE_ENABLE_TELEMETRY": "0",
    "DISINTO_CONTAINER": "1",
    "PROJECT_REPO_ROOT": "/home/agent/repos/acme",
    "WOODPECKER_REPO_ID": "7",
    "WOODPECKER_TOKEN": "token-of-ci",
    "FORGE_BOT_USER_DEV_BOT": "dev-bot",
    "POLL_INTERVAL": "60",
    "PLANNER_INTERVAL": "43200",
    "HTTPS_PROXY": "http://ann:open-sesame@proxy:3128",
    "NO_PROXY": "forgejo",
    "NOTE": "two\nlines",
}
SERVICE = Service(
    ("works_disinto-net",),
    (),
    VARIABLES,
    "ghcr.io/disinto/agents:1",
    {"PATH": VARIABLES["PATH"]},
    ("/var/lib/disinto/claude-shared", "/home/agent/.ssh"),
)
SECRETS = ("token-of", "password-of", "open-sesame")

HEAD = 'name = "acme"\nrepo = "acme/site"\nforge_url = "http://localhost:3000"\n'
SECTION = '[agents.dev]\nbase_url = "http://10.10.10.1:8081"\nmodel = "a-model"\n'


def read(
    folder: Path, section: str = SECTION, /, environment: str = "", **services: Service
) -> Factory:
    """Read a factory with one project file; without variables it has no `.env`."""
    file = folder / "disinto" / "projects" / "acme.toml"
    file.parent.mkdir(parents=True)
    file.write_text(HEAD + section)
    if environment:
        (file.parent.parent / ".env").write_text(environment)
    named = {name.replace("_", "-"): each for name, each in services.items()}
    return factory.read(file, named)


def written(found: Factory, folder: Path) -> tuple[str, roster.Roster]:
    path = folder / "roster.toml"
    path.write_text(factory.with_agents(factory.new_roster(found), found.agents))
    return path.read_text(), roster.load(path)


def with_variables(**variables: str) -> Service:
    return Service((), (), {**VARIABLES, **variables}, SERVICE.image)


def test_an_agent_keeps_the_variables_that_muster_does_not_set(tmp_path: Path) -> None:
    text, made = written(read(tmp_path, agents_dev=SERVICE), tmp_path)
    assert made.agents["dev"].env == {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "0",
        "CLAUDE_TIMEOUT": "7200",
        "FACTORY_REPO": "acme/disinto",
        "NO_PROXY": "forgejo",
        "PLANNER_INTERVAL": "43200",
        "WOODPECKER_REPO_ID": "7",
    }
    assert not any(secret in text for secret in SECRETS)
    # One line: a table of its own would keep the commands from editing the agent's section.
    assert "\nenv = {" in text


def test_what_an_agent_does_not_keep_is_named_without_its_value(tmp_path: Path) -> None:
    [agent] = read(tmp_path, agents_dev=SERVICE).agents
    found = agent.environment
    assert found.secrets == ["FORGE_REVIEW_TOKEN", "HTTPS_PROXY", "WOODPECKER_TOKEN"]
    assert found.lost == ["CLAUDE_CREDENTIALS_DIR"]
    assert "control character" in found.refused["NOTE"]
    assert found.left == [
        "CLAUDE_CREDENTIALS_DIR",
        "FORGE_REVIEW_TOKEN",
        "HTTPS_PROXY",
        "NOTE",
        "WOODPECKER_TOKEN",
    ]
    assert not any(secret in repr(agent) for secret in SECRETS)


def test_musters_runtime_gets_no_variables_that_only_disinto_reads() -> None:
    found = old_service.environment(SERVICE, "muster")
    assert set(found.kept) == {"CLAUDE_CODE_ENABLE_TELEMETRY", "NO_PROXY"}


def test_a_sections_own_variables_come_first(tmp_path: Path) -> None:
    section = f'{SECTION}env = {{CLAUDE_TIMEOUT = "60"}}\n'
    _, made = written(read(tmp_path, section, agents_dev=SERVICE), tmp_path)
    assert made.agents["dev"].env["CLAUDE_TIMEOUT"] == "60"
    assert made.agents["dev"].env["PLANNER_INTERVAL"] == "43200"


def test_secrets_come_from_the_running_services_if_there_is_no_env_file(tmp_path: Path) -> None:
    own = with_variables(FORGE_ADMIN_PASS="open-sesame", ANTHROPIC_API_KEY="sk-ant-api03-made-up")
    found = read(tmp_path, agents_dev=SERVICE, agents=own)
    assert found.administrator == {
        "FORGE_ADMIN_USER": "disinto-admin",
        "FORGE_ADMIN_PASS": "open-sesame",
    }
    assert found.secrets_from == "the service agents"
    assert found.anthropic_api_key == "sk-ant-api03-made-up"
    assert found.agents[0].password == "password-of-the-bot"
    assert found.agents[0].key is None  # a placeholder
    assert not any(secret in repr(found) for secret in (*SECRETS, "made-up"))


def test_the_env_file_comes_before_the_services(tmp_path: Path) -> None:
    variables = "FORGE_ADMIN_PASS=new\nFORGE_PASS_DEV_BOT=newer\nANTHROPIC_API_KEY=newest\n"
    own = with_variables(FORGE_ADMIN_PASS="old", ANTHROPIC_API_KEY="sk-ant-api03-old")
    found = read(tmp_path, environment=variables, agents_dev=SERVICE, agents=own)
    assert found.administrator["FORGE_ADMIN_PASS"] == "new"
    assert found.secrets_from == f"{found.folder}/.env"
    assert (found.agents[0].password, found.anthropic_api_key) == ("newer", "newest")


def test_the_secrets_of_a_factory_with_sops_are_named_where_they_are(tmp_path: Path) -> None:
    found = read(tmp_path, agents_dev=SERVICE)
    assert found.env_file.name == ".env"
    (found.folder / ".env.enc").touch()
    assert found.env_file.name == ".env.enc"


REAL = "sk-proj-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("line", "in_service", "key"),
    [
        ("", "sk-no-key-required", None),
        ("", "a-gateways-own-key", "a-gateways-own-key"),
        ('api_key = "local"', "local", None),
        ('api_key = "local"', "a-gateways-own-key", "a-gateways-own-key"),
        (f'api_key = "{REAL}"', REAL, REAL),
        (f'api_key = "{REAL}"', "", REAL),
    ],
)
def test_a_real_key_of_an_own_endpoint_never_gets_into_the_roster(
    tmp_path: Path, line: str, in_service: str, key: str | None
) -> None:
    service = with_variables(ANTHROPIC_API_KEY=in_service)
    found = read(tmp_path, f"{SECTION}{line}\n", agents_dev=service)
    assert found.agents[0].key == key
    text, _ = written(found, tmp_path)
    assert key is None or key not in text


def test_an_agent_at_the_anthropic_api_has_the_key_of_its_service(tmp_path: Path) -> None:
    variables = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-made-up"}
    found = read(tmp_path, "[agents.dev]\n", agents_dev=Service((), (), variables))
    assert found.anthropic_api_key == found.agents[0].key == "sk-ant-oat01-made-up"
