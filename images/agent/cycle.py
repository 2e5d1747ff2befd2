"""One cycle of an agent: a list of steps, each with an outcome.

The work itself is to be one more step in `STEPS`.
"""

from __future__ import annotations

import http
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import web
from settings import CredentialError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from settings import Settings

REFUSALS: Mapping[int, str] = {
    401: "the forge refuses the token",
    403: "the forge refuses the token's user or scopes",
    404: "the forge shows this bot user no such repository",
}


@dataclass(frozen=True)
class Outcome:
    """How a step went.

    Attributes:
        report: What the log says of it.
        error: Why it failed, without secrets; None where it did not.
    """

    report: object
    error: str | None = None


def forge(settings: Settings) -> Outcome:
    """Prove that the forge accepts the token and lets it write to the project's repository."""
    try:
        token = settings.forge_token.read()
    except CredentialError as error:
        return Outcome({"status": None, "ms": 0}, str(error))
    answer = web.get(f"{settings.forge_url}/api/v1/repos/{settings.forge_repo}", token)
    return Outcome({"status": answer.status, "ms": answer.ms}, _forge_error(answer))


def _forge_error(answer: web.Answer) -> str | None:
    if answer.status is None:
        return f"the forge does not answer: {answer.error}"
    if answer.status != http.HTTPStatus.OK:
        return REFUSALS.get(answer.status, f"the forge answered {answer.status}")
    return None if _may_push(answer.body) else "the bot user may not write to the repository"


def _may_push(body: bytes) -> bool:
    """Tell from a forge's description of a repository whether the asking user may push to it."""
    try:
        repository: Any = json.loads(body)
        return repository["permissions"]["push"] is True
    except (ValueError, KeyError, TypeError):
        return False


def endpoint(settings: Settings) -> Outcome:
    """Prove that the endpoint is in health; the Anthropic API is not called."""
    if settings.endpoint_url is None:
        return _anthropic(settings)
    answer = web.get(f"{settings.endpoint_url}/health")
    report = {"status": answer.status, "ms": answer.ms}
    if answer.status is None:
        return Outcome(report, f"the endpoint does not answer: {answer.error}")
    if answer.status != http.HTTPStatus.OK:
        return Outcome(report, f"the endpoint answered {answer.status}")
    return Outcome(report)


def _anthropic(settings: Settings) -> Outcome:
    try:
        settings.api_key.read()
    except CredentialError as error:
        return Outcome("anthropic", str(error))
    return Outcome("anthropic")


STEPS: Mapping[str, Callable[[Settings], Outcome]] = {"forge": forge, "endpoint": endpoint}


def run(settings: Settings, number: int) -> dict[str, object]:
    """Take every step once and return the cycle's record, as it is logged.

    `time` is when the cycle began, in UTC; `error` maps the steps that failed to why.
    """
    began = datetime.now(UTC).isoformat(timespec="milliseconds")
    outcomes = {name: step(settings) for name, step in STEPS.items()}
    errors = {name: outcome.error for name, outcome in outcomes.items() if outcome.error}
    return {
        "time": began,
        "agent": settings.agent,
        "cycle": number,
        "result": "failed" if errors else "ok",
        **{name: outcome.report for name, outcome in outcomes.items()},
        "error": errors or None,
    }
