"""A scripted endpoint: speaks Anthropic's Messages API and plays a script in place of a model.

`python3 endpoint.py [SCRIPT]`, or the script in the environment variable SCRIPT; `script.py`
describes the format. PORT is the port (8081). RECORD is the number of requests whose bodies
`GET /_seen` returns (0).

For tests, `ScriptedEndpoint` is the same server in a thread.
"""

import json
import logging
import os
import select
import signal
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

import answer
import script as scripts

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}

_log = logging.getLogger(answer.NAME)


@dataclass(frozen=True)
class Request:
    """A recorded `POST /v1/messages`.

    Attributes:
        path: The path with its query.
        headers: Names are in lower case.
        body: The parsed body.
        session: Claude Code's session id; empty if the request names none.
    """

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    session: str


class ScriptedEndpoint:
    """The server, in threads; a context manager that leaves no connection open.

    Attributes:
        script: What is played; may be replaced at any time.
        loading: Answer everything with 503 "Loading model", as llama-server does when it starts.
        requests: The last `record` requests to `/v1/messages`.
        served: The number of all requests to `/v1/messages`.
        now: How many of them are being answered.
        most_at_once: The highest `now` ever.
        sessions: Session ids in the order of their requests, repetitions left out. An id that
            appears again after another one belongs to overlapping sessions or to a resumed one.
    """

    def __init__(
        self,
        script: scripts.Script | Mapping[str, Any],
        address: str = "127.0.0.1",
        port: int = 0,
        record: int = 1000,
    ) -> None:
        self.script = script if isinstance(script, scripts.Script) else scripts.Script.parse(script)
        self.loading = False
        self.requests: deque[Request] = deque(maxlen=record)
        self.served = self.now = self.most_at_once = 0
        self.sessions: deque[str] = deque(maxlen=1000)
        self.closing = Event()
        self._faults: Counter[tuple[int, int]] = Counter()
        self._lock = Lock()
        self._server = _Server((address, port), _Handler)
        self._server.endpoint = self
        self.address, self.port = address, self._server.server_port

    @property
    def url(self) -> str:
        """The base URL, as seen from this machine."""
        return f"http://{self.address}:{self.port}"

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread = Thread(target=self.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and close connections that clients keep for later requests."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serve until the server is stopped."""
        self._server.serve_forever(poll_interval=0.05)

    def seen(self) -> dict[str, Any]:
        """Return the counters and the recorded bodies, as `GET /_seen` does."""
        with self._lock:
            return {
                "requests": self.served,
                "now": self.now,
                "most_at_once": self.most_at_once,
                "sessions": list(self.sessions),
                "bodies": [request.body for request in self.requests],
            }

    @contextmanager
    def counted(self, request: Request) -> Iterator[None]:
        """Record a request and count it as long as it is answered."""
        with self._lock:
            self.requests.append(request)
            self.served += 1
            self.now += 1
            self.most_at_once = max(self.most_at_once, self.now)
            if request.session and request.session not in list(self.sessions)[-1:]:
                self.sessions.append(request.session)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1

    def step(self, body: Mapping[str, Any]) -> scripts.Cue:
        """Choose the step for a request; a fault that has happened often enough is left out."""
        cue = scripts.cue(self.script, body)
        with self._lock:
            self._faults[cue.key] += 1
            over = cue.step.times is not None and self._faults[cue.key] > cue.step.times
        return scripts.Cue(cue.step.without_fault(), cue.key) if over else cue


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    endpoint: ScriptedEndpoint

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._connections: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def close_request(self, request: Any) -> None:  # noqa: ANN401 - socketserver's type
        """Close a connection."""
        self._connections.discard(request)
        super().close_request(request)

    def server_close(self) -> None:
        """Close all connections: a stopped server must look like one."""
        super().server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Log an error as one line, and a client that went away not at all."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | _GoneError):
            _log.error("%s: %s", type(error).__name__, error)


class _GoneError(Exception):
    """The client went away or the server stops."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "muster-scripted-endpoint"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        endpoint = self.server.endpoint
        window, slots = endpoint.script.window, endpoint.script.slots
        answers: dict[str, Any] = {
            "/health": {"status": "ok"},
            "/props": {
                "default_generation_settings": {"n_ctx": window},
                "total_slots": slots,
                "model_alias": answer.NAME,
            },
            "/v1/models": {
                "object": "list",
                "data": [
                    {
                        "id": answer.NAME,
                        "object": "model",
                        "owned_by": "llamacpp",  # like llama-server: any model's name is taken
                        "meta": {"n_ctx": window},
                    }
                ],
            },
            "/_seen": endpoint.seen(),
        }
        path = self.path.partition("?")[0]
        if endpoint.loading and path != "/_seen":
            last = self._error(503, "Loading model")
        elif path in answers:
            last = self._json(200, answers[path])
        else:
            last = self._error(404, f"{path} not found")
        self.wfile.write(last)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        path = self.path.partition("?")[0]
        if self.server.endpoint.loading:
            last = self._error(503, "Loading model")
        elif path == "/v1/messages/count_tokens":
            last = self._json(200, {"input_tokens": answer.tokens(body)})
        elif path == "/v1/messages":
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body, _session(headers, body))
            with self.server.endpoint.counted(request):
                last = self._play(body)
        else:
            last = self._error(404, f"{path} not found")
        # After the count: the next session may begin as soon as the client has these bytes.
        self.wfile.write(last)

    def _play(self, body: Mapping[str, Any]) -> bytes:
        """Send an answer except for its last bytes, which are returned."""
        cue = self.server.endpoint.step(body)
        step = cue.step
        play, number = cue.key
        outcome = step.status or "cut" if step.status or step.cut else step.tool or "text"
        _log.info("play %s, step %s: %s", play, number, outcome)
        self._wait(step.delay)
        if step.status:
            return self._error(step.status, step.error)
        if body.get("stream"):
            return self._stream(step, answer.message(step, cue.key, body))
        if step.cut:
            raise _GoneError
        self._wait(step.stall)
        return self._json(200, answer.message(step, cue.key, body))

    def _stream(self, step: scripts.Step, message: Mapping[str, Any]) -> bytes:
        self._head(200, "text/event-stream", {"Transfer-Encoding": "chunked"})
        *first, last = map(_chunk, answer.events(message))
        for index, chunk in enumerate(first):
            if index == len(first) // 2:
                self._wait(step.stall)
                if step.cut:
                    raise _GoneError
            self.wfile.write(chunk)
        return last + b"0\r\n\r\n"

    def _wait(self, seconds: float) -> None:
        """Wait, but no longer than the client does: its request must not stay counted."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], min(left, 0.1))
            if self.server.endpoint.closing.is_set():
                raise _GoneError
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise _GoneError

    def _error(self, status: int, message: str) -> bytes:
        kind = _ERRORS.get(status, "api_error")
        return self._json(status, {"type": "error", "error": {"type": kind, "message": message}})

    def _json(self, status: int, content: Mapping[str, Any]) -> bytes:
        """Send the headers and return the body."""
        data = json.dumps(content).encode()
        self._head(status, "application/json", {"Content-Length": str(len(data))})
        return data

    def _head(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "X-Scripted": "true", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep http.server from logging each request: steps are logged instead."""


def _chunk(event: Mapping[str, Any]) -> bytes:
    """Encode an event for a stream in HTTP chunks."""
    data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _session(headers: Mapping[str, str], body: Mapping[str, Any]) -> str:
    """Return the session's id from Claude Code's metadata, or from its header."""
    try:
        return str(json.loads(body["metadata"]["user_id"])["session_id"])
    except (KeyError, TypeError, ValueError):
        return headers.get("x-claude-code-session-id", "")


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 if the script cannot be read."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(name)s: %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    file = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SCRIPT", "")
    if not file:
        print("usage: endpoint.py SCRIPT", file=sys.stderr)
        return 2
    try:
        script = scripts.Script.load(Path(file))
    except scripts.ScriptError as error:
        print(f"scripted endpoint: {error}", file=sys.stderr)
        return 2
    port, record = int(os.environ.get("PORT", "8081")), int(os.environ.get("RECORD", "0"))
    endpoint = ScriptedEndpoint(script, "0.0.0.0", port, record)  # noqa: S104 - a container's port
    _log.info("this is a script, not a model: %s plays, port %s", len(script.plays), port)
    endpoint.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
