"""Which Docker engine is used, and how it is reached: the same one as `docker ps` uses.

The rules are those of Docker's command line (docker/cli 29, `cli/command/cli.go`): an address that
is named wins, as with `docker --host`; then DOCKER_HOST, DOCKER_CONTEXT, the current context of
`config.json`, the local socket. The Docker SDK and pulumi-docker each have other rules, so both
are given what is found here, word by word.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from muster.errors import MusterError
from muster.hosts import is_loopback

LOCAL_SOCKET = "unix:///var/run/docker.sock"

CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
"""The files that pulumi-docker (5.2) reads from a folder of certificates; it needs all of them."""

_SOCKETS = ("unix", "npipe")
_PLAIN_PORT, _TLS_PORT = 2375, 2376


class DockerHostError(MusterError):
    """The engine that `docker ps` would use cannot be found out, or Muster cannot use it."""


@dataclass(frozen=True)
class DockerHost:
    """How to reach an engine.

    Attributes:
        address: a URL of unix://, tcp://, ssh:// or npipe://.
        source: what named it, for messages.
        certificates: the folder with `CERTIFICATES`, None for an address that uses no TLS.
    """

    address: str
    source: str = "recorded in the stack's state"
    certificates: Path | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the engine is on another machine, as far as the address says."""
        return urlsplit(self.address).hostname is not None and not is_loopback(self.address)

    @property
    def options(self) -> list[str]:
        """The options with which Docker's command line reaches this engine."""
        options = ["--host", self.address]
        if self.certificates is not None:
            ca, certificate, key = (str(self.certificates / name) for name in CERTIFICATES)
            options += ["--tlsverify", "--tlscacert", ca, "--tlscert", certificate, "--tlskey", key]
        return options

    def __str__(self) -> str:
        """Return the address and what named it."""
        return f"{self.address}, {self.source}"


def resolve(named: str | None, environment: Mapping[str, str] = os.environ) -> DockerHost:
    """Return the engine that `docker ps` uses, or `docker --host NAMED ps`.

    Args:
        named: the engine's address, None if the environment decides.
        environment: the environment's variables.

    Raises:
        DockerHostError: a context does not exist, an address is not valid, or TLS is set up in a
            way that pulumi-docker does not support.
    """
    if named:
        return _from_environment(named, "[muster] docker_host", environment)
    if host := environment.get("DOCKER_HOST"):
        return _from_environment(host, "DOCKER_HOST", environment)
    folder = _configuration_folder(environment)
    context, source = environment.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not context:
        context, source = current_context(environment), f"current in {folder}/config.json"
    if context and context != "default":
        return _from_context(folder, context, source)
    return _from_environment("", "the default", environment)


def _from_environment(address: str, source: str, environment: Mapping[str, str]) -> DockerHost:
    """Return an engine outside of contexts, whose TLS settings are variables.

    Docker's command line uses TLS if DOCKER_TLS_VERIFY or DOCKER_TLS has any value, even 0.
    """
    verifies = bool(environment.get("DOCKER_TLS_VERIFY"))
    has_tls = verifies or bool(environment.get("DOCKER_TLS"))
    if not address and has_tls:
        address = f"tcp://127.0.0.1:{_TLS_PORT}"
    address = _address(address, source, has_tls=has_tls)
    if not has_tls or not address.startswith("tcp://"):
        return DockerHost(address, source)
    if not verifies:
        raise DockerHostError(_unverified(address, source, "set DOCKER_TLS_VERIFY=1"))
    folder = environment.get("DOCKER_CERT_PATH")
    certificates = Path(folder) if folder else _configuration_folder(environment)
    return DockerHost(address, source, _complete(certificates, address, source))


def _from_context(folder: Path, name: str, source: str) -> DockerHost:
    key = hashlib.sha256(name.encode()).hexdigest()
    source = f'context "{name}", {source}'
    endpoint = _endpoint(folder / "contexts" / "meta" / key / "meta.json", source)
    certificates = folder / "contexts" / "tls" / key / "docker"
    has_certificates = any((certificates / file).is_file() for file in CERTIFICATES)
    skips = bool(endpoint.get("SkipTLSVerify"))
    address = _address(str(endpoint.get("Host") or ""), source, has_tls=has_certificates or skips)
    if not address.startswith("tcp://"):
        return DockerHost(address, source)
    if skips:
        fix = f'docker context update {name} --docker "host={address},ca=…,cert=…,key=…"'
        raise DockerHostError(_unverified(address, source, fix))
    if not has_certificates:
        return DockerHost(address, source)
    return DockerHost(address, source, _complete(certificates, address, source))


def _endpoint(meta: Path, source: str) -> Mapping[str, Any]:
    try:
        found = json.loads(meta.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DockerHostError(
            f"Docker {source}: not found; choose one that docker context ls lists"
        ) from None
    except (OSError, ValueError) as error:
        raise DockerHostError(f"Docker {source}: {meta} cannot be read: {error}") from None
    endpoint = found.get("Endpoints", {}).get("docker")
    if not isinstance(endpoint, dict):
        raise DockerHostError(
            f"Docker {source}: has no Docker endpoint; choose one that docker context ls lists"
        )
    return endpoint


def _configuration_folder(environment: Mapping[str, str]) -> Path:
    named = environment.get("DOCKER_CONFIG")
    return Path(named) if named else Path(environment.get("HOME") or Path.home()) / ".docker"


def command(named: str | None, *words: str) -> str:
    """Return a `docker` command, as it can be typed, for the engine that `resolve` returns."""
    option = () if named is None else ("--host", named)
    return shlex.join(["docker", *option, *words])


def current_context(environment: Mapping[str, str]) -> str | None:
    """Return the context that `config.json` names; Docker's command line ignores a broken file."""
    file = _configuration_folder(environment) / "config.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    name = found.get("currentContext") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def _address(value: str, source: str, *, has_tls: bool) -> str:
    """Return an address in full: Docker's command line takes tcp:// and ports for granted."""
    value = value.strip()
    if value in {"", "unix://"}:
        return LOCAL_SOCKET
    if "://" not in value:
        value = f"tcp://{value}"
    scheme, _, rest = value.partition("://")
    if scheme in _SOCKETS:
        return value
    if scheme not in {"tcp", "ssh"} or not rest:
        raise DockerHostError(
            f'{source}: "{value}" is not the address of a Docker Engine; write one such as '
            f"{LOCAL_SOCKET}, tcp://10.0.0.5:2376 or ssh://me@10.0.0.5"
        )
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise DockerHostError(f'{source}: "{value}" has no valid port') from None
    if parts.password:  # never shown: it may be a real one
        raise DockerHostError(f"{source}: an address of a Docker Engine cannot hold a password")
    if scheme == "ssh" or port is not None:
        return value
    host = parts.netloc or "127.0.0.1"
    return f"tcp://{host}:{_TLS_PORT if has_tls else _PLAIN_PORT}{parts.path}"


def _complete(folder: Path, address: str, source: str) -> Path:
    missing = [file for file in CERTIFICATES if not (folder / file).is_file()]
    if missing:
        raise DockerHostError(
            f"Docker at {address} ({source}) uses TLS, and {folder} has no {', '.join(missing)}: "
            "pulumi-docker needs all three of ca.pem, cert.pem and key.pem. Add them (set "
            "DOCKER_CERT_PATH if they are in another folder), or use ssh://"
        )
    return folder.absolute()


def _unverified(address: str, source: str, fix: str) -> str:
    return (
        f"Docker at {address} ({source}) uses TLS without verifying the server's certificate, "
        f"which Muster does not support: {fix}, or use ssh://"
    )
