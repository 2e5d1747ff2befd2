"""How failures of an endpoint are classified and worded."""

import json
import time
from email.utils import formatdate

import pytest
from messages_api import error
from runtime import failures

KEY = "sk-secret-0123456789"


def llama(code: int, kind: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "type": kind}}


def classify(status: int, body: object, retry_after: str | None = None) -> failures.Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failures.of_answer(status, data, secret=KEY, retry_after=retry_after)


LLAMA_CONTEXT = "request (120012 tokens) exceeds the available context size (65536 tokens), try it"
VLLM_CONTEXT = "This model's maximum context length is 8192 tokens. However, you requested 9000"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, llama(503, "unavailable_error", "Loading model"), "loading"),
        (503, llama(503, "unavailable_error", "no slot available"), "overloaded"),
        (503, b"<html>Service Unavailable</html>", "overloaded"),
        (529, error("overloaded_error", "Overloaded"), "overloaded"),
        (401, llama(401, "authentication_error", "Invalid API Key"), "refused"),
        (403, error("permission_error", "not allowed"), "refused"),
        (404, error("not_found_error", "model: claude-9"), "model"),
        (404, {"error": "model 'qwen' not found"}, "model"),
        (404, {"object": "error", "message": "The model `x` does not exist."}, "model"),
        (400, llama(400, "invalid_request_error", "model 'x' not found"), "model"),
        (400, {"error": {"message": "Invalid model name passed in model=x"}}, "model"),
        (400, {"error": {"message": "No models loaded. Please load a model"}}, "model"),
        (400, {"error": "Failed to load model qwen"}, "model"),
        (404, llama(404, "not_found_error", "File Not Found"), "error"),
        (404, {"detail": "Not Found"}, "error"),
        (429, error("rate_limit_error", "slow down"), "rate"),
        (400, llama(400, "exceed_context_size_error", LLAMA_CONTEXT), "context"),
        (400, error("invalid_request_error", "prompt is too long: 210000 tokens"), "context"),
        (400, {"error": {"message": VLLM_CONTEXT}}, "context"),
        (400, error("invalid_request_error", "temperature: must be below 1"), "error"),
        (500, llama(500, "server_error", "System message must be at the beginning"), "error"),
        (502, b"<html>Bad Gateway</html>", "unreachable"),
        (504, b"", "unreachable"),
        (308, b"", "error"),
    ],
)
def test_an_answer_has_a_kind(status: int, body: object, kind: str) -> None:
    assert classify(status, body).kind == kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error("overloaded_error", "busy"), "overloaded"),
        (error("rate_limit_error", "slow down"), "rate"),
        (error("api_error", "broken"), "error"),
        ({"code": 400, "type": "exceed_context_size_error", "message": LLAMA_CONTEXT}, "context"),
    ],
)
def test_an_error_event_has_a_kind(body: object, kind: str) -> None:
    assert failures.of_event(json.dumps(body).encode(), secret=KEY).kind == kind


def test_a_message_names_the_status_and_the_servers_words() -> None:
    failure = classify(401, error("authentication_error", "Invalid API Key"))
    assert failure.message == "HTTP 401: Invalid API Key"


def test_a_message_is_one_short_line() -> None:
    message = classify(500, error("api_error", "a\nb\n" * 1000)).message
    assert "\n" not in message
    assert len(message) < 320


def test_a_web_page_is_reduced_to_its_words() -> None:
    assert classify(502, b"<h1>Bad  Gateway</h1>").message == "HTTP 502: Bad Gateway"


def test_an_empty_answer_is_named_by_its_status() -> None:
    assert classify(504, b"").message == "HTTP 504: Gateway Timeout"


def test_the_key_is_removed_from_messages() -> None:
    answer = classify(401, error("authentication_error", f"bad key {KEY}"))
    event = failures.of_event(json.dumps(error("api_error", KEY)).encode(), secret=KEY)
    assert KEY not in answer.message + event.message
    assert "[redacted]" in answer.message


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("1.5", 1.5), ("soon", None), (None, None), ("-3", 0.0)]
)
def test_a_pause_in_seconds_is_read(header: str | None, seconds: float | None) -> None:
    assert classify(429, {}, header).retry_after == seconds


def test_a_pause_until_a_date_is_read() -> None:
    pause = classify(429, {}, formatdate(time.time() + 60, usegmt=True)).retry_after
    assert pause == pytest.approx(60, abs=3)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {}, "authentication_error"),
        (403, {}, "permission_error"),
        (404, error("not_found_error", "model: x"), "not_found_error"),
        (400, {"error": LLAMA_CONTEXT}, "invalid_request_error"),
        (400, {}, "invalid_request_error"),
        (503, {"error": "Loading model"}, "overloaded_error"),
        (500, {}, "overloaded_error"),
        (429, {}, "overloaded_error"),
    ],
)
def test_an_error_event_makes_claude_code_repeat_only_what_may_succeed(
    status: int, body: object, kind: str
) -> None:
    event = failures.event_of(classify(status, body), "words")
    assert event.startswith(b"event: error\n")
    assert event.endswith(b"\n\n")
    assert json.loads(event.partition(b"data: ")[2]) == error(kind, "words")
