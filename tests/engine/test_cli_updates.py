"""`muster preview`, `up` and `down`: progress, Ctrl-C, and what a killed run left."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from asking import ended, wait_until
from patience import COMMAND
from workplace import Workplace


def test_a_preview_reports_changes_for_people_for_programs_and_by_its_exit_code(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))

    reported = workplace.reported("preview")

    changes = {(each["agent"], each["resource"]): each["op"] for each in reported["changes"]}
    assert changes["dev-qwen", "container"] == "create"
    assert changes["dev-qwen", "access token"] == "create"
    workplace.muster("preview", "--expect-no-changes", "--save", "acme.plan", expect=3)
    done = workplace.reported("up", "--plan", "acme.plan")
    assert all(each["seconds"] >= 0 and not each["failed"] for each in done["changes"])
    again = workplace.muster("up", "--plan", "acme.plan", expect=1)
    assert "the stack was updated since. Nothing was changed" in again
    printed = workplace.muster("preview", "--expect-no-changes")
    assert "Nothing to do" in printed
    assert "\x1b" not in printed


def test_up_mends_what_was_changed_by_hand_unless_told_to_trust_the_state(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    workplace.container("dev-qwen").remove(force=True)

    assert "Nothing to do" in workplace.muster("up", "--yes", "--no-refresh")
    assert "dev-qwen: container: created" in workplace.muster("up", "--yes")
    assert workplace.container("dev-qwen").status == "running"


def test_what_an_update_needs_is_checked_before_anything_else(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    wrong = {"FORGE_ADMIN_PASS": "wrong", "FORGE_ADMIN_PAT": "0" * 40}
    unreachable = {"DOCKER_HOST": f"unix://{workplace.folder}/nobody.sock"}
    for command in (["preview"], ["up", "--yes"], ["down", "--yes"]):
        [refused] = workplace.muster(*command, expect=1, **wrong).splitlines()
        assert "Check FORGE_ADMIN_USER and FORGE_ADMIN_PASS, or FORGE_ADMIN_PAT" in refused
    [unreached] = workplace.muster("up", "--yes", expect=1, **unreachable).splitlines()
    assert "Docker is unreachable" in unreached
    before = workplace.roster_path.read_bytes()
    hire = ["hire", "dev-b", "dev", "--local-model", "http://x.example:1", "--model", "m", "--yes"]
    for change in (hire, ["fire", "dev-qwen", "--yes"]):
        *_, refused, unchanged = workplace.muster(*change, expect=1, **wrong).splitlines()
        assert "Check FORGE_ADMIN_USER and FORGE_ADMIN_PASS, or FORGE_ADMIN_PAT" in refused
        assert unchanged == "Nothing was changed."
        assert workplace.roster_path.read_bytes() == before
    assert workplace.container("dev-qwen").status == "running"


def test_one_agents_failure_does_not_stop_the_others(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-a", cpus=4096.0) + workplace.agent("dev-b"))

    printed = workplace.muster("up", "--yes", expect=1)

    assert "dev-a: container: failed" in printed
    assert workplace.container("dev-b").status == "running"


def test_down_asks_and_leaves_the_accounts_and_the_volumes(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()

    with workplace.terminal("muster down") as child:
        child.expect(r"- container: remove")
        child.expect(r"Remove all of stack \w+\? \[y/N\]")
        child.sendline("y")
        child.expect("Done")
        assert ended(child) == 0

    assert workplace.containers() == set()
    assert workplace.volumes() == {"agents-dev-qwen-data", "agents-dev-qwen-repos"}
    assert workplace.forge.user(workplace.user("dev-qwen")) is not None


def test_ctrl_c_in_the_middle_of_an_update_is_clean_and_the_next_one_finishes(
    workplace: Workplace,
) -> None:
    crew = [f"a{number}" for number in range(6)]
    workplace.roster("".join(map(workplace.agent, crew)))

    with workplace.terminal("muster up --yes") as child:
        child.expect(r"bot user: created")
        child.sendintr()
        child.expect("Cancelling")
        child.expect("muster up finishes it")
        assert ended(child) == 130

    assert _locks(workplace) == []
    assert "pending_operations" not in workplace.pulumi("stack", "export")
    printed = workplace.muster("up", "--yes")
    assert "killed" not in printed
    assert {workplace.container(name).status for name in crew} == {"running"}
    assert workplace.preview() == {}


def test_a_terminal_shows_what_is_under_way_with_its_time(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))

    with workplace.terminal("muster up --yes") as child:
        child.expect(rf"Updating stack {workplace.name}, \d+ s")
        child.expect(r"dev-qwen: [a-z ]+ … \d s")
        child.expect(r"dev-qwen: container: created \(\d+\.\d s\)")
        child.expect("Done")
        assert ended(child) == 0


def test_what_a_killed_run_left_is_said_and_cleaned_up_before_the_next(
    workplace: Workplace,
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    with workplace.engine("up", "--yes", "--skip-preview") as engine:
        workplace.wait_for_event("create", workplace.container_name("dev-qwen"))
        engine.kill()
        engine.wait()
        assert _locks(workplace) != []

        printed = workplace.muster("up", "--yes")

    assert f"process {engine.pid}) left its lock" in printed
    assert "had begun and not ended: dev-qwen" in printed
    assert workplace.container("dev-qwen").status == "running"
    assert len(workplace.forge.tokens(workplace.user("dev-qwen"))) == 1
    assert workplace.preview() == {}


def test_the_lock_of_an_update_that_lives_is_respected(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    with workplace.engine("up", "--yes", "--skip-preview") as engine:
        wait_until(lambda: _locks(workplace) != [])
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            printed = workplace.muster("up", "--yes", "--no-refresh", expect=1)
        finally:
            os.kill(engine.pid, signal.SIGCONT)
        assert f"process {engine.pid}" in printed
        assert "wait until it is done" in printed
        engine.wait()
    assert workplace.container("dev-qwen").status == "running"


def test_a_plugin_without_an_engine_is_ended_before_the_next_update(workplace: Workplace) -> None:
    workplace.roster("")
    sleep = shutil.which("sleep")
    assert sleep is not None
    for folder in ("ours", "theirs"):
        (workplace.folder / folder).mkdir()
    plugin = workplace.folder / "ours" / "pulumi-resource-left"
    plugin.symlink_to(sleep)
    with (
        subprocess.Popen([plugin, "60"], cwd=workplace.folder) as left,
        subprocess.Popen([plugin, "60"], cwd=workplace.folder / "theirs") as another_projects,
    ):
        try:
            printed = workplace.muster("up", "--yes", "--no-refresh")

            assert f"process {left.pid}) at work: ended" in printed
            assert left.wait(timeout=COMMAND) == -signal.SIGTERM
            assert another_projects.poll() is None
        finally:
            left.kill()
            another_projects.kill()


def test_the_second_of_two_musters_says_who_is_at_work_and_waits(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    with workplace.terminal("muster up") as first:
        first.expect(r"\[y/N\]")
        with workplace.terminal("muster up --yes") as second:
            second.expect(r"muster up \(process \d+, since [\d:]+\) is at work on stack")
            first.sendline("y")
            first.expect("Done: ")
            second.expect("Nothing to do")
            assert ended(second) == 0
        assert ended(first) == 0


def test_the_administrator_is_found_in_a_env_file_beside_the_project(
    workplace: Workplace, tmp_path: Path
) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    names = [name for name in workplace.environment if name.startswith("FORGE_ADMIN_")]
    told = {name: workplace.environment.pop(name) for name in names}

    assert "FORGE_ADMIN_USER" in workplace.muster("preview", expect=1)
    (tmp_path / ".env").write_text("".join(f"{name}={told[name]}\n" for name in names))
    assert "  + bot user: create" in workplace.muster("preview")
    refused = workplace.muster("preview", "--admin-token", "-", stdin="0" * 40, expect=1)
    assert "FORGE_ADMIN_PAT" in refused
    pat = told["FORGE_ADMIN_PAT"]
    assert "create" in workplace.muster("preview", "--admin-token", "-", stdin=f"{pat}\n")
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".env"]
    assert not any(pat in path.read_text(errors="ignore") for path in kept)


def test_a_command_that_is_typed_wrong_says_what_would_be_right(workplace: Workplace) -> None:
    assert "no such command" in workplace.muster("hier", expect=2)
    assert "no stack nobody" in workplace.muster("up", "--stack", "nobody", "--yes", expect=1)
    failed = workplace.reported("preview", "--stack", "nobody", expect=1)["error"]
    assert ("no stack nobody" in failed["message"], failed["exit_code"]) == (True, 1)
    for command in ("hire", "fire", "rotate", "status", "up", "init"):
        assert f"muster {command}" in workplace.muster(command, "--help").partition("Examples:")[2]


def _locks(place: Workplace) -> list[Path]:
    return list((place.folder / "state" / ".pulumi" / "locks").rglob("*.json"))


def test_the_command_is_where_set_up_puts_it() -> None:
    found = subprocess.run(["which", "muster"], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).parent.name == "bin"
