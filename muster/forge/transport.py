"""How calls get to the forge and back: addresses, repetition, pages."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import tenacity

from muster.forge import answers
from muster.forge.errors import ForgeError, NotFoundError
from muster.forge.session import Authorization, RedirectedError, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from muster.forge.credentials import Basic, Token

T = TypeVar("T")

TIMEOUT = (5.0, 30.0)
"""Seconds to wait for a connection, and for each part of an answer."""

PATIENCE = 30.0
"""Seconds after which a failing call is not repeated any more."""

PAGE = 50
"""The most that a forge lists at a time (`MAX_RESPONSE_ITEMS`, 50 by default)."""

_backoff = tenacity.wait_random_exponential(multiplier=0.2, max=5)


class Transport:
    """Calls below `<url>/api/v1`, in the name of `auth`; safe to use from several threads.

    Methods take paths with a leading slash, and raise `ForgeError`. What a forge answers goes
    through `read`, which turns JSON into what the caller wants.

    Args:
        url: The forge's address as people open it, a sub-path included.
        auth: Who calls; None calls anonymously.
        timeout: Seconds for connecting, and for each part of an answer.
        patience: Seconds for which a call that fails for passing reasons is repeated.

    Raises:
        ForgeError: The address cannot be a forge's.
    """

    def __init__(
        self,
        url: str,
        auth: Basic | Token | None,
        *,
        timeout: tuple[float, float] = TIMEOUT,
        patience: float = PATIENCE,
    ) -> None:
        self.url = _checked(url)
        self._auth = auth
        self._timeout = timeout
        self._patience = patience

    def get(self, path: str, read: Callable[[Any], T], **params: int | str) -> T:
        """GET."""
        return self._repeatedly(lambda: self._send("GET", path, read, params=params))

    def header(self, path: str, name: str) -> str:
        """Return a header of a GET's answer, be it a refusal; empty where there is none."""
        answer = self._repeatedly(lambda: self._asked("GET", path))
        return str(answer.headers.get(name, ""))

    def change(self, method: str, path: str, **content: Any) -> None:  # noqa: ANN401 - JSON
        """PUT, PATCH or DELETE, all of which may be repeated.

        What a repeated DELETE does not find was deleted by the attempt that got no answer.

        Args:
            method: One of these.
            path: What to change.
            **content: `json` or `params`, as requests takes them.
        """
        attempts = itertools.count()

        def attempt() -> None:
            first = next(attempts) == 0
            try:
                self._send(method, path, _nothing, **content)
            except NotFoundError:
                if first or method != "DELETE":
                    raise

        self._repeatedly(attempt)

    def post(
        self,
        path: str,
        json: dict[str, Any],
        read: Callable[[Any], T],
        look: Callable[[], T | None],
    ) -> T:
        """POST, and repeat it only after looking whether it took effect.

        Args:
            path: Where to.
            json: The body.
            read: Reads the answer.
            look: Finds what an attempt that got no answer made; None has it made again.
        """
        attempts = itertools.count()

        def attempt() -> T:
            found = look() if next(attempts) else None
            return self._send("POST", path, read, json=json) if found is None else found

        return self._repeatedly(attempt)

    def pages(self, path: str, read: Callable[[Any], T], **params: str) -> Iterator[T]:
        """List everything that `params` select, page by page.

        A forge may be set to list less at a time than asked for, so a short page ends nothing;
        the total that it sends along does, or an empty page.
        """
        seen = 0
        for page in itertools.count(1):
            items, total = self._page(path, read, page=page, limit=PAGE, **params)
            yield from items
            seen += len(items)
            if not items or seen == total:
                return

    def _page(
        self, path: str, read: Callable[[Any], T], **params: int | str
    ) -> tuple[list[T], int | None]:
        answer = self._repeatedly(lambda: self._answer("GET", path, params=params))
        total = answer.headers.get("X-Total-Count", "")
        items = _understood(
            "GET", path, answer, lambda told: [read(item) for item in _listed(told)]
        )
        return items, int(total) if total.isdecimal() else None

    def _repeatedly(self, attempt: Callable[[], T]) -> T:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, ForgeError) and e.transient),
            stop=tenacity.stop_before_delay(self._patience),
            wait=_wait,
            reraise=True,
        )(attempt)

    def _send(self, method: str, path: str, read: Callable[[Any], T], **content: Any) -> T:  # noqa: ANN401
        return _understood(method, path, self._answer(method, path, **content), read)

    def _answer(self, method: str, path: str, **content: Any) -> requests.Response:  # noqa: ANN401
        answer = self._asked(method, path, **content)
        if not answer.ok:
            raise answers.refused(method, path, answer, self._secrets(content.get("json")))
        return answer

    def _asked(self, method: str, path: str, **content: Any) -> requests.Response:  # noqa: ANN401
        try:
            return session().request(
                method,
                f"{self.url}/api/v1{path}",
                auth=Authorization(self._auth),
                timeout=self._timeout,
                **content,
            )
        except RedirectedError as error:
            raise answers.redirected(method, path, self.url, error) from None
        except OSError as error:  # all of requests' errors, and a CA bundle that is not there
            raise answers.unreachable(method, path, self.url, error) from None

    def _secrets(self, json: dict[str, Any] | None) -> tuple[str, ...]:
        return (*(self._auth.secrets if self._auth else ()), (json or {}).get("password", ""))


def unless_missing(call: Callable[[], T]) -> T | None:
    """Return what the call returns; None if the forge has no such thing."""
    try:
        return call()
    except NotFoundError:
        return None


def _understood(method: str, path: str, answer: requests.Response, read: Callable[[Any], T]) -> T:
    try:
        return read(answer.json() if answer.content else None)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise answers.unreadable(method, path, answer) from None


def _listed(told: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Return what an answer lists; searches wrap it."""
    return list(told["data"] if isinstance(told, dict) else told)


def _nothing(_: object) -> None:
    """Read an answer that tells nothing."""


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ForgeError) else None
    return max(_backoff(state), asked or 0)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ForgeError("the forge's address must look like https://forge.example")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ForgeError("the forge's address must hold no credentials, no query and no fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
