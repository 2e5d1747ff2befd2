"""What a failed call becomes: an error in the forge's own words, without a secret."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3

from muster.forge.errors import (
    ForbiddenError,
    ForgeError,
    ForgeUnreachableError,
    NotFoundError,
    SecondFactorError,
    UnauthorizedError,
)
from muster.forge.masking import holds_short, masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muster.forge.session import RedirectedError

ACCESS_PROXY = (
    "an access proxy in front of the forge asks for a login: have it let /api/v1 and git through, "
    "or use an address of the forge that does not lead through it"
)

_PRIVATE_CA = (
    "for a private CA, set ca_file under [muster] to its certificate, or name a bundle in "
    "REQUESTS_CA_BUNDLE"
)

_BUSY = {429, 502, 503, 504}
_BUSY_DATABASE = re.compile(
    r"database (table |schema )?is locked|SQLITE_BUSY|deadlock|lock wait timeout"
    r"|could not serialize access|too many (connections|clients)|(bad|busy) connection",
    re.IGNORECASE,
)
"""What SQLite, MySQL and PostgreSQL say when a call came at the wrong moment."""

_CLASSES: dict[int, type[ForgeError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
}
_LONGEST_MESSAGE = 500
_SECOND_FACTOR = re.compile(r"\bOTP\b|while having security keys enrolled")
"""What Gitea and Forgejo say to the password of an account with a second factor."""

_PASSING = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def unreachable(method: str, path: str, url: str, error: OSError) -> ForgeUnreachableError:
    """Return the error for a call that got no answer."""
    reason = _reason(error)
    tls = isinstance(error, requests.exceptions.SSLError)
    untrusted = tls and "certificate" in reason
    return ForgeUnreachableError(
        f"{url} cannot be reached: {reason}",
        call=f"{method} {path}",
        advice=_PRIVATE_CA if untrusted else "",
        transient=isinstance(error, _PASSING) and not tls,
    )


def redirected(method: str, path: str, url: str, error: RedirectedError) -> ForgeError:
    """Return the error for a redirect that is not followed."""
    moved = urlsplit(error.target).path.endswith(f"/api/v1{path}")
    advice = "use that address: credentials follow no redirect to another host"
    return ForgeError(
        f"{url} redirects to {error.target}",
        call=f"{method} {path}",
        status=error.status,
        advice=advice if moved else ACCESS_PROXY,
    )


def refused(
    method: str, path: str, answer: requests.Response, secrets: Iterable[str]
) -> ForgeError:
    """Return the error for an answer that is none of the 2xx.

    A 401, 403 or 404 that is no forge's, of a proxy perhaps, is none of the errors for these:
    nothing is gone and no credentials are wrong by that.
    """
    status = answer.status_code
    said = _said(answer)
    if said is None and status in _CLASSES:
        return unreadable(method, path, answer)
    pause = _retry_after(answer)
    kind = _CLASSES.get(status, ForgeError)
    if kind is UnauthorizedError and said and _SECOND_FACTOR.search(said):
        kind = SecondFactorError
    return kind(
        _without(secrets, said or f"{answer.reason}, in {_kind(answer)}"),
        call=f"{method} {path}",
        status=status,
        advice=f"it asks for a pause of {pause:.0f} s" if pause else "",
        transient=status in _BUSY or _is_busy(status, answer),
        retry_after=pause,
    )


def _is_busy(status: int, answer: requests.Response) -> bool:
    """Tell whether a forge's database was busy.

    A forge in production shows the reason to administrators only; to others it says nothing
    (`APIContext.Error` and `InternalServerError` in `services/context/api.go` of both).
    """
    if status != HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    try:
        message = answer.json()["message"]
    except (ValueError, LookupError, TypeError):
        return False
    return not message or _BUSY_DATABASE.search(str(message)) is not None


def unreadable(method: str, path: str, answer: requests.Response) -> ForgeError:
    """Return the error for an answer that no forge gives."""
    shut = answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return ForgeError(
        f"not a forge's answer, but {_kind(answer)}",
        call=f"{method} {path}",
        status=answer.status_code,
        advice=ACCESS_PROXY if shut else "is the address that of a forge?",
    )


def _said(answer: requests.Response) -> str | None:
    """Return what the forge says, in one line; None where no forge speaks."""
    try:
        said = answer.json().get("message") or answer.reason
    except (ValueError, AttributeError):
        return None
    return " ".join(str(said).split())[:_LONGEST_MESSAGE]


def _kind(answer: requests.Response) -> str:
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    return f"a document of type {kind or 'unknown'}"


def _retry_after(answer: requests.Response) -> float | None:
    try:
        return urllib3.Retry().get_retry_after(answer.raw)
    except urllib3.exceptions.InvalidHeader:
        return None


def _without(secrets: Iterable[str], text: str) -> str:
    known = tuple(secrets)
    if holds_short(text, known):
        return "a message that may hold a credential, and is not shown"
    return masked(text, known)


def _reason(error: OSError) -> str:
    """Say in short why there was no answer, and nothing that requests quotes of the request."""
    if isinstance(error, requests.exceptions.Timeout):
        return "it did not answer in time"
    if isinstance(error, requests.RequestException) and not isinstance(error, _PASSING):
        return type(error).__name__
    innermost = _innermost(error)
    text = getattr(innermost, "strerror", None) or str(innermost)
    return re.sub(r"^<[^>]*>: |^\w+\([^)]*\): ", "", text)


def _innermost(error: Any) -> Any:  # noqa: ANN401 - urllib3 wraps in several ways
    """Unwrap: urllib3 keeps a cause as `reason` or among the arguments."""
    causes = (getattr(error, "reason", None), *getattr(error, "args", ()))
    cause = next((cause for cause in causes if isinstance(cause, BaseException)), None)
    return error if cause is None else _innermost(cause)
