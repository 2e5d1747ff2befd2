"""`muster status`, `logs`, `start`, `stop`, `restart` of a crew that was hired, and the like."""

import json
import socket
import subprocess

from asking import ended, wait_until
from workplace import Workplace


def test_a_stopped_agent_stays_stopped_until_it_is_started(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen") + workplace.agent("review-qwen"))
    workplace.up()

    assert "--all" in workplace.muster("stop", expect=2)
    with workplace.terminal("muster stop") as child:
        child.expect(r"Stop the whole crew \(dev-qwen, review-qwen\)\? \[y/N\]: ")
        child.sendline("n")
        assert ended(child) == 1
    workplace.muster("stop", "dev-qwen")
    assert "muster start dev-qwen" in workplace.muster("restart", "dev-qwen", expect=1)
    workplace.muster("up", "--yes")

    assert "agents-dev-qwen" not in workplace.containers()
    assert "agents-review-qwen" in workplace.containers()
    row = workplace.status()["dev-qwen"]
    assert (row["wanted"], row["actual"], row["drift"]) == ("stopped", "none", [])
    workplace.muster("start", "--all")
    assert workplace.container("dev-qwen").status == "running"
    began = workplace.container("review-qwen").attrs["State"]["StartedAt"]
    workplace.muster("restart", "review-qwen")
    assert workplace.container("review-qwen").attrs["State"]["StartedAt"] > began
    assert "enabled = true" in workplace.roster_path.read_text()
    updates = workplace.reported("history")["updates"]
    typed = ["muster start", "muster up", "muster stop dev-qwen", "pulumi up"]
    assert [each["command"] for each in updates] == typed
    assert updates[0]["who"].endswith(f"@{socket.gethostname()}")
    assert updates[0]["changes"]["create"] > 0


def test_a_row_tells_how_an_agent_does_and_where_it_drifted(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen", poll_interval=1) + workplace.agent("dev-b"))
    workplace.up()

    def waits() -> bool:
        return bool(workplace.status()["dev-qwen"]["waiting_for"] == "endpoint")

    wait_until(waits)  # nobody serves a model here
    row = workplace.status()["dev-qwen"]
    assert row["actual"] == row["wanted"] == "running"
    assert row["health"] in {"starting", "healthy"}
    assert (row["state"], row["task"], row["sandbox"]) == ("waiting", None, "on")
    assert list(row["last_cycle"]["errors"]) == ["endpoint"]
    endpoint = {"url": "http://host.docker.internal:8081", "reachable": False}
    assert endpoint.items() <= row["endpoint"].items()
    assert row["credentials"]["rotation"] == 1
    assert row["credentials"]["age_days"] == 0
    assert row["image"] == workplace.container("dev-qwen").attrs["Image"]
    assert row["drift"] == []

    user = workplace.forge.user(workplace.user("dev-qwen"))
    assert user is not None
    workplace.forge.edit_user(
        user.login, login_name=user.login_name, source_id=0, prohibit_login=True
    )
    workplace.forge.remove_collaborator(workplace.repo, workplace.user("dev-b"))
    workplace.container("dev-b").stop(timeout=1)
    drifted = workplace.status()
    assert "barred" in drifted["dev-qwen"]["drift"][0]
    assert "exited" in drifted["dev-b"]["drift"][0]
    assert "no collaborator" in drifted["dev-b"]["drift"][1]
    workplace.roster(workplace.agent("dev-qwen", rotation=2))
    drifted = workplace.status()
    assert "rotation changed" in drifted["dev-qwen"]["drift"][0]
    assert drifted["dev-b"]["wanted"] == "fired"
    table = workplace.muster("status", expect=1)
    assert "\x1b" not in table
    place, titles, *_ = table.splitlines()
    assert place == f"{workplace.name}: {workplace.repo} at {workplace.forge_url}"
    assert titles.split()[:3] == ["AGENT", "STATE", "SINCE"]
    with workplace.terminal("muster status --watch") as child:
        child.expect("AGENT")
        child.expect("dev-qwen")
        workplace.roster(workplace.agent("dev-later"))
        child.expect("not hired yet")
        child.sendintr()
        assert ended(child) == 130


def test_logs_are_what_the_runtime_reports(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen", poll_interval=1))
    workplace.up()

    wait_until(lambda: b'"waiting"' in workplace.container("dev-qwen").logs())
    lines = workplace.muster("logs", "dev-qwen", "--since", "5m", "--json").splitlines()
    assert json.loads(lines[0])["agent"] == "dev-qwen"
    shown = workplace.muster("shell", "dev-qwen", stdin="echo $AGENT_NAME\n")
    assert shown == "dev-qwen\n"
    page = workplace.reported("open", "dev-qwen")["url"]
    assert page == f"{workplace.forge_url}/{workplace.user('dev-qwen')}"
    with workplace.terminal("muster logs dev-qwen --follow") as child:
        child.expect(r"\d\d:\d\d:\d\d waiting ")
        child.sendintr()
        assert ended(child) == 130
    workplace.muster("stop", "dev-qwen")
    kept = workplace.muster("logs", "dev-qwen", "--json").splitlines()
    assert json.loads(kept[0]) == json.loads(lines[0])
    assert json.loads(kept[-1])["state"] == "stopped"
    assert workplace.containers() == set()


def test_a_project_is_made_taken_up_and_removed_and_its_stack_works_with_plain_pulumi(
    workplace: Workplace,
) -> None:
    name, url = f"{workplace.name}b", workplace.server.url
    make = ("init", name, "--repo", workplace.repo, "--forge-url", url)
    roster = workplace.folder / "stacks" / f"{name}.toml"
    try:
        workplace.muster(*make)
        assert f'forge_url = "{url}"' in roster.read_text()
        assert f"stack {name} exist" in workplace.muster(*make, expect=1)
        assert "--repo" in workplace.muster("init", f"{name}c", expect=2)
        plain = subprocess.run(
            ["bash", "-c", f'eval "$(muster env)" && pulumi preview --stack {name}'],
            cwd=workplace.folder,
            env=workplace.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert plain.returncode == 0, plain.stdout + plain.stderr
        workplace.pulumi("stack", "rm", name, "--yes", "--preserve-config")  # as in a clone
        refused = workplace.muster("up", "--stack", name, expect=1)
        assert f"muster init {name} makes it" in refused
        with workplace.terminal(f"muster up --stack {name}") as child:
            child.expect(rf"Make stack {name}\? \[y/N\]")
            child.sendline("n")
            assert ended(child) == 1
        assert "its repo is" in workplace.muster("init", name, "--repo", "a/b", expect=1)
        assert f"Made stack {name}" in workplace.muster("init", name)
        workplace.muster("init", name, "--remove", "--yes")
        assert not roster.exists()
    except BaseException:
        workplace.pulumi("stack", "rm", name, "--yes", "--force")
        raise


def test_completion_knows_the_commands(workplace: Workplace) -> None:
    typed = 'COMP_WORDS=(muster hi) COMP_CWORD=1; _muster_completion muster; echo "${COMPREPLY[@]}"'
    tried = subprocess.run(
        ["bash", "-c", f"{workplace.muster('completion', 'bash')}\n{typed}"],
        env=workplace.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(tried.stdout.split()) == {"hire", "hire-an-agent", "history"}
