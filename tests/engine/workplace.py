"""A project folder in which a test runs `pulumi` as a user would."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
import pexpect
from forge_server import ForgeServer
from patience import COMMAND

from muster.accounts import mark_of
from muster.forge import Forge

ROOT = Path(__file__).parents[2]
PROMPT = "READY-FOR-THE-NEXT> "
PARTS = ("__main__.py", "components", "muster")


class Failed(Exception):  # noqa: N818 - reads as what happened
    """`pulumi` ended with an error; the text is all that it printed."""


class Workplace:
    """One project: its folder, state, repository and stack.

    Attributes:
        name: the project's and the stack's name.
        folder: where `pulumi` runs.
        repo: the project's repository, `owner/name`.
        environment: what `pulumi` sees.
        patience: seconds that a command may take.
    """

    def __init__(
        self, folder: Path, server: ForgeServer, client: docker.DockerClient, name: str
    ) -> None:
        self.folder, self.server, self.client, self.name = folder, server, client, name
        self.forge_url = server.url
        self.began = int(time.time())
        self.patience = COMMAND
        self.repo = f"keeper/{name}"
        self.forge = Forge(server.url, server.administrator.basic)
        self.environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "only for this test",
            "FORGE_ADMIN_USER": str(server.administrator.user),
            "FORGE_ADMIN_PASS": str(server.administrator.password),
            "FORGE_ADMIN_PAT": str(server.administrator.pat),
        }
        self.environment["BROWSER"] = "true"  # `muster open` opens nothing
        self.environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)

    def __enter__(self) -> Self:
        for part in PARTS:
            (self.folder / part).symlink_to(ROOT / part)
        project = (ROOT / "Pulumi.yaml").read_text()
        (self.folder / "Pulumi.yaml").write_text(project)
        (self.folder / "stacks").mkdir()
        (self.folder / "state").mkdir()
        self.forge.create_repository(self.repo, "main")
        self.pulumi("stack", "init", self.name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove by name whatever the test made, however far it came."""
        for container in self.client.containers.list(all=True, filters=self._mine):
            container.remove(force=True, v=True)
        for volume in self.client.volumes.list(filters=self._mine):
            volume.remove()
        for network in self.client.networks.list(filters=self._mine):
            network.remove()
        for user in list(self.forge.users()):
            if user.login_name.startswith(mark_of(self.name, self.name, "")):
                self.forge.purge_user(user.login)

    @property
    def _mine(self) -> dict[str, str | list[str] | bool]:
        return {"label": f"muster.project={self.name}"}

    def roster(self, agents: str, muster: str = "", **top: str) -> None:
        """Write the roster: `agents` is TOML, `muster` more lines of `[muster]`."""
        values = {
            "name": self.name,
            "repo": self.repo,
            "forge_url": self.forge_url,
            **top,
        }
        head = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        self.roster_path.write_text(f"{head}\n\n{self._settings}{muster}\n\n{agents}\n")

    def find_forge_from_inside(self) -> None:
        """Have the roster say where containers find the forge, which listens on loopback."""
        self.roster_path.write_text(f"{self.roster_path.read_text()}\n{self._settings}")

    @property
    def _settings(self) -> str:
        return (
            f"[muster]\nnetwork = {json.dumps(self.server.network)}\n"
            f"forge_internal_url = {json.dumps(self.server.internal_url)}\n"
        )

    @property
    def roster_path(self) -> Path:
        return self.folder / "stacks" / f"{self.name}.toml"

    def agent(self, name: str, **fields: object) -> str:
        """Return a section for an agent whose bot user carries the project's name."""
        values = {
            "base_url": "http://host.docker.internal:8081",
            "model": "a-model",
            "forge_user": self.user(name),
            "poll_interval": 60,
            **fields,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        return "\n".join([f"[agents.{name}]", *lines, ""])

    def user(self, agent: str) -> str:
        return f"{self.name}-{agent}"

    def pulumi(
        self, *arguments: str, environment: Mapping[str, str] | None = None, expect: int = 0
    ) -> str:
        """Run `pulumi`; return what it printed.

        Raises:
            Failed: it ended with another exit code than `expect`.
        """
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=self.patience,
        )
        printed = done.stdout + done.stderr
        if done.returncode != expect:
            raise Failed(f"pulumi {' '.join(arguments)}: {done.returncode}\n{printed}")
        return printed

    def muster(self, *arguments: str, stdin: str = "", expect: int = 0, **more: str) -> str:
        """Run the installed `muster` on this stack, without a terminal; return what it printed.

        Raises:
            Failed: it ended with another exit code than `expect`.
        """
        done = self._muster(arguments, stdin, expect, more)
        return done.stdout + done.stderr

    def reported(self, *arguments: str, expect: int = 0) -> Any:  # noqa: ANN401 - JSON
        """Run `muster` with `--json`; return what standard output says.

        Raises:
            Failed: it ended with another exit code than `expect`.
        """
        return json.loads(self._muster((*arguments, "--json"), "", expect, {}).stdout)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return the agents' rows by name, whether they are as wanted or not.

        Raises:
            Failed: the exit code does not say whether they are.
        """
        done = self._muster(("status", "--json"), "", None, {})
        found = json.loads(done.stdout)
        if done.returncode != (0 if found["as_wanted"] else 1):
            raise Failed(f"muster status: {done.returncode}\n{done.stdout}{done.stderr}")
        return {row["agent"]: row for row in found["agents"]}

    def _muster(
        self, arguments: tuple[str, ...], stdin: str, expect: int | None, more: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["muster", *arguments],
            cwd=self.folder,
            env={**self.environment, **more},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.patience,
        )
        if expect not in {None, done.returncode}:
            raise Failed(f"muster {arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    @contextmanager
    def terminal(self, command: str) -> Iterator["pexpect.spawn[str]"]:
        """Run a line of shell in a terminal of its own, as a person would type it."""
        child = pexpect.spawn(
            "bash",
            ["--noprofile", "--norc", "-c", command],
            cwd=self.folder,
            env={**self.environment, "TERM": "xterm-256color"},
            encoding="utf-8",
            dimensions=(40, 120),
            timeout=self.patience,
        )
        try:
            yield child
        finally:
            child.close(force=True)

    def shell(self) -> "pexpect.spawn[str]":
        """Start a shell that shows `PROMPT` after each command; the caller closes it."""
        shell = pexpect.spawn(
            "bash",
            ["--noprofile", "--norc"],
            cwd=self.folder,
            env={**self.environment, "PS1": PROMPT, "TERM": "dumb"},
            encoding="utf-8",
            echo=False,
            dimensions=(50, 400),
            timeout=self.patience,
        )
        shell.expect(PROMPT)
        return shell

    def up(self, *options: str, **how: Any) -> str:  # noqa: ANN401 - as `pulumi`
        return self.pulumi("up", "--yes", "--skip-preview", *options, **how)

    def destroy(self, *options: str, **how: Any) -> str:  # noqa: ANN401 - as `pulumi`
        return self.pulumi("destroy", "--yes", "--skip-preview", *options, **how)

    @contextmanager
    def engine(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start `pulumi` in a session of its own; what is left of it is ended afterwards."""
        process = subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            for left in _session(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)
            print(process.communicate()[0])  # noqa: T201 - pytest shows it where a test fails

    def providers(self, engine: subprocess.Popen[str]) -> list[int]:
        """Return the processes of an engine's run that serve the dynamic resources."""
        found = []
        for process in _session(engine.pid):
            with suppress(OSError):
                if b"pulumi.dynamic" in Path(f"/proc/{process}/cmdline").read_bytes():
                    found.append(process)
        return found

    def wait_for_event(self, action: str, container: str, seconds: float = 60) -> None:
        """Wait until Docker does this to the container.

        Raises:
            TimeoutError: it did not happen within so many seconds, now or since the test began.
        """
        events = self.client.events(
            since=self.began,
            until=int(time.time() + seconds),
            filters={"container": container, "event": action, "type": "container"},
        )
        for _ in events:
            return
        raise TimeoutError(f"{container}: no {action} within {seconds} s")

    def preview(self, *options: str) -> dict[str, list[str]]:
        """Return what a preview would do: for each operation but `same`, the resources."""
        printed = self.pulumi("preview", "--json", *options)
        steps: dict[str, list[str]] = {}
        for step in json.loads(printed[printed.index("{") :]).get("steps", []):
            if step["op"] not in {"same", "refresh"}:
                steps.setdefault(step["op"], []).append(_short(step["urn"]))
        return steps

    def written(self) -> tuple[str, str, int]:
        """Return roster, stack configuration, and the number of resources in the state."""
        settings = self.folder / "stacks" / f"Pulumi.{self.name}.yaml"
        return self.roster_path.read_text(), settings.read_text(), len(self.state())

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self.pulumi("stack", "output", "--json")))

    def state(self, *, secrets: bool = False) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        options = ["--show-secrets"] if secrets else []
        exported = json.loads(self.pulumi("stack", "export", *options))
        return list(exported["deployment"].get("resources", []))

    def resource(self, kind: str, name: str) -> dict[str, Any]:
        """Return a resource of the state, its secrets in plain text."""
        for resource in self.state(secrets=True):
            if resource["urn"].endswith(f"{kind}::{name}"):
                return resource
        raise LookupError(f"{kind} {name}")

    def urn(self, kind: str, name: str) -> str:
        return str(self.resource(kind, name)["urn"])

    def age_credentials(self, days: int) -> None:
        """Have the state say that all credentials were issued so many days earlier."""
        exported = json.loads(self.pulumi("stack", "export"))
        for resource in exported["deployment"]["resources"]:
            outputs = resource.get("outputs", {})
            if "issued_at" in outputs and "__provider" in outputs:
                issued = datetime.fromisoformat(outputs["issued_at"]) - timedelta(days=days)
                outputs["issued_at"] = issued.isoformat()
        edited = self.folder / "edited.json"
        edited.write_text(json.dumps(exported))
        self.pulumi("stack", "import", "--file", str(edited))

    def token(self, agent: str) -> str:
        return _plain(self.resource("AccessToken", agent)["outputs"]["token"])

    def password(self, agent: str) -> str:
        return _plain(self.resource("BotPassword", agent)["outputs"]["password"])

    def container_name(self, agent: str) -> str:
        return f"{self.name}-agents-{agent}"

    def inspected(self) -> list[Any]:
        """Return what `docker inspect` says of the project's containers and volumes."""
        containers = self.client.containers.list(all=True, filters=self._mine)
        volumes = self.client.volumes.list(filters=self._mine)
        return [thing.attrs for thing in [*containers, *volumes]]

    def container(self, agent: str) -> Any:  # noqa: ANN401 - docker has no types
        return self.client.containers.get(self.container_name(agent))

    def remake_container(self, agent: str) -> None:
        """Put another container in the place of an agent's, as `docker compose` does."""
        made = self.container(agent)
        volumes = {
            mount["Name"]: {"bind": mount["Destination"], "mode": "rw"}
            for mount in made.attrs["Mounts"]
        }
        made.remove(force=True)
        self.client.containers.run(
            made.image,
            name=made.name,
            labels=made.labels,
            network=self.server.network,
            volumes=volumes,
            entrypoint=["sleep", "infinity"],
            detach=True,
        )

    def containers(self) -> set[str]:
        found = self.client.containers.list(all=True, filters=self._mine)
        return {str(container.name).removeprefix(f"{self.name}-") for container in found}

    def networks(self) -> set[str]:
        return {str(network.name) for network in self.client.networks.list(filters=self._mine)}

    def volumes(self) -> set[str]:
        found = self.client.volumes.list(filters=self._mine)
        return {volume.name.removeprefix(f"{self.name}-") for volume in found}


def _session(leader: int) -> list[int]:
    """Return the processes of a session; each plugin of an engine has a process group."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(process.name)) == leader:
                found.append(int(process.name))
    return found


def _plain(value: Any) -> str:  # noqa: ANN401 - JSON
    return str(json.loads(value["plaintext"]) if isinstance(value, dict) else value)


def _short(urn: str) -> str:
    kind, name = urn.split("::")[-2:]
    return f"{kind.split('$')[-1].split(':')[-1]} {name}"
