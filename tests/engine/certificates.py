"""Certificates of a CA that only the tests know, made by `openssl` (version 3)."""

import ssl
import subprocess
from pathlib import Path


def make_certificates(folder: Path, *hosts: str) -> Path:
    """Make an authority, a server's certificate, and a client's, as Docker names the files.

    Args:
        folder: Where they go.
        *hosts: The server's names, such as `DNS:localhost`; `IP:127.0.0.1` if none is given.
    """
    folder.mkdir(exist_ok=True)
    _certificate(folder, "ca", "ca-key", "keyUsage=keyCertSign")
    names = f"subjectAltName={','.join(hosts or ['IP:127.0.0.1'])}"
    _certificate(folder, "server", "server-key", "basicConstraints=CA:FALSE", names)
    _certificate(folder, "cert", "key", "basicConstraints=CA:FALSE")
    return folder


def _certificate(folder: Path, name: str, key: str, *extensions: str) -> None:
    signed = () if name == "ca" else ("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca-key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "1", "-subj", f"/CN={name}", *signed),
            *(word for each in extensions for word in ("-addext", each)),
            *("-keyout", f"{folder}/{key}.pem", "-out", f"{folder}/{name}.pem"),
        ],
        check=True,
        capture_output=True,
    )


def serving_tls(certificates: Path) -> ssl.SSLContext:
    """Return the settings of a server with these certificates."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    return tls
