"""A model server, as far as agents ask it for its health."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import docker


class Model:
    """A model server on a port of its own, on the address by which containers find this machine.

    No other machine reaches that address.
    """

    def __init__(self, client: docker.DockerClient) -> None:
        [bridge] = client.networks.list(names=["bridge"])
        subnet = ipaddress.ip_network(bridge.attrs["IPAM"]["Config"][0]["Subnet"])
        self._gateway = str(subnet[1])
        with socket.create_server((self._gateway, 0)) as found:
            self.port: int = found.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://host.docker.internal:{self.port}"

    @contextmanager
    def serving(self, address: str | None = None, status: int = 200) -> Iterator[None]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/health" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((address or self._gateway, self.port), Handler)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
