"""Set-up: what it promises before, between and after its long steps."""

import fcntl
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolchain import (
    current_docker,
    demo,
    docker_engine,
    environment,
    images,
    paths,
    pulumi,
    stamps,
    versions,
)
from toolchain.golang import Program
from toolchain.shell import ask, run, within
from toolchain.steps import SetupError, Step, work_through

SHELL = {"PATH": os.environ["PATH"]}

ENGINE = """
import json, os, pathlib, sys
with pathlib.Path(__file__).with_name("calls").open("a") as calls:
    print(json.dumps(dict(arguments=sys.argv[1:], environment=dict(os.environ))), file=calls)
agent = dict(bot_user="dev", roles=["dev"], container="demo-agents-dev")
answers = {
    "stack ls": [],
    "stack output": dict(forge="http://127.0.0.1:3000", agents=dict(dev=agent)),
    "config --json": {"muster:forgeAdminUser": dict(value="muster-admin")},
}
print(json.dumps(answers.get(" ".join(sys.argv[1:3]))))
"""
"""An engine that has no stack yet, and notes how it is called."""


def test_the_engine_that_is_built_is_the_one_that_the_python_package_asks_for() -> None:
    asked_for = versions.requirement("pulumi")

    assert versions.go_module("pulumi", "github.com/pulumi/pulumi/pkg/v3") == asked_for
    assert versions.go_module("pulumi", pulumi.SDK) == asked_for


def test_the_tests_against_a_current_docker_engine_exist() -> None:
    found = {file.name for file in (paths.ROOT / "tests" / "engine").glob("test_*.py")}

    assert set(current_docker.TESTS) <= found


def test_a_current_docker_engine_needs_a_newer_go_than_set_up_does() -> None:
    needed = (versions.go_needed(module) for module in ("pulumi", "current/runc"))
    set_up, current = map(versions.numbers, needed)

    assert set_up < current == (1, 26, 6)


def test_set_up_starts_no_engine_that_docker_would_not_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(**variables: str) -> str:
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
            monkeypatch.setenv(name, variables.get(name, ""))
        return "".join(docker_engine.plan()[0].missing)

    monkeypatch.setattr(docker_engine, "answers", lambda: False)
    monkeypatch.setattr(docker_engine, "can_install_packages", lambda: True)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    assert missing() == ""
    assert 'Docker context "gone", DOCKER_CONTEXT: not found' in missing(DOCKER_CONTEXT="gone")
    remote = missing(DOCKER_HOST="tcp://10.0.0.5:2375")
    assert remote.startswith("No Docker engine answers at tcp://10.0.0.5:2375, DOCKER_HOST")


def test_every_requirement_is_pinned_and_locked() -> None:
    locked = (paths.ROOT / "requirements.lock").read_text().lower().replace("_", "-").splitlines()
    wanted = (paths.ROOT / "requirements.txt").read_text().splitlines()

    pins = [line for line in wanted if line and not line.startswith("#")]

    assert [pin for pin in pins if pin.lower().replace("_", "-") not in locked] == []


def test_image_names_carry_exact_versions() -> None:
    for image in (versions.BASE_IMAGE, versions.FORGE_IMAGE):
        assert re.search(r":\S*\d{2,}\S*$|:\d+\.\d+\.\d+", image), image


def test_forgejo_is_11_or_newer() -> None:
    assert versions.numbers(versions.FORGE_IMAGE.rpartition(":")[2]) >= (11,)


def test_all_that_is_missing_is_said_before_any_step_runs() -> None:
    ran: list[str] = []
    steps = [
        Step("first", lambda: ran.append("first")),
        Step("second", lambda: ran.append("second"), ("no Go: get it", "no git: get it")),
        Step("third", lambda: ran.append("third"), ("no Docker: get it", "no Go: get it")),
    ]

    with pytest.raises(SetupError) as error:
        work_through(steps)

    assert str(error.value).splitlines() == ["no Go: get it", "no git: get it", "no Docker: get it"]
    assert ran == []


def test_steps_run_in_order_and_each_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[int] = []

    work_through([Step("Dig", lambda: ran.append(1)), Step("Fill", lambda: ran.append(2))])

    assert ran == [1, 2]
    assert re.fullmatch(
        r"Dig ...\n  done in 0 s\nFill ...\n  done in 0 s\n", capsys.readouterr().out
    )


