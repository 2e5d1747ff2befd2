"""What every command has in common: help, errors, exit codes; and the commands that only show."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer._completion_classes import completion_init

from muster import agent_log
from muster.agent_log import Line
from muster.cli import history, visiting
from muster.cli.main import app, run
from muster.cli.screen import DeclinedError, Screen
from muster.docker_host import DockerHost
from muster.roster import Agent
from toolchain.environment import FROM_ANY_FOLDER

COMMANDS = [each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands]
TASK = {"kind": "issue", "number": 12, "title": "Greet", "url": "http://forge/acme/site/issues/12"}


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_a_help_fits_its_column_and_shows_no_python(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    examples = text.index("Examples:") if "Examples:" in text else len(text)
    described = text[:examples]
    assert max(map(len, described.splitlines())) <= 80
    assert re.findall(r"<(?!factory|name|>).*?>|\{|\[\[|list\[|None|\.\.\.$|x>=", described) == []


def test_the_help_of_a_command_has_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    run(["hire", "--help"])
    expected = capsys.readouterr().out
    assert run(["help", "hire"]) == 0
    assert capsys.readouterr().out == expected
    assert run(["help"]) == 0
    everything = capsys.readouterr().out
    assert run([]) == 0
    assert capsys.readouterr().out == everything
    assert run(["help", "hier"]) == 2
    assert "hier is not a command; did you mean hire?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hire", "missing: NAME (see muster hire --help)"),
        ("hire dev", "missing: ROLE... (see muster hire --help)"),
        ("env foo", "not expected: foo (see muster env --help)"),
        ("logs --tail x", "--tail: must be a whole number (see muster logs --help)"),
        (
            "adopt x --runtime y",
            "--runtime: 'y' is not one of 'disinto', 'muster' (see muster adopt",
        ),
        ("logs --since yesterday", "yesterday is neither an age (10m, 2h) nor a time"),
        ("logs --grep [", "[ is not a valid regular expression"),
        ("up --bogus", "no such option: --bogus (see muster up --help)"),
        ("hier", "no such command 'hier'. Did you mean 'hire'? (see muster --help)"),
        ("hire schedule dev", "[agents.schedule] belongs to the disinto factory"),
    ],
)
def test_a_wrong_command_line_is_one_line_or_with_json_a_document(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {message}")
    assert (printed.err.count("\n"), printed.out) == (1, "")
    assert run([*line.split(), "--json"]) == 2
    printed = capsys.readouterr()
    if "--json" not in printed.err:  # env has no such option
        error = json.loads(printed.out)["error"]
        assert error["exit_code"] == 2
        assert message.partition(" (see")[0] in error["message"] or "--json" in error["message"]


def test_an_error_is_a_document_for_programs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: muster\nruntime: python\n")
    monkeypatch.chdir(tmp_path)
    line = ["logs", "--stack", "acme"]
    assert run(line) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert run([*line, "--json"]) == 1
    printed = capsys.readouterr()
    message = said.removeprefix("error: ").rstrip("\n")
    assert json.loads(printed.out) == {"error": {"message": message, "exit_code": 1}}
    assert printed.err == ""


def _screen(monkeypatch: pytest.MonkeyPatch, answer: str | BaseException) -> Screen:
    def typed(*_: object, **__: object) -> str:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(typer._click.termui, "visible_prompt_func", typed)  # noqa: SLF001
    screen = Screen()
    monkeypatch.setattr(Screen, "terminal", True)
    return screen


@pytest.mark.parametrize("answer", ["n", EOFError()])
def test_a_no_and_the_end_of_input_decline(
    monkeypatch: pytest.MonkeyPatch, answer: str | BaseException
) -> None:
    with pytest.raises(DeclinedError, match="nothing was changed") as declined:
        _screen(monkeypatch, answer).confirm("Apply?")
    assert declined.value.exit_code == 1


def test_ctrl_c_ends_any_command_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        _screen(monkeypatch, KeyboardInterrupt()).confirm("Apply?")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("muster.cli.place.variables", interrupted)
    assert run(["env"]) == 130


# History

RECORDED: list[dict[str, Any]] = [
    {
        "kind": "update",
        "startTime": "2026-02-03T04:05:06.000Z",
        "message": "muster hire dev-qwen dev (ann@desk)",
        "environment": {"exec.kind": "auto.local"},
        "config": {"muster:given": {"value": "v1:encrypted", "secret": True}},
        "result": "succeeded",
        "resourceChanges": {"create": 12, "same": 3},
    },
    {
        "kind": "update",
        "startTime": "2026-02-02T04:05:06.000Z",
        "message": "The last commit's title",
        "environment": {},
        "result": "failed",
        "resourceChanges": {"create": 1, "update": 2, "replace": 1, "create-replacement": 1},
    },
    {
        "kind": "destroy",
        "startTime": "2026-02-01T04:05:06.000Z",
        "message": "",
        "environment": {},
        "result": "succeeded",
    },
]


def test_the_history_tells_who_changed_what_and_when() -> None:
    assert [run_.report() for run_ in history.runs(RECORDED)] == [
        {
            "time": "2026-02-03T04:05:06+00:00",
            "who": "ann@desk",
            "command": "muster hire dev-qwen dev",
            "result": "succeeded",
            "changes": {"create": 12},
        },
        {
            "time": "2026-02-02T04:05:06+00:00",
            "who": None,
            "command": "pulumi up",
            "result": "failed",
            "changes": {"create": 1, "update": 2, "replace": 1},
        },
        {
            "time": "2026-02-01T04:05:06+00:00",
            "who": None,
            "command": "pulumi destroy",
            "result": "succeeded",
            "changes": {},
        },
    ]
    shown = Screen()
    with shown.console.capture() as printed:
        shown.show(history.table(history.runs(RECORDED)), 100)
    lines = printed.get().splitlines()
    assert lines[0].split() == ["WHEN", "WHO", "COMMAND", "RESULT", "CHANGES"]
    assert "ann@desk  muster hire dev-qwen dev  succeeded  12 created" in lines[1]
    assert "pulumi up                 failed     1 created, 2 changed, 1 replaced" in lines[2]
    assert lines[3].rstrip().endswith("nothing")


def test_what_the_history_keeps_of_a_command_has_no_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = ["muster", "rotate", "dev-qwen", "--admin-token", "a-secret", "--yes"]
    monkeypatch.setattr(sys, "argv", typed)
    kept = history.message()
    assert re.fullmatch(r"muster rotate dev-qwen \(\S+@\S+\)", kept)
    recorded = dict(itertools.chain(RECORDED[0].items(), [("message", kept)]))
    assert history.runs([recorded])[0].command == "muster rotate dev-qwen"


# Shell and pages


def test_a_shell_runs_on_the_crews_engine() -> None:
    local = visiting.shell_arguments(
        DockerHost("unix:///run/d.sock"), "acme-agents-x", terminal=True
    )
    assert local[:3] == ["docker", "--host", "unix:///run/d.sock"]
    assert local[3:7] == ["exec", "--interactive", "--tty", "acme-agents-x"]
    tls = DockerHost("tcp://10.0.0.5:2376", certificates=Path("/certs"))
    remote = visiting.shell_arguments(tls, "acme-agents-x", terminal=False)
    assert remote[3:8] == [
        "--tlsverify",
        "--tlscacert",
        "/certs/ca.pem",
        "--tlscert",
        "/certs/cert.pem",
    ]
    assert "--tty" not in remote


def _line(**changes: object) -> Line | None:
    return agent_log.read(json.dumps({"time": "2026-02-03T04:05:06Z", **changes}))


@pytest.mark.parametrize(
    ("line", "page"),
    [
        (None, "dev-bot"),
        (_line(), "dev-bot"),
        (_line(task=TASK), "acme/site/issues/12"),
        (_line(task=TASK, pull=13), "acme/site/pulls/13"),
        (_line(task=TASK | {"kind": "pull"}), "acme/site/pulls/12"),
    ],
)
def test_an_agents_page_is_what_it_works_on(line: Line | None, page: str) -> None:
    agent = Agent.model_construct(name="dev", forge_user="dev-bot")
    assert visiting.page_of(agent, line, "http://forge", "acme/site") == f"http://forge/{page}"


# Completion


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: muster\nruntime: python\n")
    agents = "[agents.dev-qwen]\n[agents.review-qwen]\n[agents]\nbroken = 3\n"
    (tmp_path / "stacks" / "acme.toml").write_text(agents.replace("[agents]\nbroken = 3\n", ""))
    (tmp_path / "stacks" / "beta.toml").write_text("[agents.dev-beta]\n")
    (tmp_path / "stacks" / "broken.toml").write_text("[agents")
    (tmp_path / "stacks" / "Pulumi.gamma.yaml").write_text("config: {}\n")
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    return tmp_path


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("logs ", {"dev-qwen", "review-qwen", "dev-beta"}),
        ("logs --stack acme ", {"dev-qwen", "review-qwen"}),
        ("logs dev-qwen d", {"dev-beta"}),
        ("stop r", {"review-qwen"}),
        ("fire --stack beta ", {"dev-beta"}),
        ("shell dev-q", {"dev-qwen"}),
        ("work dev-q", {"dev-qwen"}),
        ("key dev-q", {"dev-qwen"}),
        ("open dev-q", {"dev-qwen"}),
        ("hire new-one re", {"review"}),
        ("up --stack ", {"acme", "beta", "broken", "gamma"}),
        ("status -s b", {"beta", "broken"}),
    ],
)
def test_completion_offers_agents_stacks_and_roles(
    typed: str,
    offered: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = f"muster {typed}"
    monkeypatch.setenv("_MUSTER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    completion_init()
    with pytest.raises(SystemExit):
        run([])
    assert set(capsys.readouterr().out.split()) == offered


def test_plain_pulumi_finds_the_state_from_any_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    url = "backend:\n  url: file://./.muster/state?metadata=skip\n"
    (project / "Pulumi.yaml").write_text(f"name: muster\n{url}")
    assert run(["env"]) == 0
    state = f"export PULUMI_BACKEND_URL='file://{project}/.muster/state?metadata=skip'"
    assert state in capsys.readouterr().out.splitlines()
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://team")
    run(["env"])
    assert "PULUMI_BACKEND_URL" not in capsys.readouterr().out


def test_activation_runs_pulumi_in_the_projects_folder(project: Path) -> None:
    program = project / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    typed = (
        f'set -eu; PATH={program.parent}:$PATH; {FROM_ANY_FOLDER}; pulumi up "a b"; cd /; pulumi'
    )
    for shell in ("sh", "bash"):
        done = subprocess.run([shell, "-c", typed], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [f"--cwd={project}", "up", "a b", ""]


def test_completion_is_installed_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("alias ll=ls\n")
    assert run(["completion", "bash", "--install"]) == 0
    [line] = [each for each in (tmp_path / ".bashrc").read_text().splitlines() if "muster" in each]
    assert line == f"source '{tmp_path}/.bash_completions/muster.sh'"
    assert "Open a new shell" in capsys.readouterr().out
    assert run(["completion", "bash", "--install"]) == 0
    assert (tmp_path / ".bashrc").read_text().count("muster.sh") == 1
