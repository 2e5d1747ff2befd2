"""The server between Claude Code and the endpoint, on a Unix socket or on loopback.

It is all that the model's process can reach. It adds the real key, which that process never sees,
accepts only the Messages API, keeps slow answers alive, counts tokens and enforces their budget.
"""

import asyncio
import hmac
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from muster.endpoint import OAUTH_BETA, OAUTH_PREFIX
from muster.hosts import proxy_for
from runtime import failures
from runtime.failures import Failure
from runtime.messages import Answer, fold_system
from runtime.reach import outside
from runtime.relay import Call, ClientGoneError, Exchange

_SILENT = logging.getLogger("gateway")
_SILENT.disabled = True
"""What the client sends wrongly would be printed: a model must not write to the container's log."""

MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
BODY_LIMIT = 64 * 1024 * 1024
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 0.05
"""Seconds that requests get to end when a gateway closes; aiohttp takes 0 for no limit."""
PASSED_ON = frozenset({"content-type", "accept", "user-agent", "x-app"})
"""The client's headers that the endpoint gets, besides `anthropic-*`."""


@dataclass(frozen=True)
class Upstream:
    """The endpoint behind a gateway.

    Attributes:
        url: Its address, without a trailing slash.
        key: Returns its key, asked for each request; may raise, with a message without secrets.
        anthropic: Whether it is the Anthropic API.
    """

    url: str
    key: Callable[[], str]
    anthropic: bool


