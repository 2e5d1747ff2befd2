"""The Docker SDK over SSH, through the `ssh` program as Docker's own command line does it.

The SDK's own way (docker 7.2, `use_ssh_client`) needs paramiko even if it is not used, and reads
streams in a way that cannot time out.
"""

import shlex
import socket
import subprocess
import threading
from typing import Any
from urllib.parse import unquote, urlsplit

import docker
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

CONNECT_SECONDS = 30
"""As docker/cli 29."""

_ANY_VERSION = "1.41"
"""A client that is given a version contacts nobody when it is made."""

_EXIT_SECONDS = 2.0


class Ssh:
    """The `ssh` processes to one engine: one for each connection, and what they complain about.

    `ssh` never asks for a password: several of them start side by side, most without a terminal.
    """

    def __init__(self, address: str) -> None:
        """Prepare the command for an address such as ssh://me@host:22."""
        parts = urlsplit(address)
        path = parts.path.rstrip("/")
        remote = ["docker", *([f"--host=unix://{path}"] if path else []), "system", "dial-stdio"]
        self.command = [
            *("ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}", "-T"),
            *(("-l", unquote(parts.username)) if parts.username else ()),
            *(("-p", str(parts.port)) if parts.port else ()),
            *("--", parts.hostname or "", shlex.join(remote)),
        ]
        self._complaint = ""
        self._readers: list[threading.Thread] = []

    def connect(self) -> socket.socket:
        """Start `ssh`; return the connection to the engine behind it.

        Raises:
            OSError: there is no `ssh` program.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - the words are checked where they are read
                self.command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for the person's program, not for this one
            )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        self._readers = [*(each for each in self._readers if each.is_alive()), reader]
        return ours

    def complaint(self) -> str:
        """Return the last line that an `ssh` printed on standard error; empty if none did."""
        for reader in self._readers:
            reader.join(_EXIT_SECONDS)
        return self._complaint

    def _read(self, process: subprocess.Popen[str]) -> None:
        _, said = process.communicate()
        if process.returncode and said.strip():
            self._complaint = said.strip().splitlines()[-1]


class _Connection(UnixHTTPConnection):
    def __init__(self, ssh: Ssh, timeout: int) -> None:
        super().__init__("http://localhost", "", timeout)
        self._ssh = ssh

    def connect(self) -> None:
        self.sock = self._ssh.connect()
        self.sock.settimeout(self.timeout)


class _Pool(UnixHTTPConnectionPool):
    def __init__(self, ssh: Ssh, timeout: int) -> None:
        super().__init__("http://localhost", "", timeout)
        self._ssh, self._seconds = ssh, timeout

    def _new_conn(self) -> Any:  # noqa: ANN401 - the base's
        return _Connection(self._ssh, self._seconds)


class _Adapter(UnixHTTPAdapter):
    """One pool for all addresses: the base's has one for each, and would start `ssh` again."""

    def __init__(self, ssh: Ssh, timeout: int) -> None:
        super().__init__("http+unix:///ssh", timeout)
        self._pool = self.pools["ssh"] = _Pool(ssh, timeout)

    def get_connection(self, url: bytes | str, proxies: Any = None) -> UnixHTTPConnectionPool:  # noqa: ANN401, ARG002 - the base's
        return self._pool


class _ApiClient(docker.APIClient):
    """The SDK's client, whose adapter is exchanged before it is first used."""

    def __init__(self, ssh: Ssh) -> None:
        self._ssh = ssh
        super().__init__("unix:///ssh")

    def mount(self, prefix: str | bytes, adapter: Any) -> None:  # noqa: ANN401 - the base's
        if isinstance(adapter, UnixHTTPAdapter):
            adapter = _Adapter(self._ssh, adapter.timeout)
        super().mount(prefix, adapter)


def client(ssh: Ssh) -> docker.DockerClient:
    """Connect to an engine over SSH.

    Raises:
        docker.errors.DockerException, requests.RequestException: as the SDK; `ssh.complaint` says
            more.
    """
    return with_api(_ApiClient(ssh))


def with_api(api: docker.APIClient) -> docker.DockerClient:
    """Return the SDK's client on top of one of its parts that was made otherwise."""
    made = docker.DockerClient("unix:///none", version=_ANY_VERSION)
    made.api = api
    return made
