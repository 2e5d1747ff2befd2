"""Other ways to a Docker engine than its socket, and stand-ins for engines that lack something."""

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from certificates import serving_tls

Connect = Callable[[socket.socket, socket.socket], None]
Change = Callable[[str, Any], tuple[int, Any] | None]


def demanding(certificates: Path) -> ssl.SSLContext:
    """Return the settings of a server that lets nobody in without a certificate."""
    tls = serving_tls(certificates)
    tls.load_verify_locations(certificates / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


@contextmanager
def tls_in_front(engine: Path, certificates: Path) -> Iterator[str]:
    """Serve an engine's socket by TLS; yields the address."""
    tls = demanding(certificates)

    def connect(plain: socket.socket, behind: socket.socket) -> None:
        with tls.wrap_socket(plain, server_side=True) as client:
            _join(client, behind)

    with socket.create_server(("127.0.0.1", 0)) as listener, _serving(listener, engine, connect):
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def answering_otherwise(engine: Path, listen: Path, change: Change) -> Iterator[str]:
    """Stand in for an engine some of whose answers are others; yields the address.

    Args:
        engine: the socket of the engine that does the work.
        listen: where to listen.
        change: is given what was asked and the answer in JSON; returns another status and answer,
            or None for the engine's own.
    """

    def connect(client: socket.socket, behind: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := client.recv(65536)):
                    return
                head += data
            line, _, rest = head.partition(b"\r\n")
            asked = re.sub(r"/v1\.\d+/", "/", line.decode().rpartition(" ")[0])
            if b"upgrade:" in head.lower():  # an attached container: its streams follow
                behind.sendall(head)
                _join(client, behind)
                return
            # One request a connection. Without HTTP/1.1 the answer comes in one piece.
            once = line.replace(b"HTTP/1.1", b"HTTP/1.0") if asked.startswith("GET") else line
            behind.sendall(once + b"\r\nConnection: close\r\n" + rest)
            threading.Thread(target=_pump, args=(client, behind), daemon=True).start()
            answer = change(asked, None)
            if answer is None and not _is_whole(asked):
                _pump(behind, client)
                return
            if answer is None:
                whole = b"".join(iter(lambda: behind.recv(65536), b""))
                told, _, body = whole.partition(b"\r\n\r\n")
                answer = change(asked, json.loads(body)) if b" 200 " in told[:20] else None
                if answer is None:
                    client.sendall(whole)
                    client.shutdown(socket.SHUT_RDWR)
                    return
            status, content = answer
            body = json.dumps(content).encode()
            client.sendall(
                f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(listen))
        listener.listen()
        with _serving(listener, engine, connect):
            yield f"unix://{listen}"


def _is_whole(asked: str) -> bool:
    return bool(re.fullmatch(r"GET (/info|/containers/[^/]+/json)", asked))


@contextmanager
def _serving(listener: socket.socket, engine: Path, connect: Connect) -> Iterator[None]:
    def accept() -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    def one(client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as behind:
            behind.connect(str(engine))
            connect(client, behind)

    threading.Thread(target=accept, daemon=True).start()
    yield
    listener.shutdown(socket.SHUT_RDWR)


def _join(client: socket.socket, behind: socket.socket) -> None:
    back = threading.Thread(target=_pump, args=(behind, client), daemon=True)
    back.start()
    _pump(client, behind)
    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


SSH = """\
#!/bin/sh
# Plays ssh to a machine with the engine: what is to run there, runs here.
for command; do :; done
DOCKER_HOST=unix://{engine} exec {docker} ${{command#docker}}
"""


def ssh_program(folder: Path, engine: Path, docker: str) -> Path:
    """Make an `ssh` that leads to an engine's socket; return the folder that it is in."""
    folder.mkdir(exist_ok=True)
    program = folder / "ssh"
    program.write_text(SSH.format(engine=engine, docker=docker))
    program.chmod(0o755)
    return folder