@dataclass(frozen=True)
class Usage:
    """What a session has used.

    Attributes:
        requests: Requests for a message.
        input_tokens: Tokens read, those that were cached or written to the cache included.
        output_tokens: Tokens written.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens


class Gateway:
    """A gateway for one session of Claude Code; serves while its context is open.

    Args:
        upstream: The endpoint.
        tokens: The tokens that the session may use; None for no limit.
        socket: A Unix socket to serve on in place of a port, so that a session needs no network:
            a rule for a port would hold for every host.
        ping_seconds: Seconds of silence after which the client gets a ping.
        first_byte_seconds: Seconds without any byte after which the endpoint is given up.

    Attributes:
        port: The port on 127.0.0.1; 0 with a Unix socket.
        socket: The Unix socket, None with a port.
        key: What the client must send as its key.
        usage: What the session has used so far.
        failure: The last failure of the endpoint, None once a request succeeded after it.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        tokens: int | None,
        socket: Path | None = None,
        ping_seconds: float = 5.0,
        first_byte_seconds: float = 1800.0,
    ) -> None:
        self.port = 0
        self.socket = socket
        self.key = secrets.token_urlsafe(32)
        self.usage = Usage()
        self.failure: Failure | None = None
        self._upstream = upstream
        self._tokens = tokens
        self._ping_seconds = ping_seconds
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=first_byte_seconds
        )
        self._thread = threading.Thread(target=self._serve, name="gateway", daemon=True)
        self._started: Future[tuple[int, Callable[[], object]]] = Future()
        self._session: aiohttp.ClientSession
        self._stop: Callable[[], object]

    def __enter__(self) -> Self:
        """Start to serve.

        Raises:
            OSError: No port could be opened.
        """
        self._thread.start()
        self.port, self._stop = self._started.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections, those to the endpoint too."""
        self._stop()
        self._thread.join()

    def _serve(self) -> None:
        """Run the server's event loop, in a thread of its own."""
        try:
            asyncio.run(self._main())
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _main(self) -> None:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_SILENT,
            handler_cancellation=True,
            shutdown_timeout=CLOSE_SECONDS,
        )
        async with aiohttp.ClientSession(
            timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._session:
            await runner.setup()
            try:
                port = await self._listen(runner)
                stopped = asyncio.Event()
                loop = asyncio.get_running_loop()
                self._started.set_result((port, lambda: loop.call_soon_threadsafe(stopped.set)))
                await stopped.wait()
            finally:
                await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> int:
        """Open the socket or a port; return the port, 0 for a socket."""
        if self.socket is None:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port: int = runner.addresses[0][1]
            return port
        self.socket.unlink(missing_ok=True)  # a killed container left it
        await web.UnixSite(runner, str(self.socket)).start()
        return 0

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if not hmac.compare_digest(_key_of(request.headers), self.key.encode()):
            return _refuse(401, "authentication_error", "this is not the key of this session")
        if request.method != "POST" or request.path not in {MESSAGES, COUNT_TOKENS}:
            return _refuse(
                404, "not_found_error", f"only POST {MESSAGES} and {COUNT_TOKENS} are offered"
            )
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _refuse(413, "request_too_large", "the request is larger than 64 MB")
        try:
            payload = json.loads(body)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            return _refuse(400, "invalid_request_error", "the request's body must be JSON")
        if (what := outside(payload)) is not None:
            return _refuse(400, "invalid_request_error", f"{what} is not offered")
        return await self._forward(request, payload, body)

    async def _forward(
        self, request: web.Request, payload: dict[str, Any], body: bytes
    ) -> web.StreamResponse:
        is_message = request.path == MESSAGES
        if is_message and self._tokens is not None and self.usage.total >= self._tokens:
            return self._refuse_budget()
        try:
            key = self._upstream.key()
        except Exception as error:  # noqa: BLE001 - the caller's; by contract without secrets
            self.failure = Failure("refused", None, str(error))
            return _refuse(401, "authentication_error", str(error))
        exchange = Exchange(
            self._session,
            Call(
                url=f"{self._upstream.url}{request.rel_url.raw_path_qs}",
                headers=_headers(request.headers, key, anthropic=self._upstream.anthropic),
                body=body if self._upstream.anthropic else _folded(payload, body),
                streams=payload.get("stream") is True,
                secret=key,
                proxy=proxy_for(self._upstream.url, os.environ),
            ),
            self._ping_seconds,
        )
        try:
            return await exchange.run(request)
        except ClientGoneError:
            return web.Response()
        finally:
            if is_message:
                self._settle(exchange)

    def _refuse_budget(self) -> web.Response:
        message = "the token budget of this task is used up"
        self.failure = Failure("budget", None, message)
        return _refuse(400, "invalid_request_error", message)

    def _settle(self, exchange: Exchange) -> None:
        """Count what a request used, and note how it ended."""
        answer: Answer = exchange.answer
        self.usage = Usage(
            self.usage.requests + 1,
            self.usage.input_tokens + answer.input_tokens,
            self.usage.output_tokens + answer.output_tokens,
        )
        if exchange.failure is not None or answer.is_complete:
            self.failure = exchange.failure


def _key_of(headers: Mapping[str, str]) -> bytes:
    key = headers.get("x-api-key") or headers.get("Authorization", "").removeprefix("Bearer ")
    return key.encode("utf-8", "surrogateescape")


def _refuse(status: int, kind: str, message: str) -> web.Response:
    """Answer a request that does not reach the endpoint; asking again does not help."""
    return web.Response(
        status=status,
        body=failures.body_of(kind, message),
        content_type="application/json",
        headers={"x-should-retry": "false"},
    )


def _headers(client: Mapping[str, str], key: str, *, anthropic: bool) -> dict[str, str]:
    headers = {
        name.lower(): value
        for name, value in client.items()
        if name.lower() in PASSED_ON or name.lower().startswith("anthropic-")
    }
    # Compressed, an answer could not be passed on byte by byte and counted too.
    headers["accept-encoding"] = "identity"
    if not anthropic:
        # Servers differ in which one they read.
        return headers | {"x-api-key": key, "authorization": f"Bearer {key}"}
    if not key.startswith(OAUTH_PREFIX):
        return headers | {"x-api-key": key}
    betas = [*filter(None, [headers.get("anthropic-beta")]), OAUTH_BETA]
    return headers | {"authorization": f"Bearer {key}", "anthropic-beta": ",".join(betas)}


def _folded(payload: dict[str, Any], body: bytes) -> bytes:
    """Return the request without `system` messages, unchanged if it has none."""
    messages = payload.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        return body
    folded = fold_system(messages)
    return body if folded is messages else json.dumps({**payload, "messages": folded}).encode()
