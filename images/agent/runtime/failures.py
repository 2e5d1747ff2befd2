"""What went wrong at an endpoint: one kind for each thing that the runtime does about it."""

import json
import os
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal

import aiohttp

from muster.forge.masking import masked

Kind = Literal[
    "unreachable",  # no answer: not running, wrong address, name not found, silent for too long
    "loading",  # llama-server is loading its model
    "refused",  # the key is missing, wrong or not allowed to do this
    "model",  # the endpoint does not serve the model
    "rate",  # too many requests
    "overloaded",  # the endpoint has no capacity now
    "context",  # the request is larger than the model's context window
    "budget",  # the task's own token budget is used up
    "error",  # anything else
]

LONGEST_MESSAGE = 300
OVERLOADED = 529
"""Anthropic's own status code."""

FINAL: frozenset[Kind] = frozenset({"refused", "model", "budget"})
"""Kinds that another attempt does not cure."""

# Wording of Anthropic, llama-server, vLLM, LiteLLM and LM Studio.
_CONTEXT = re.compile(
    r"prompt is too long|input is too long|exceed_context_size|context_?length_?exceeded"
    r"|context_?window_?exceeded|exceeds? the (available )?context|exceed context limit"
    r"|maximum (context|prompt|model) length|longer than the (maximum )?(model|context)"
    r"|greater than the context length",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"\bmodel\b.*(not found|not exist|not loaded|unknown|not available|not supported|no access)"
    r"|(unknown|invalid|no such|no) model\b|failed to load model|models? loaded",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Failure:
    """A request that the endpoint did not answer.

    Attributes:
        kind: What to do about it.
        status: The endpoint's HTTP status; None if it sent none.
        message: One line without secrets.
        retry_after: Seconds that the endpoint asks to wait.
    """

    kind: Kind
    status: int | None
    message: str
    retry_after: float | None = None


def of_answer(status: int, body: bytes, *, secret: str, retry_after: str | None = None) -> Failure:
    """Classify an error answer; `secret` is removed from its text."""
    if status < HTTPStatus.BAD_REQUEST:
        return Failure("error", status, f"HTTP {status} instead of an answer: check base_url")
    kind, text = _explain(body)
    line = _one_line(redact(text, secret)) or _phrase(status)
    return Failure(
        _kind(status, kind, text), status, f"HTTP {status}: {line}", _seconds(retry_after)
    )


def of_event(data: bytes, *, secret: str) -> Failure:
    """Classify an `error` event that came within a stream."""
    kind, text = _explain(data)
    status = _STATUS_OF_TYPE.get(kind, HTTPStatus.INTERNAL_SERVER_ERROR)
    line = _one_line(redact(text, secret)) or kind or "error"
    return Failure(_kind(status, kind, text), status, f"in the stream: {line}")


def of_exception(error: BaseException, host: str) -> Failure:
    """Say why no complete answer came from `host`."""
    if isinstance(error, TimeoutError):
        return Failure("unreachable", None, f"{host} did not answer in time")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        said = f"the proxy does not connect to {host} (HTTP {error.status})"
        return Failure("unreachable", None, said)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        host = f"the proxy {error.host}:{error.port}"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        # Names that are not found have negative numbers, which only their own texts explain.
        number = cause.errno or 0
        reason = os.strerror(number) if number > 0 else cause.strerror
        return Failure("unreachable", None, f"cannot connect to {host}: {reason}")
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        return Failure("unreachable", None, f"{host} closed the connection without a full answer")
    # The text of other exceptions may quote headers, key included.
    return Failure("error", None, f"cannot talk to {host}: {type(error).__name__}")


def body_of(kind: str, message: str) -> bytes:
    """Return an error in the Messages API's form."""
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


def event_of(failure: Failure, message: str) -> bytes:
    """Return an error as an event for a stream that has begun.

    Claude Code 2.1.331 tries again after `overloaded_error` only, so every failure that another
    attempt may cure is sent under that name.
    """
    return b"event: error\ndata: " + body_of(_type_of(failure), message) + b"\n\n"


def explain(body: bytes) -> str:
    """Return the text of an error answer, as its sender wrote it."""
    return _explain(body)[1]


def redact(text: str, secret: str) -> str:
    """Remove a secret from a text."""
    return masked(text, [secret], "[redacted]")


_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "exceed_context_size_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "unavailable_error": 503,
    "overloaded_error": OVERLOADED,
}


def _type_of(failure: Failure) -> str:
    match failure.kind:
        case "context" | "budget":
            return "invalid_request_error"
        case "model":
            return "not_found_error"
        case "refused":
            forbidden = failure.status == HTTPStatus.FORBIDDEN
            return "permission_error" if forbidden else "authentication_error"
        case "error" if failure.status and failure.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return "invalid_request_error"
        case _:
            return "overloaded_error"


def _kind(status: int, kind: str, text: str) -> Kind:  # noqa: PLR0911 - one line per kind
    if _CONTEXT.search(f"{kind} {text}"):
        return "context"
    if status in {401, 403}:
        return "refused"
    if _names_no_model(status, text):
        return "model"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate"
    if status == HTTPStatus.SERVICE_UNAVAILABLE and "loading model" in text.lower():
        return "loading"
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, OVERLOADED}:
        return "overloaded"
    # A proxy in front of the endpoint answers for it.
    if status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}:
        return "unreachable"
    return "error"


def _names_no_model(status: int, text: str) -> bool:
    # A 404 that does not mention a model comes from a server without the Messages API.
    if status == HTTPStatus.NOT_FOUND:
        return "model" in text.lower()
    return status in {400, 422} and bool(_NO_MODEL.search(text))


def _explain(body: bytes) -> tuple[str, str]:
    """Return type and message of an error, whatever server wrote it."""
    text = body.decode("utf-8", "replace")
    try:
        answer: Any = json.loads(text)
    except ValueError:
        return "", re.sub(r"<[^>]*>", " ", text)
    # Anthropic, llama-server, vLLM: {"error": {…}}; Ollama: {"error": "…"}; FastAPI: {"detail": …}.
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("type", "")), str(error.get("message") or error.get("detail") or "")


def _seconds(retry_after: str | None) -> float | None:
    """Read a `Retry-After` header: seconds, or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"
