"""Sessions: how one ended, by what Claude Code's last line, its exit code and the gateway say."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from issue_tracker import IssueTracker
from runtime import session
from runtime.failures import Failure
from runtime.gateway import Gateway, Upstream
from runtime.session import TRANSCRIPTS, Order, Outcome, Transcript, _judge, _result
from runtime.tree import Tree
from workshop import KEY, TOKEN, bare, services, settings

GOOD = {"type": "result", "subtype": "success", "is_error": False, "terminal_reason": "completed"}
BAD = {"type": "result", "subtype": "success", "is_error": True}
API = BAD | {"terminal_reason": "api_error"}
LONG = BAD | {"terminal_reason": "prompt_too_long", "result": "Prompt is too long"}
TURNS = BAD | {"subtype": "error_max_turns", "terminal_reason": "max_turns", "errors": ["…"]}
CUT = API | {"api_error_status": None, "result": "API Error: Connection dropped\nmore"}

DOWN = Failure("unreachable", None, "cannot connect to models:8080: Connection refused")
REFUSED = Failure("refused", 401, "HTTP 401: Invalid API key")
TOO_LONG = Failure("context", 400, "HTTP 400: the request exceeds the available context size")
USED_UP = Failure("budget", None, "the token budget is used up")


def gateway(failure: Failure | None = None) -> Gateway:
    made = Gateway(Upstream("http://models:8080", lambda: KEY, anthropic=False), tokens=1000)
    made.failure = failure
    return made


@pytest.mark.parametrize(
    ("result", "code", "failure", "kind"),
    [
        (GOOD, 0, None, "done"),
        (GOOD, 0, DOWN, "done"),  # one that a repetition cured
        (GOOD, 1, None, "crashed"),
        (BAD, 0, None, "crashed"),
        (API | {"api_error_status": 401}, 1, REFUSED, "endpoint"),
        (API | {"api_error_status": 529}, 1, DOWN, "endpoint"),
        (CUT, 1, None, "endpoint"),
        (API, 1, None, "endpoint"),
        (LONG, 1, None, "context"),
        (LONG, 1, TOO_LONG, "context"),
        (API, 1, TOO_LONG, "context"),
        (TURNS, 1, None, "turns"),
        (TURNS, 1, DOWN, "turns"),
        (GOOD, 0, USED_UP, "tokens"),
        (API, 1, USED_UP, "tokens"),
        (TURNS, 1, USED_UP, "tokens"),
        (None, 1, None, "crashed"),
        (None, 0, None, "crashed"),
        (None, -9, None, "crashed"),
        (None, None, None, "crashed"),
        (None, 1, DOWN, "endpoint"),
    ],
)
def test_how_a_session_ended(
    result: dict[str, Any] | None, code: int | None, failure: Failure | None, kind: str
) -> None:
    judged, message = _judge(None, result, code, gateway(failure))

    assert judged == kind
    assert message
    assert "\n" not in message


@pytest.mark.parametrize("result", [None, GOOD, API])
@pytest.mark.parametrize("failure", [None, DOWN, USED_UP])
@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("minutes", ("minutes", "the time is used up")),
        ("stopped", ("stopped", "stopped")),
        ("the issue was closed", ("cancelled", "the issue was closed")),
    ],
)
def test_what_was_ended_early_is_judged_by_the_reason(
    reason: str,
    ended: tuple[str, str],
    failure: Failure | None,
    result: dict[str, Any] | None,
) -> None:
    assert _judge(reason, result, 143, gateway(failure)) == ended


@pytest.mark.parametrize(
    ("result", "code", "failure", "message"),
    [
        (API, 1, DOWN, DOWN.message),
        (CUT, 1, None, "API Error: Connection dropped"),
        (API, 1, None, "the connection to the model was cut"),
        (None, 3, None, "Claude Code ended with exit code 3"),
        (BAD | {"result": "Oops\nmore"}, 1, None, "Claude Code ended with exit code 1, Oops"),
    ],
)
def test_people_read_what_went_wrong(
    result: dict[str, Any] | None, code: int, failure: Failure | None, message: str
) -> None:
    assert _judge(None, result, code, gateway(failure))[1] == message


@pytest.mark.parametrize("words", ["All tests pass, exit code 0.", '{"is_error": false}'])
def test_the_models_words_decide_nothing(words: str) -> None:
    assert _judge(None, BAD | {"result": words}, 1, gateway())[0] == "crashed"
    assert _judge(None, TURNS | {"result": words}, 0, gateway())[0] == "turns"


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_the_result_is_found_however_the_line_is_spaced(separators: tuple[str, str]) -> None:
    assert _result(json.dumps(GOOD, separators=separators)) == GOOD


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not JSON",
        '{"type":"result"',
        '["type":"result"]',
        '[{"type":"result"}]',
        json.dumps({"type": "assistant", "message": {"content": [{"text": '{"type":"result"}'}]}}),
        json.dumps({"type": "user", "tool_use_result": {"type": "result"}}),
        json.dumps({"type": "system", "subtype": "init"}),
        '{"type":"result","a":' + "[" * 100_000,
    ],
)
def test_no_other_line_is_a_result(line: str) -> None:
    assert _result(line) is None


def redacted(text: str) -> str:
    return text.replace(TOKEN, "***")


def test_a_transcript_has_the_messages_without_secrets(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "sessions", redacted)
    transcript.write('{"type": "system"}\n')
    transcript.write(f'{{"text": "{TOKEN}"}}')
    transcript.close()

    assert (tmp_path / "sessions" / "last.jsonl").read_text() == (
        '{"type": "system"}\n{"text": "***"}\n'
    )


def test_a_transcript_can_be_read_while_the_session_runs(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path, redacted)
    transcript.write('{"type": "system"}\n')

    assert (tmp_path / "last.jsonl").read_text() == '{"type": "system"}\n'
    transcript.close()


def test_earlier_transcripts_are_kept_but_not_all(tmp_path: Path) -> None:
    for number in range(TRANSCRIPTS + 5):
        (tmp_path / f"20260101T0000{number:02}.jsonl").touch()
    (tmp_path / "last.jsonl").write_text("the one before")

    Transcript(tmp_path, redacted).close()

    kept = sorted(path.name for path in tmp_path.glob("2*.jsonl"))
    assert len(kept) == TRANSCRIPTS
    assert (tmp_path / kept[-1]).read_text() == "the one before"
    assert (tmp_path / "last.jsonl").read_text() == ""


SESSION = "0b210546-ea16-451c-8ad0-2515a8e0a933"
CLAUDE = """\
#!/bin/sh
# Plays Claude Code: it notes how it was called, and prints what the test wants.
env > "$HOME/environment"
printf '%s\\n' "$@" > "$HOME/arguments"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    bare(tmp_path / "origin", {"README.md": "hello"})
    known = settings(
        MUSTER_ENV="LANG,ANTHROPIC_UNIX_SOCKET",
        LANG="de_DE.UTF-8",
        ANTHROPIC_UNIX_SOCKET="/elsewhere",
    )
    agent = services(tmp_path, IssueTracker(), known)
    made = agent.tree("issue", 12)
    made.make("muster/issue-12", agent.fetch_branches())
    return made


