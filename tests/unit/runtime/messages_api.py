"""A real HTTP server that speaks the Messages API as a test scripts it."""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Exchange:
    """A request, and the means to answer it bit by bit."""

    handler: BaseHTTPRequestHandler
    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - what JSON is
        return json.loads(self.body)

    def answer(self, status: int, body: object, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.handler.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def begin_stream(self, **headers: str) -> None:
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream")
        self.handler.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.handler.wfile.write(b"0\r\n\r\n")

    def stream(self, *parts: bytes) -> None:
        self.begin_stream()
        for part in parts:
            self.write(part)
        self.end_stream()

    def cut(self) -> None:
        self.handler.wfile.flush()
        self.handler.connection.shutdown(socket.SHUT_RDWR)
        self.handler.close_connection = True

    def wait_until_closed(self, seconds: float = 10) -> bool:
        """Wait until the other side closes the connection."""
        readable, _, _ = select.select([self.handler.connection], [], [], seconds)
        try:
            return bool(readable) and self.handler.connection.recv(1) == b""
        except ConnectionResetError:
            return True


Script = Callable[[Exchange], None]


@dataclass
class Server:
    port: int = 0
    requests: list[Exchange] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


@contextmanager
def serving(*scripts: Script) -> Iterator[Server]:
    """Answer the first request by the first script and so on, the rest by the last one."""
    server = Server()
    turns = list(scripts)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            exchange = Exchange(self, self.path, self.headers, self.rfile.read(length))
            server.requests.append(exchange)
            script = turns.pop(0) if len(turns) > 1 else turns[0]
            try:
                script(exchange)
            except ConnectionError:
                self.close_connection = True

        do_GET = do_POST  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.block_on_close = False
        server.port = http.server_port
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()  # else its thread spins on the closed socket


def event(name: str, **data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def start(**usage: int) -> bytes:
    return event("message_start", message={"id": "msg_1", "usage": usage})


def text(words: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": words})


def end(**usage: int) -> bytes:
    return event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage) + event(
        "message_stop"
    )


def whole(**usage: int) -> dict[str, object]:
    return {"type": "message", "content": [{"type": "text", "text": "hello"}], "usage": usage}


def error(kind: str, message: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message}}
