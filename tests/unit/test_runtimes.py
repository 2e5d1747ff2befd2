"""What runs in an agent's container besides Muster's own image, and what the roster says of it."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from declared import project

from muster import container, preflight, runtimes
from muster.compose import Service
from muster.roster import Agent, RosterError, load

HEAD = 'name = "demo"\nrepo = "acme/demo"\nforge_url = "https://forge.example.org"\n'
DISINTO = '[agents.dev]\nimage = "ghcr.io/disinto/agents:1"\n'


def agent(folder: Path, section: str, muster: str = "") -> Agent:
    """Return the agent `dev` of a roster."""
    path = folder / "live.toml"
    path.write_text(f"{HEAD}[muster]\n{muster}\n[agents.dev]\n{section}\n")
    return load(path).agents["dev"]


def refusal(folder: Path, section: str, muster: str = "") -> str:
    with pytest.raises(RosterError) as caught:
        agent(folder, section, muster)
    return str(caught.value)


def service(folder: Path, sections: str) -> Service:
    found = project(folder, sections)
    return container.service(found, found.roster.agents["dev"])


@pytest.mark.parametrize(
    ("image", "runtime"),
    [
        ("muster-agent", "muster"),
        ("disinto/agents", "disinto"),
        ("ghcr.io/disinto/agents:latest", "disinto"),
        ("localhost:5000/disinto/agents", "disinto"),
        ("acme/agents", "muster"),
        ("disinto/edge", "muster"),
    ],
)
def test_an_image_of_disintos_implies_its_runtime(image: str, runtime: str, tmp_path: Path) -> None:
    found = agent(tmp_path, f'image = "{image}"')
    assert (found.runtime, found.credentials, found.read_only) == (
        (runtime, "file", True) if runtime == "muster" else (runtime, "env", False)
    )


def test_the_crews_image_decides_for_agents_without_one(tmp_path: Path) -> None:
    assert agent(tmp_path, "", 'image = "disinto/agents"').credentials == "env"
    own = agent(tmp_path, 'image = "muster-agent"', 'image = "disinto/agents"')
    assert (own.runtime, own.credentials) == ("muster", "file")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('image = "disinto/agents"\nruntime = "muster"', "does not contain Muster's runtime"),
        ('runtime = "disinto"', "has Muster's image, which does not contain disinto's agents"),
        ('image = "disinto/agents"\ncredentials = "file"', 'credentials: runtime "disinto"'),
        ('image = "disinto/agents"\nread_only = true', 'read_only: runtime "disinto"'),
        ('image = "disinto/agents"\nuser = "1000"', "starts as root"),
        ('image = "disinto/agents"\nturns = 5', "this has no effect with runtime"),
    ],
)
def test_settings_that_a_runtime_does_not_work_with_are_refused(
    section: str, message: str, tmp_path: Path
) -> None:
    assert message in refusal(tmp_path, section)


def test_disintos_container_is_what_its_entrypoint_needs(tmp_path: Path) -> None:
    found = service(
        tmp_path, f'{DISINTO}base_url = "http://llm:8081"\nmodel = "q"\ncontext_window = 65536\n'
    )
    assert found.dropped_capabilities == ("ALL",)
    assert found.added_capabilities == runtimes.CAPABILITIES
    assert found.security_options == ("no-new-privileges:true",)
    assert found.environment["DISINTO_CONTAINER"] == "1"
    assert found.environment["PROJECT_REPO_ROOT"] == "/home/agent/repos/demo"
    assert found.environment["CLAUDE_CONFIG_DIR"].startswith("/home/agent/data/")
    assert found.environment["CLAUDE_CODE_ATTRIBUTION_HEADER"] == "0"
    assert found.environment["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "65536"
    assert found.environment["FORGE_OPS_REPO"] == "acme/demo-ops"
    assert container.WORK_VARIABLE not in found.environment
    assert {mount.path for mount in found.mounts} == {"/home/agent/data", "/home/agent/repos"}


def test_disintos_project_file_is_the_roster_without_what_is_musters(tmp_path: Path) -> None:
    sections = (
        '[ci]\nstale_minutes = 60\n[agents.schedule]\na = 1\n[agents.other]\nroles = ["review"]\n'
    )
    [(path, text)] = service(tmp_path, f"{sections}{DISINTO}").uploads.items()
    assert path == "/home/agent/disinto/projects/demo.toml"
    found = tomllib.loads(text)
    assert found["ops_repo"] == "acme/demo-ops"
    assert found["ci"] == {"stale_minutes": 60}
    assert set(found["agents"]) == {"schedule", "dev"}
    assert found["agents"]["dev"]["roles"] == ["dev"]
    assert "image" not in found["agents"]["dev"]
    assert "muster" not in found


def test_secrets_of_the_factory_never_reach_the_project_file(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    path.write_text(f'{HEAD}[ci]\nwoodpecker_token = "0123456789"\n{DISINTO}')
    with pytest.raises(RosterError, match=r"live.toml:5: ci.woodpecker_token: this looks like"):
        load(path)
    path.write_text(f'{HEAD}[ci]\nwoodpecker_token = "0123456789"\n[agents.dev]\n')
    assert load(path)


def test_an_agents_env_is_added_to_the_crews(tmp_path: Path) -> None:
    crew = 'env = {LANG = "C.UTF-8", HTTPS_PROXY = "http://proxy:3128"}'
    found = agent(tmp_path, 'env = {LANG = "de_DE.UTF-8", CLAUDE_CODE_X = "1"}', crew)
    assert found.env == {
        "LANG": "de_DE.UTF-8",
        "HTTPS_PROXY": "http://proxy:3128",
        "CLAUDE_CODE_X": "1",
    }


def test_a_container_gets_the_env_and_the_runtime_its_names(tmp_path: Path) -> None:
    found = service(tmp_path, '[agents.dev]\nenv = {NO_PROXY = "corp", B = "2", A = "1"}\n')
    assert (found.environment["A"], found.environment["B"]) == ("1", "2")
    assert found.environment["MUSTER_ENV"] == "A,B,NO_PROXY"


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ('GITHUB_TOKEN = "x"', "env.GITHUB_TOKEN: this looks like a secret"),
        ('MY_API_KEY = "x"', "env.MY_API_KEY: this looks like a secret"),
        ('NOTE = "sk-ant-api03-abcdefghij"', "env.NOTE: this looks like a"),
        ('HTTPS_PROXY = "http://ann:pw@proxy"', "env.HTTPS_PROXY: this looks like a secret"),
        ('FORGE_URL = "http://x"', "Muster sets FORGE_URL itself; set forge_internal_url"),
        ('CLAUDE_MODEL = "x"', "Muster sets CLAUDE_MODEL itself; set model instead"),
        ('MUSTER_WORK = "{}"', "Muster sets MUSTER_WORK itself; leave it out"),
        ('"a b" = "x"', "is not a valid variable"),
        ("DEBUG = true", 'write DEBUG = "true"'),
        ("LIMIT = 5", 'write LIMIT = "5"'),
    ],
)
def test_secrets_and_musters_own_variables_are_refused_in_env(
    variable: str, message: str, tmp_path: Path
) -> None:
    assert message in refusal(tmp_path, f"[agents.dev.env]\n{variable}".removeprefix("x"))


@pytest.mark.parametrize(
    ("written", "kept"), [('["chown", "CAP_KILL"]', ("CHOWN", "KILL")), ("[]", ())]
)
def test_capabilities_are_written_as_docker_documents_them(
    written: str, kept: tuple[str, ...], tmp_path: Path
) -> None:
    assert agent(tmp_path, f"capabilities = {written}").capabilities == kept


def test_an_unknown_capability_is_refused_with_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'capabilities = ["DAC_OVERIDE"]')
    assert '"DAC_OVERIDE" is not a Linux capability; did you mean "DAC_OVERRIDE"?' in message


@pytest.mark.parametrize(
    ("user", "owner"), [(None, 1000), ("1001", 1001), ("1001:1002", 1001), ("node", 1000)]
)
def test_credentials_belong_to_the_user_that_the_container_starts_as(
    user: str | None, owner: int
) -> None:
    assert runtimes.owner(user) == owner


@pytest.mark.parametrize(
    ("image_user", "section", "warned"),
    [
        ("1000", "", None),
        ("1000:1000", "", None),
        ("", "", "starts as root, and the credentials are files that only user 1000 can read"),
        ("0:0", "", "starts as root"),
        ("1001", "", "starts as user 1001"),
        ("", 'user = "1001"', None),
        ("", 'credentials = "env"', None),
        ("", 'capabilities = ["DAC_OVERRIDE"]', None),
        ("node", "", None),  # its number is not known without starting the image
    ],
)
def test_a_user_who_cannot_read_the_credentials_is_reported_in_the_preview(
    image_user: str,
    section: str,
    warned: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent(tmp_path, section)
    monkeypatch.setattr(preflight, "image_user", lambda *_: image_user)
    client: Any = None
    found = [
        str(each)
        for each in preflight.unreadable_credentials(
            client, load(tmp_path / "live.toml"), ["muster-agent"]
        )
    ]
    assert len(found) == (warned is not None)
    assert warned is None or warned in found[0]
