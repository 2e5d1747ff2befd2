"""One GET request, with an outcome in place of exceptions."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

TIMEOUT = 10.0
"""Seconds to wait for each sign of life from a server."""

LIMIT = 1 << 20
"""Bytes of an answer that are read."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows nothing: urllib would send the token to whatever host a redirect names."""

    def redirect_request(self, *_: object) -> None:
        """Leave the redirect as the answer."""


_OPENER = urllib.request.build_opener(_StayHere)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status; None where no answer came.
        ms: Milliseconds from the request to the end of the answer.
        body: The answer's first MiB.
        error: Why no answer came; never holds a secret.
    """

    status: int | None
    ms: int
    body: bytes = b""
    error: str = ""


def get(url: str, token: str | None = None) -> Answer:
    """GET `url`, with a forge's access token where one is given."""
    started = time.monotonic()

    def elapsed() -> int:
        return round((time.monotonic() - started) * 1000)

    try:
        request = urllib.request.Request(url)  # noqa: S310 - http(s) only, as the roster demands
        if token is not None:
            request.add_header("Authorization", f"token {token}")
        with _OPENER.open(request, timeout=TIMEOUT) as response:
            body = response.read(LIMIT)
            return Answer(response.status, elapsed(), body)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, elapsed())
    except OSError as error:
        # URLError, a broken connection, a time-out: their texts tell of hosts and certificates.
        return Answer(None, elapsed(), error=str(getattr(error, "reason", error)))
    except (http.client.HTTPException, ValueError) as error:
        # These may quote what they choke on, so only their kind is told.
        return Answer(None, elapsed(), error=type(error).__name__)