def test_a_server_that_never_answers_costs_no_more_than_the_probes_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        reached = pulumi.can_download(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.5)

    assert not reached
    assert time.monotonic() - started < 3


def test_a_question_that_hangs_is_answered_with_no() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()

        assert not within(0.2, lambda: bool(silent.accept()))
        assert time.monotonic() - started < 3
        # Let the question's thread end.
        socket.create_connection(silent.getsockname()).close()


def test_the_passphrase_is_readable_by_its_owner_only_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase = tmp_path / "muster" / "passphrase"
    monkeypatch.setattr(environment, "MUSTER", passphrase.parent)
    monkeypatch.setattr(environment, "PASSPHRASE", passphrase)

    environment.write_passphrase()
    first = passphrase.read_text()
    environment.write_passphrase()

    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert len(first) >= 32
    assert passphrase.read_text() == first


def test_pulumi_finds_no_folder_for_its_automatic_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "PULUMI_HOME", tmp_path / "pulumi")

    environment.silence()
    environment.silence()

    assert (tmp_path / "pulumi" / "logs").is_file()


def test_a_folder_that_somebody_made_for_pulumis_log_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(environment, "PULUMI_HOME", tmp_path)

    environment.silence()

    assert (tmp_path / "logs").is_dir()


def activated(**variables: str) -> dict[str, str]:
    """Return the variables after the activation's lines ran in a shell."""
    script = f"set -eu\n{environment.activation()}env"
    done = subprocess.run(
        ["sh", "-c", script],
        env={**SHELL, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_activation_points_pulumi_at_this_project() -> None:
    variables = activated()

    assert variables["PULUMI_HOME"] == str(paths.PULUMI_HOME)
    assert variables["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(paths.PASSPHRASE)
    assert variables["PULUMI_PARALLEL"] == "4"
    assert variables["PULUMI_PARALLEL_DIFF"] == "true"


def test_activation_keeps_pulumis_processes_from_a_proxy() -> None:
    """gRPC for Python asks a proxy for loopback too."""
    variables = activated(http_proxy="http://proxy:8080", NO_PROXY="example.org")
    expected = f"example.org,{environment.DIRECT}"
    assert (variables["no_proxy"], variables["NO_PROXY"]) == (expected, expected)
    again = activated(http_proxy="http://proxy:8080", no_proxy=expected)
    assert again["no_proxy"] == expected
    assert not {"no_proxy", "NO_PROXY"} & activated().keys()


def test_activation_keeps_the_users_own_settings_but_not_another_checkouts() -> None:
    variables = activated(
        PULUMI_HOME="/home/me/.pulumi",
        PULUMI_CONFIG_PASSPHRASE_FILE="/elsewhere/.muster/passphrase",
        PULUMI_PARALLEL="16",
        PULUMI_PARALLEL_DIFF="false",
    )

    assert variables["PULUMI_HOME"] == "/home/me/.pulumi"
    assert variables["PULUMI_PARALLEL"] == "16"
    assert variables["PULUMI_PARALLEL_DIFF"] == "false"
    assert variables["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(paths.PASSPHRASE)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program of one file, in a Go module of its own."""
    monkeypatch.setattr(versions, "GO_MODULES", tmp_path)
    monkeypatch.setattr(stamps, "STAMPS", tmp_path / "stamps")
    module = tmp_path / "hello"
    module.mkdir()
    (module / "go.mod").write_text("module muster/hello\n\ngo 1.21\n")
    (module / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    return Program(module="hello", package=".", output=tmp_path / "bin" / "hello")


def test_what_is_built_is_not_built_again_until_its_source_changes(program: Program) -> None:
    if ask("go", "version") is None:
        pytest.skip("Go is not installed; set-up needs it only where nothing can be downloaded")
    assert not program.is_built()

    program.build()

    assert program.is_built()
    assert subprocess.run([program.output], capture_output=True, check=True).stderr == b"hello\n"

    main = versions.GO_MODULES / "hello" / "main.go"
    main.write_text(main.read_text().replace("hello", "bye"))

    assert not program.is_built()


def test_a_program_that_was_removed_is_built_again(program: Program) -> None:
    program.output.parent.mkdir()
    program.output.touch()
    stamps.write("go-hello", program.stamp())
    assert program.is_built()

    program.output.unlink()

    assert not program.is_built()


def test_a_go_that_is_missing_or_too_old_is_said_with_the_version_that_is_needed(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    (versions.GO_MODULES / "hello" / "go.mod").write_text("module muster/hello\n\ngo 9.1.2\n")

    assert "Go 9.1.2 or newer is needed, this is" in program.missing()[0]

    monkeypatch.setenv("PATH", "")

    assert "there is none" in program.missing()[0]


def test_an_image_changes_its_tag_with_any_file_it_is_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "agent.py").write_text("one")
    before = images.own_agent()

    (tmp_path / "agent" / "agent.py").write_text("two")
    assert images.own_agent() != before


@pytest.mark.parametrize("left", ["__pycache__", ".mypy_cache", ".ruff_cache/0.1"])
def test_an_image_keeps_its_tag_whatever_tools_leave_in_its_folder(
    left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "agent.py").write_text("one")
    before = images.own_agent()

    (tmp_path / "agent" / left).mkdir(parents=True)
    (tmp_path / "agent" / left / "agent").write_text("left")

    assert images.own_agent() == before


def test_a_file_with_a_dot_counts_and_so_does_all_in_a_checkout_below_a_folder_with_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ".checkouts" / "agent"
    folder.mkdir(parents=True)
    (folder / ".dockerignore").write_text("one")
    before = stamps.digest(folder)

    (folder / ".dockerignore").write_text("two")

    assert stamps.digest(folder) != before


def test_a_failing_command_shows_its_last_lines_and_where_its_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolchain.shell.LOGS", tmp_path)

    with pytest.raises(SetupError, match="no such thing") as error:
        run("sh", "-c", "seq 100; echo no such thing >&2; exit 3", log="failing")

    assert str(tmp_path / "failing.log") in str(error.value)
    assert len(str(error.value).splitlines()) < 20


def test_a_second_set_up_waits_for_the_first(tmp_path: Path) -> None:
    second = (
        "import sys, pathlib; from toolchain import __main__ as setup;"
        "setup.MUSTER = pathlib.Path(sys.argv[1])\n"
        "with setup.alone(): print('in', flush=True)"
    )
    with (tmp_path / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, "-c", second, tmp_path],
            cwd=paths.ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert "waiting" in process.stdout.readline()
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.stdout.readline() == "in\n"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine on the environment's PATH; what it was called with and in, a line of JSON each."""
    calls = tmp_path / "calls"
    program = tmp_path / "pulumi"
    program.write_text(f"#!{sys.executable}\n{ENGINE}")
    program.chmod(0o755)
    activate = tmp_path / "activate"
    activate.write_text(f"PATH={tmp_path}:$PATH\n{environment.activation()}")
    monkeypatch.setattr(demo, "ACTIVATE", activate)
    return calls


def told(calls: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in calls.read_text().splitlines()]


def test_the_demo_is_not_shown_the_administrator_of_the_users_own_forge(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "PASS", "PAT"):
        monkeypatch.setenv(f"FORGE_ADMIN_{name}", "the-users-own")

    demo.hire()

    assert [call for call in told(engine) if "the-users-own" in call["environment"].values()] == []


def test_the_demo_runs_in_the_environment_that_activation_makes(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {
        "PULUMI_HOME": "/home/me/.pulumi",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/elsewhere/.muster/passphrase",
    }
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)

    demo.hire()

    expected = activated(**theirs)
    for call in told(engine):
        assert {name: call["environment"][name] for name in theirs} == {
            name: expected[name] for name in theirs
        }


@pytest.mark.parametrize("direction", [demo.up, demo.down])
def test_a_demo_without_an_environment_names_set_up(
    direction: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "ACTIVATE", tmp_path / "activate")

    with pytest.raises(SetupError, match=r"run make setup\.$") as error:
        direction()

    assert "\n" not in str(error.value)


def test_the_demo_leaves_the_stack_that_the_user_has_selected(engine: Path) -> None:
    demo.hire()

    calls = [call["arguments"] for call in told(engine)]
    assert ["stack", "init", "--no-select", "--stack", "demo"] in calls
    assert [call for call in calls if call[-2:] != ["--stack", "demo"]] == [
        ["stack", "ls", "--json"]
    ]


def test_the_demos_forge_takes_the_next_free_port() -> None:
    first = demo.free_port()
    with socket.create_server(("127.0.0.1", first)):
        assert demo.free_port() > first


def test_help_shows_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toolchain", "--help"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "python3 -m toolchain setup" in done.stdout
