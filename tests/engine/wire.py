"""A wire between an agent and its forge, which a test can cut, hang and count requests on."""

import re
import socket
import ssl
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

_REQUEST = re.compile(rb"\A(?:GET|POST|PUT|PATCH|DELETE|HEAD) \S+ HTTP/1\.1\r\n")


class Wire:
    """A TCP proxy, running while it is entered.

    Args:
        upstream: The URL that it leads to.
        host: The address that it listens on.
        tls: The settings with which it serves by TLS; None for plain TCP.

    Attributes:
        url: Its own address.
        requests: The request lines that passed.
    """

    def __init__(self, upstream: str, host: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self._host = host
        self._tls = tls
        self._port = 0
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._hangs = threading.Event()
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return self.url_at("host.docker.internal")

    def url_at(self, host: str) -> str:
        """Return its address by another name of this machine."""
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    def __enter__(self) -> Self:
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def restore(self) -> None:
        """Carry traffic, at the same address as before."""
        self._hangs.clear()
        if self._listener is None:
            self._listener = socket.create_server((self._host, self._port))
            self._port = self._listener.getsockname()[1]
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def hang(self) -> None:
        """Accept requests and answer none."""
        self._hangs.set()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            self._join(client)

    def _join(self, client: socket.socket) -> None:
        with suppress(OSError), socket.create_connection(self._upstream) as server, client:
            self._open |= {client, server}
            answers = threading.Thread(target=self._carry, args=(server, client), daemon=True)
            answers.start()
            self._carry(client, server)
            answers.join()
            self._open -= {client, server}

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if found := _REQUEST.match(data):
                    self.requests.append(found[0].decode().strip())
                if not self._hangs.is_set():
                    target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