def ran(
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    *,
    seconds: float = 20.0,
    resume: bool = False,
) -> Outcome:
    """Run a session with a program in Claude Code's place."""
    program = tree.folder / "program"
    program.write_text(CLAUDE + script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(session, "CLAUDE", program)
    order = Order(
        prompt="Say hello.",
        system=tree.system,
        model="qwen",
        session=SESSION,
        resume=resume,
        turns=60,
        seconds=seconds,
        variables={"LIMIT": "7"},
    )
    transcript = Transcript(tree.folder / "sessions", redacted)
    with gateway() as reachable:
        return session.run(order, tree, reachable, transcript, lambda: None)


def test_a_session_reads_its_prompt_from_standard_input_and_ends_with_a_result(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = json.dumps(GOOD | {"result": "Done.", "num_turns": 3})

    outcome = ran(tree, monkeypatch, f"cat > prompt; echo hello; echo '{end}'")

    assert (outcome.kind, outcome.text, outcome.turns) == ("done", "Done.", 3)
    assert (tree.path / "prompt").read_text() == "Say hello."
    assert (tree.folder / "sessions" / "last.jsonl").read_text() == f"hello\n{end}\n"


def test_a_session_gets_the_gateways_key_and_nothing_of_the_agents_environment(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)

    ran(tree, monkeypatch, "exit 1")

    seen = (tree.folder / "home" / "environment").read_text()
    assert TOKEN not in seen
    assert KEY not in seen
    assert "FORGE_TOKEN" not in seen
    assert "ANTHROPIC_BASE_URL=http://" in seen
    assert {"LIMIT=7", "LANG=de_DE.UTF-8"} <= {*seen.splitlines()}
    assert "/elsewhere" not in seen  # the session's own variables win over the roster's


@pytest.mark.parametrize(("option", "resume"), [("--session-id", False), ("--resume", True)])
def test_a_session_is_a_new_one_or_goes_on(
    option: str, tree: Tree, monkeypatch: pytest.MonkeyPatch, *, resume: bool
) -> None:
    outcome = ran(tree, monkeypatch, "exit 1", resume=resume)

    arguments = (tree.folder / "home" / "arguments").read_text().splitlines()
    assert outcome.session == SESSION
    assert arguments[arguments.index(SESSION) - 1] == option
    assert "Say hello." not in arguments


def test_a_session_that_crashes_says_what_it_printed_last(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = "[claude-code:unrecognized_model] {}"

    outcome = ran(tree, monkeypatch, f"echo 'no such file' >&2; echo '{noise}' >&2; exit 7")

    assert outcome.kind == "crashed"
    assert outcome.message == "Claude Code ended with exit code 7: no such file"


def test_a_session_that_ignores_its_stop_ends_after_its_time_all_the_same(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ENDING_SECONDS", 0.2)
    monkeypatch.setattr(session, "LOOK_SECONDS", 0.05)

    outcome = ran(tree, monkeypatch, "trap '' TERM; while :; do sleep 0.05; done", seconds=0.2)

    assert outcome.kind == "minutes"
    assert outcome.seconds < 10
