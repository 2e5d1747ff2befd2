"""A model server, as far as agents and the doctor ask it about itself: a llama-server."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import bridge
import docker

LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}


class Model:
    """A model server on a port of its own, on the address by which containers find this machine.

    No other machine reaches that address.
    """

    def __init__(self, client: docker.DockerClient) -> None:
        self._gateway = bridge.address(client)
        with socket.create_server((self._gateway, 0)) as found:
            self.port: int = found.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://host.docker.internal:{self.port}"

    @contextmanager
    def serving(
        self, address: str | None = None, status: int = 200, key: str | None = None
    ) -> Iterator[None]:
        """Serve until the end of the context, as `llama-server --api-key KEY` does with a key."""
        pages: dict[str, object] = {
            "/v1/models": {"data": [{"id": "a-model", "owned_by": "llamacpp"}]},
            "/props": {"default_generation_settings": {}, "total_slots": 1},
            "/v1/messages": {"content": [{"type": "text", "text": "ready"}], "usage": {}},
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page, code = pages.get(self.path), status
                body = json.dumps(page if status == HTTPStatus.OK else LOADING).encode()
                # Everybody may see the list of models.
                if key and self.path != "/v1/models" and self.headers["x-api-key"] != key:
                    body, code = b'{"error": {"message": "Invalid API Key"}}', 401
                self.send_response(code if page else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - http.server's

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((address or self._gateway, self.port), Handler)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
