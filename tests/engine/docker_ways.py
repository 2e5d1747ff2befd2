"""Other ways to a Docker engine than its socket: TLS with certificates of our own, and SSH."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def make_certificates(folder: Path) -> Path:
    """Make an authority, a server's certificate for 127.0.0.1, and a client's, as Docker names it.

    `openssl` must be of version 3.
    """
    folder.mkdir(exist_ok=True)
    _certificate(folder, "ca", "ca-key")
    _certificate(folder, "server", "server-key", "-addext", "subjectAltName=IP:127.0.0.1")
    _certificate(folder, "cert", "key")
    return folder


def _certificate(folder: Path, name: str, key: str, *options: str) -> None:
    signed = () if name == "ca" else ("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca-key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "1", "-subj", f"/CN={name}", *signed, *options),
            *("-keyout", f"{folder}/{key}.pem", "-out", f"{folder}/{name}.pem"),
        ],
        check=True,
        capture_output=True,
    )


def demanding(certificates: Path) -> ssl.SSLContext:
    """Return the settings of a server that lets nobody in without a certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    tls.load_verify_locations(certificates / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


@contextmanager
def tls_in_front(engine: Path, certificates: Path) -> Iterator[str]:
    """Serve an engine's socket by TLS; yields the address."""
    tls = demanding(certificates)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, tls, engine), daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, tls: ssl.SSLContext, engine: Path) -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=_connect, args=(plain, tls, engine), daemon=True).start()


def _connect(plain: socket.socket, tls: ssl.SSLContext, engine: Path) -> None:
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX) as behind,
        tls.wrap_socket(plain, server_side=True) as client,
    ):
        behind.connect(str(engine))
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
