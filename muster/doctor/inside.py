"""What a container on the crew's network sees: `python3 -c "$(cat inside.py)" URL...`.

It runs in any image with Python 3.7 or newer, and knows nothing of Muster. It prints one JSON
document: the container's time, and for each URL the status, or why there was none.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 10.0
"""Seconds to wait for each sign of life from a server; the agent waits as long."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect is an answer."""

    def redirect_request(self, *_: object) -> None:
        """Leave the redirect as it is."""


_OPENER = urllib.request.build_opener(_StayHere)


def asked(url: str) -> dict[str, object]:
    """GET a URL; return the status, or why no answer came."""
    try:
        with _OPENER.open(url, timeout=TIMEOUT) as answer:
            return {"status": answer.status, "error": ""}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "error": ""}
    except (OSError, http.client.HTTPException) as error:
        return {"status": None, "error": _reason(getattr(error, "reason", error))}


def _reason(error: object) -> str:
    if isinstance(error, socket.timeout):
        return f"no answer within {TIMEOUT:.0f} s"
    if isinstance(error, socket.gaierror):
        return "no host of that name is known there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted there: {error.verify_message}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def main(urls: list[str]) -> None:
    """Ask all URLs at once, and print what came."""
    now = time.time()
    with ThreadPoolExecutor(len(urls)) as pool:
        answers = dict(pool.map(lambda url: (url, asked(url)), urls))
    print(json.dumps({"time": now, "answers": answers}))  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main(sys.argv[1:])
