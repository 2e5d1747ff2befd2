"""The certificates of a private certificate authority (CA), the roster's `ca_file`.

An agent trusts them in addition to the system's roots of its image; Muster does so for the forge
(that of `[muster]`) and wherever it asks an endpoint for an agent.
"""

import functools
import hashlib
import re
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from muster.errors import MusterError
from muster.forge import trust
from muster.roster import ContainerSettings, Problem, Roster, problem

if TYPE_CHECKING:
    from muster.toml_file import Place

CERTIFICATE, BUNDLE = "ca.pem", "ca-bundle.pem"
"""The files in a container: the CA's certificates alone, and those after the system's roots."""

_ADDING = ("NODE_EXTRA_CA_CERTS",)
"""Variables that name certificates to trust in addition: Node.js."""

_REPLACING = ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""Variables that name all certificates to trust: curl; git; Python's requests; OpenSSL and Go."""

SYSTEM_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine without the package ca-certificates
)
"""Where images have the system's roots (Go, crypto/x509/root_linux.go)."""

_BLOCK = re.compile(
    r"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----\s[A-Za-z0-9+/=\s]+?-----END [A-Z0-9 ]+-----"
)


class CaFileError(MusterError):
    """A `ca_file` cannot be used; the message says why, and shows nothing of its content."""


def read(path: Path) -> str:
    """Return the certificates of a PEM file, without what else stands there.

    Raises:
        CaFileError: it cannot be read, holds no valid certificate, or holds a private key.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise CaFileError(
            f"{path} cannot be read ({error.strerror}); write the path of a PEM file on this "
            "machine, relative to the roster's folder"
        ) from None
    if re.search(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----", text):
        raise CaFileError(
            f"{path} contains a private key, and agents must not get one; name a file with the "
            "CA's certificate alone"
        )
    found = certificates(text)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found or "-")
    except (ssl.SSLError, ValueError):
        raise CaFileError(
            f"{path} contains no valid certificate in PEM form; name a file with "
            '"-----BEGIN CERTIFICATE-----" (openssl x509 -inform der converts others)'
        ) from None
    return found


def certificates(text: str) -> str:
    """Return the certificates in a PEM text, one after the other."""
    return "".join(f"{block}\n" for block in _BLOCK.findall(text))


def file_of(roster: Roster, settings: ContainerSettings) -> Path | None:
    """Return the `ca_file` of an agent or of the crew, None if there is none."""
    return None if settings.ca_file is None else located(roster.path, settings.ca_file)


def located(roster_path: Path, ca_file: str) -> Path:
    """Return the file that a roster's `ca_file` names."""
    return roster_path.parent / Path(ca_file).expanduser()


def of(roster: Roster, settings: ContainerSettings) -> str | None:
    """Return the certificates of an agent or of the crew; None if there are none to use."""
    file = file_of(roster, settings)
    try:
        return None if file is None else read(file)
    except CaFileError:  # `problems` reports it
        return None


def digest(path: Path) -> str:
    """Return what changes with the certificates in a file.

    Raises:
        CaFileError: as `read`.
    """
    return hashlib.sha256(read(path).encode()).hexdigest()


def problems(roster: Roster) -> Iterator[Problem]:
    """Find each `ca_file` that cannot be used, once at its line."""
    named: dict[Path, Place] = {}
    if (shared := file_of(roster, roster.muster)) is not None:
        named[shared] = ("muster", "ca_file")
    for agent in roster.agents.values():
        if (own := file_of(roster, agent)) is not None:
            named.setdefault(own, ("agents", agent.name, "ca_file"))
    for file, place in named.items():
        try:
            read(file)
        except CaFileError as error:
            yield problem(roster, place, str(error))


@functools.cache
def trust_for_forge(url: str, file: Path | None) -> None:
    """Have this process trust the certificates of a file at a forge.

    A file that cannot be used counts as none: `problems` reports it, and a state may name one that
    is gone.
    """
    if file is None:
        return
    try:
        trust(url, read(file))
    except CaFileError:
        return


def variables(folder: str) -> dict[str, str]:
    """Return the variables by which programs find the files in a container's folder."""
    return {
        **dict.fromkeys(_ADDING, f"{folder}/{CERTIFICATE}"),
        **dict.fromkeys(_REPLACING, f"{folder}/{BUNDLE}"),
    }


def files(own: str, roots: Iterable[str]) -> dict[str, str]:
    """Return the files for a container: the CA's certificates, and a bundle with the roots."""
    return {CERTIFICATE: own, BUNDLE: certificates("\n".join(roots)) + own}
