"""Requests to an endpoint's own pages: short, direct, without redirects."""

import json
import ssl
import time
from dataclasses import dataclass
from typing import Any, Self

import requests

ANSWER_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """An endpoint's answer.

    Attributes:
        status: The HTTP status.
        ms: Milliseconds from the request to its end.
        body: The JSON; None if it is not JSON.
    """

    status: int
    ms: int
    body: Any

    @property
    def is_loading(self) -> bool:
        """Whether llama-server is loading its model."""
        loading = "loading model" in str(self.body).lower()
        return loading and self.status == requests.codes.unavailable

    @property
    def is_refusal(self) -> bool:
        """Whether the key is refused."""
        return self.status in {requests.codes.unauthorized, requests.codes.forbidden}

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Return the objects in a list of the body; nothing if the body has another form."""
        values = self.body.get(name) if isinstance(self.body, dict) else None
        return [value for value in values or () if isinstance(value, dict)]


class Client:
    """A session with one endpoint.

    Its methods raise `requests.RequestException` if there is no answer.

    Attributes:
        url: The endpoint's address, without a trailing slash.
    """

    def __init__(self, url: str, key: str, timeout: float) -> None:
        self.url = url
        self._timeout = timeout
        self._session = requests.Session()
        # An endpoint is reached directly, and netrc must not replace its key.
        self._session.trust_env = False
        paths = ssl.get_default_verify_paths()
        self._session.verify = paths.cafile or paths.capath or True
        if key:
            self._session.headers["x-api-key"] = key
            self._session.headers["Authorization"] = f"Bearer {key}"

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._session.close()

    def get(self, path: str) -> Answer:
        """Send a GET request."""
        return self._send("GET", path)

    def post(self, path: str, body: object) -> Answer:
        """Send a POST request with a JSON body."""
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: object = None) -> Answer:
        began = time.monotonic()
        with self._session.request(
            method,
            f"{self.url}{path}",
            json=body,
            timeout=self._timeout,
            allow_redirects=False,
            stream=True,
        ) as answer:
            text = next(answer.iter_content(ANSWER_LIMIT), b"")
        ms = round((time.monotonic() - began) * 1000)
        try:
            return Answer(answer.status_code, ms, json.loads(text))
        except ValueError:
            return Answer(answer.status_code, ms, None)


def cause(error: BaseException) -> str:
    """Return the operating system's words for a failed request; requests quotes whole addresses."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return getattr(error, "strerror", None) or type(error).__name__
