"""The command line's own words: ages, changes, locks, the start of the command."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from pulumi.automation.events import EngineEvent
from typer.testing import CliRunner

from muster.cli import place
from muster.cli.changes import Changes
from muster.cli.durations import duration, moment
from muster.cli.main import app
from toolchain.paths import BIN, PASSPHRASE, ROOT

STACK = "urn:pulumi:live::muster::"
AGENT = f"{STACK}muster:index:Crew$muster:index:Agent::dev-qwen"
INSIDE = f"{STACK}muster:index:Crew$muster:index:Agent$"
CREW = f"{STACK}muster:index:Crew::demo"


def step(kind: str, name: str, op: str, parent: str = AGENT, **more: object) -> dict[str, Any]:
    urn = f"{INSIDE}{kind}::{name}"
    state = {"type": kind, "urn": urn, "parent": parent}
    return {"metadata": {"op": op, "urn": urn, "type": kind, "new": state, "provider": "", **more}}


def seen(*events: dict[str, Any]) -> Changes:
    changes = Changes()
    for number, event in enumerate(events):
        changes(EngineEvent.from_json({"sequence": number, "timestamp": 0, **event}))
    return changes


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("pulumi-python:dynamic/forgejo:BotUser", "dev-qwen", "bot user"),
        ("docker:index/container:Container", "dev-qwen", "container"),
        ("docker:index/volume:Volume", "dev-qwen-repos", "repos volume"),
        ("pulumi-python:dynamic/forgejo:TokenSweep", "dev-qwen", "old-token revocation"),
    ],
)
def test_a_resource_is_told_in_words_with_its_agent(kind: str, name: str, words: str) -> None:
    [change] = seen({"resourcePreEvent": step(kind, name, "create")}).all
    assert (change.agent, change.what, change.op) == ("dev-qwen", words, "create")


def test_what_the_crew_shares_is_nobodys() -> None:
    kind = "docker:index/network:Network"
    [change] = seen({"resourcePreEvent": step(kind, "network", "create", CREW)}).all
    assert (change.agent, change.what) == (None, "network")


def test_components_and_what_stays_the_same_are_not_told() -> None:
    changes = seen(
        {"resourcePreEvent": step("muster:index:Agent", "dev-qwen", "create", CREW)},
        {"resourcePreEvent": step("docker:index/container:Container", "dev-qwen", "same")},
        {"resourcePreEvent": step("docker:index/container:Container", "dev-qwen", "replace")},
    )
    assert changes.all == []


def test_a_step_that_ended_has_its_time_and_one_that_failed_says_so() -> None:
    container = "docker:index/container:Container"
    changes = seen(
        {"resourcePreEvent": step(container, "dev-qwen", "update", diffs=["envs", "envs[2]"])},
        {"resourcePreEvent": step(container, "dev-b", "create")},
        {"resOutputsEvent": step(container, "dev-qwen", "update")},
        {"resOpFailedEvent": {**step(container, "dev-b", "create"), "status": 2, "steps": 1}},
    )
    done, failed = changes.all
    assert done.fields == ["envs"]
    assert done.seconds is not None
    assert not done.failed
    assert failed.failed
    assert changes.running() == []


def test_an_error_is_told_once_without_colours_and_without_the_sdks_words() -> None:
    message = "<{%reset%}>Exception calling application: user dev exists<{%reset%}>\n"
    error = {"message": message, "color": "never", "severity": "error", "urn": f"{INSIDE}x::dev"}
    changes = seen({"diagnosticEvent": error}, {"diagnosticEvent": error})
    assert changes.errors == ["dev: user dev exists"]


@pytest.mark.parametrize(
    ("text", "span"),
    [("30d", timedelta(days=30)), ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2))],
)
def test_an_age_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert duration(text) == span


@pytest.mark.parametrize("text", ["", "30", "d", "3 d", "-1d", "1.5h", "30days"])
def test_anything_else_is_no_age(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30d"):
        duration(text)


def test_a_moment_is_an_age_ago_or_a_time() -> None:
    before = datetime.now(UTC)
    assert timedelta(minutes=9) < before - moment("10m") <= timedelta(minutes=10)
    assert moment("2026-01-31T12:00:00+01:00") == datetime(2026, 1, 31, 11, tzinfo=UTC)
    with pytest.raises(typer.BadParameter, match="yesterday"):
        moment("yesterday")


def test_pulumi_gets_this_checkouts_paths_unless_the_user_has_their_own() -> None:
    found = place.variables({"PATH": "/bin", "PULUMI_HOME": "/elsewhere/.muster/pulumi"})
    assert found["PATH"] == f"{BIN}:/bin"
    assert found["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(PASSPHRASE)
    assert found["PULUMI_HOME"] == str(ROOT / ".muster" / "pulumi")
    assert place.variables({"PULUMI_HOME": "/home/me/.pulumi"})["PULUMI_HOME"] == "/home/me/.pulumi"


def test_pulumi_and_its_plugins_reach_each_other_without_a_proxy() -> None:
    found = place.variables({"PATH": "/bin", "HTTPS_PROXY": "http://proxy:8080"})
    assert found["NO_PROXY"].split(",")[:3] == ["localhost", "127.0.0.1", "::1"]
    assert "NO_PROXY" not in place.variables({"PATH": "/bin"})


def test_a_token_on_the_command_line_wins_over_all_other_credentials(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "FORGE_ADMIN_USER=a\nFORGE_ADMIN_PASS=b\nFORGE_ADMIN_PAT=e\nANTHROPIC_API_KEY=f\n"
    )
    environment = {"FORGE_ADMIN_USER": "c", "FORGE_ADMIN_PASS": "d"}
    place.activate(environment, tmp_path, "a-token")
    told = {name: environment[name] for name in environment if name.startswith("FORGE_")}
    assert told == {"FORGE_ADMIN_PAT": "a-token"}
    assert environment["ANTHROPIC_API_KEY"] == "f"


def test_the_env_file_sets_every_documented_variable_that_the_environment_does_not(
    tmp_path: Path,
) -> None:
    names = ["FORGE_ADMIN_USER", "FORGE_ADMIN_PASS", "FORGE_ADMIN_PAT"]
    names += ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"]
    names += ["REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
    (tmp_path / ".env").write_text("OTHER=c\n" + "".join(f"{name}=file\n" for name in names))
    page = (ROOT / "docs" / "operate.md").read_text()
    table = page[page.index("## Settings outside the roster") : page.index("## State for a team")]
    assert set(re.findall(r"`([A-Z_]+)`", table)) == set(names)

    empty: dict[str, str] = {}
    place.activate(empty, tmp_path, None)
    assert empty.pop("NO_PROXY").startswith("file,")  # what is never behind a proxy follows
    names.remove("NO_PROXY")
    assert {name: empty[name] for name in names} == dict.fromkeys(names, "file")
    assert "OTHER" not in empty
    token = {"FORGE_ADMIN_PAT": "mine"}
    place.activate(token, tmp_path, None)
    assert token["FORGE_ADMIN_PAT"] == "mine"
    assert token["FORGE_ADMIN_PASS"] == "file"


@pytest.mark.parametrize(
    ("mine", "others"),
    [
        ("FORGE_ADMIN_USER", ["FORGE_ADMIN_PASS"]),
        ("CLAUDE_CODE_OAUTH_TOKEN", ["ANTHROPIC_API_KEY"]),  # which would win
        ("https_proxy", ["HTTPS_PROXY", "HTTP_PROXY"]),
    ],
)
def test_variables_that_belong_together_come_from_the_same_place(
    tmp_path: Path, mine: str, others: list[str]
) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}=file\n" for name in (mine, *others)))
    environment = {mine: "ann"}
    place.activate(environment, tmp_path, None)
    assert environment[mine] == "ann"
    assert environment.keys().isdisjoint(others)


def test_the_help_loads_neither_pulumi_nor_docker() -> None:
    """They take most of a second; `muster --help` has 0.1 s."""
    code = "import json, sys\nimport muster.cli.main\nprint(json.dumps(sorted(sys.modules)))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded.isdisjoint({"pulumi", "docker", "pydantic", "requests", "grpc", "yaml"})


def test_the_factorys_own_section_is_not_an_agents_name() -> None:
    result = CliRunner().invoke(app, ["hire", "schedule", "dev"])
    assert result.exit_code == 2
    assert "[agents.schedule] belongs to the disinto factory" in " ".join(result.output.split())
