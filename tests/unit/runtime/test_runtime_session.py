"""Sessions: how one ended, by what Claude Code's last line, its exit code and the gateway say."""

import json
from pathlib import Path
from typing import Any

import pytest
from runtime.failures import Failure
from runtime.gateway import Gateway, Upstream
from runtime.session import TRANSCRIPTS, Transcript, _judge, _result
from workshop import KEY, TOKEN

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
    Transcript(tmp_path, redacted).write('{"type": "system"}\n')

    assert (tmp_path / "last.jsonl").read_text() == '{"type": "system"}\n'


def test_earlier_transcripts_are_kept_but_not_all(tmp_path: Path) -> None:
    for number in range(TRANSCRIPTS + 5):
        (tmp_path / f"20260101T0000{number:02}.jsonl").touch()
    (tmp_path / "last.jsonl").write_text("the one before")

    Transcript(tmp_path, redacted).close()

    kept = sorted(path.name for path in tmp_path.glob("2*.jsonl"))
    assert len(kept) == TRANSCRIPTS
    assert (tmp_path / kept[-1]).read_text() == "the one before"
    assert (tmp_path / "last.jsonl").read_text() == ""
