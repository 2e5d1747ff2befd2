"""A proxy before a real forge, that plays a stricter or a failing one.

It passes everything on, git over HTTP included, except that an access token as the password of
HTTP Basic gets 401 at the token endpoints, as in Forgejo from 11.0.4 and 12.0.2 on. Tests can have
it refuse or drop calls, and ask it which calls there were.
"""

import base64
import http.client
import re
import threading
from collections import Counter
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

_TOKEN = re.compile(r"[0-9a-f]{40}")
_TOKEN_ENDPOINT = re.compile(r"/api/v1/users/[^/]+/tokens(/|$)")
_NAMES = (
    (re.compile(r"/repos/[^/]+/[^/]+"), "/repos/{owner}/{repo}"),
    (re.compile(r"/collaborators/[^/]+"), "/collaborators/{user}"),
    (re.compile(r"/tokens/[^/]+"), "/tokens/{id}"),
    (re.compile(r"/users/[^/]+"), "/users/{user}"),
)
_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
_CHUNK = 65536

Call = tuple[str, str]
"""Method and path template, such as `("POST", "/users/{user}/tokens")`."""


class StrictForge:
    """The proxy, running while it is entered.

    Args:
        upstream: The real forge's URL.
        strict: Whether to refuse tokens for minting; without it, calls only pass and are counted.
        ahead: Seconds by which its clock is ahead.

    Attributes:
        url: The proxy's own address, on loopback.
        calls: How often each call below `/api/v1` came in, by method and path template.
    """

    def __init__(self, upstream: str, *, strict: bool = True, ahead: float = 0) -> None:
        self.upstream = urlsplit(upstream)
        self.strict = strict
        self.ahead = ahead
        self.calls: Counter[Call] = Counter()
        self._lock = threading.Lock()
        self._drops: Counter[Call] = Counter()
        self._refusals: dict[Call, list[int]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.forge = self  # type: ignore[attr-defined]  # the handler finds us by it
        self.url = f"http://127.0.0.1:{self._server.server_port}{self.upstream.path.rstrip('/')}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def drop_answers(self, method: str, template: str, times: int = 1) -> None:
        """Pass the next such calls on, and cut the connection in place of an answer."""
        with self._lock:
            self._drops[method, template] += times

    def refuse(self, method: str, template: str, status: int, times: int = 1) -> None:
        """Answer the next such calls with this status, without passing them on."""
        with self._lock:
            self._refusals.setdefault((method, template), []).extend([status] * times)

    def count(self, call: Call) -> int | None:
        """Note a call; return the status to refuse it with, if it is to be refused."""
        with self._lock:
            self.calls[call] += 1
            refusals = self._refusals.get(call)
            return refusals.pop(0) if refusals else None

    def take_drop(self, call: Call) -> bool:
        """Tell whether the answer to this call is to be dropped, and count that off."""
        with self._lock:
            drop = self._drops[call] > 0
            self._drops[call] -= drop
            return drop


def template(path: str) -> str:
    """Return a path below `/api/v1` with its names replaced; others stay as they are."""
    path = urlsplit(path).path
    _, api, below = path.partition("/api/v1")
    if not api:
        return path
    for names, placeholder in _NAMES:
        below = names.sub(placeholder, below)
    return below


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def _handle(self) -> None:
        forge: StrictForge = self.server.forge  # type: ignore[attr-defined]
        call = (self.command, template(self.path))
        status = forge.count(call)
        body = b"".join(self._body())
        if status is None and forge.strict and self._mints_by_token():
            status = 401
        if status is not None:
            self._refuse(status)
            return
        upstream = http.client.HTTPConnection(forge.upstream.netloc, timeout=60)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in _OF_THE_CONNECTION | {"content-length", "expect"}
            }
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            if forge.take_drop(call):
                answer.read()
                self.close_connection = True
            else:
                self._pass_back(answer)
        finally:
            upstream.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - http.server's

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _mints_by_token(self) -> bool:
        below = urlsplit(self.path).path
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic" or not _TOKEN_ENDPOINT.search(below):
            return False
        credentials = base64.b64decode(encoded).decode().partition(":")
        return any(_TOKEN.fullmatch(part) for part in credentials)

    def _refuse(self, status: int) -> None:
        body = b'{"message": "auth method not allowed"}' if status == 401 else b"{}"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() == "date":
                forge: StrictForge = self.server.forge  # type: ignore[attr-defined]
                told = parsedate_to_datetime(value).timestamp()
                self.send_header(name, formatdate(told + forge.ahead, usegmt=True))
            elif name.lower() not in _OF_THE_CONNECTION:
                self.send_header(name, value)
        chunked = answer.getheader("Content-Length") is None and self._has_body(answer.status)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        while chunk := answer.read1(_CHUNK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            self.wfile.flush()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _has_body(self, status: int) -> bool:
        return self.command != "HEAD" and status not in {204, 304}
