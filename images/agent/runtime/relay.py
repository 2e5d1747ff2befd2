"""One request on its way to the endpoint, and the answer on its way back."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from runtime import failures
from runtime.failures import Failure
from runtime.messages import Answer

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
EVENTS = "text/event-stream"
PASSED_BACK = frozenset({"content-type", "request-id", "retry-after", "x-should-retry"})
"""The endpoint's headers that the client gets, besides `anthropic-*`."""


class ClientGoneError(Exception):
    """The client closed its connection."""


@dataclass(frozen=True)
class Call:
    """A request to the endpoint.

    Attributes:
        url: The address, query included.
        headers: All headers, the real key included.
        body: The request's JSON.
        streams: Whether the answer is a stream of events.
        secret: The key, which no error may contain.
        proxy: The HTTP proxy to use.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    streams: bool
    secret: str
    proxy: str | None


class Exchange:
    """One request and its answer, passed on as the bytes come.

    Claude Code 2.1.331 gives up after 362 s without a first byte, and 300 s without a further one.
    llama-server sends nothing, not even headers, while it queues or reads the prompt; servers that
    hold a tool call back until it is complete are silent in the middle. A silent stream is
    therefore kept alive with pings, and begun on the endpoint's behalf if need be.

    Attributes:
        answer: What the answer says.
        failure: What went wrong at the endpoint.
    """

    def __init__(self, session: aiohttp.ClientSession, call: Call, ping_seconds: float) -> None:
        self.answer = Answer()
        self.failure: Failure | None = None
        self._session = session
        self._call = call
        self._ping_seconds = ping_seconds
        self._response: aiohttp.ClientResponse | None = None
        self._stream: web.StreamResponse | None = None
        self._passed = False

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Carry out the exchange; cancelling it ends the request at the endpoint too.

        Raises:
            ClientGoneError: The client closed its connection first.
        """
        try:
            return await self._run(request)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            host = URL(self._call.url).authority.rpartition("@")[2]
            self.failure = failures.of_exception(error, host)
            return await self._fail(request, self.failure)
        finally:
            # Not `release`: the endpoint must notice that nobody reads the rest.
            if self._response is not None:
                self._response.close()

    async def _run(self, request: web.Request) -> web.StreamResponse:
        response, first = await self._pinging(asyncio.create_task(self._open()), request)
        if response.status != HTTPStatus.OK:
            return await self._pass_error(request, response, first)
        if not self._call.streams:
            self.answer.read_whole(first)
            return web.Response(body=first, headers=_passed_back(response))
        return await self._pass_stream(request, response, first)

    async def _open(self) -> tuple[aiohttp.ClientResponse, bytes]:
        """Return the answer and its first bytes: of a stream what has come, else everything."""
        call = self._call
        self._response = response = await self._session.post(
            URL(call.url, encoded=True),
            data=call.body,
            headers=call.headers,
            proxy=call.proxy,
            allow_redirects=False,
        )
        if call.streams and response.status == HTTPStatus.OK:
            return response, await response.content.readany()
        return response, await response.read()

    async def _pass_stream(
        self, request: web.Request, response: aiohttp.ClientResponse, chunk: bytes
    ) -> web.StreamResponse:
        stream = await self._begin(request, _passed_back(response))
        while chunk:
            self.answer.read_events(chunk)
            self._passed = True
            await _write(stream, chunk)
            chunk = await self._pinging(asyncio.create_task(response.content.readany()), request)
        if self.answer.error is not None:
            self.failure = failures.of_event(self.answer.error, secret=self._call.secret)
        elif not self.answer.is_complete:
            raise aiohttp.ServerDisconnectedError
        return stream

    async def _pass_error(
        self, request: web.Request, response: aiohttp.ClientResponse, body: bytes
    ) -> web.StreamResponse:
        self.failure = failure = failures.of_answer(
            response.status,
            body,
            secret=self._call.secret,
            retry_after=response.headers.get("Retry-After"),
        )
        text = failures.redact(body.decode("utf-8", "replace"), self._call.secret)
        if response.status < HTTPStatus.BAD_REQUEST:
            return await self._fail(request, failure)
        if self._stream is not None:
            return await self._fail(request, failure, failures.explain(text.encode()))
        return web.Response(
            status=response.status,
            body=text.encode(),
            headers=_passed_back(response) | _advice(failure),
        )

    async def _fail(
        self, request: web.Request, failure: Failure, message: str | None = None
    ) -> web.StreamResponse:
        """Report a failure in the way that is still possible."""
        if self._stream is None:
            return web.Response(
                status=HTTPStatus.BAD_GATEWAY,
                body=failures.body_of("api_error", failure.message),
                content_type="application/json",
            )
        if self._passed:
            # Claude Code repeats a request whose stream is cut, but none whose stream says why.
            if request.transport is not None:
                request.transport.abort()
            raise ClientGoneError
        await _write(self._stream, failures.event_of(failure, message or failure.message))
        return self._stream

    async def _pinging(self, task: asyncio.Task[Any], request: web.Request) -> Any:  # noqa: ANN401
        """Wait for a task; while it lasts, keep the client's stream alive."""
        try:
            while not (await asyncio.wait({task}, timeout=self._ping_seconds))[0]:
                if self._call.streams and self.answer.is_between_events:
                    await _write(await self._begin(request, {"Content-Type": EVENTS}), PING)
            return task.result()
        finally:
            task.cancel()

    async def _begin(self, request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
        if self._stream is None:
            self._stream = web.StreamResponse(headers=headers)
            await self._stream.prepare(request)
        return self._stream


async def _write(stream: web.StreamResponse, data: bytes) -> None:
    try:
        await stream.write(data)
    except ConnectionError:
        raise ClientGoneError from None


def _passed_back(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in response.headers.items()
        if name.lower() in PASSED_BACK or name.lower().startswith("anthropic-")
    }


def _advice(failure: Failure) -> dict[str, str]:
    """Keep Claude Code from repeating a request that cannot succeed."""
    return {"x-should-retry": "false"} if failure.kind in failures.FINAL else {}
