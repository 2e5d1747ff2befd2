"""A crew at work: real containers, a real forge, real Claude Code, and a scripted endpoint."""

import io
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import bridge
import docker
import docker.errors
import patience
import requests
from docker.models.containers import Container
from endpoint import ScriptedEndpoint
from forge_server import ForgeServer
from patience import COMMAND
from runtime.claim import Claim, Claims
from runtime.git import Mirror
from script import Script
from wire import Wire

from muster.container import CREDENTIALS_PATH
from muster.credentials import TOKEN_SCOPES, new_password
from muster.forge import Basic, Issue, Pull, Review, Token, WorkForge
from muster.work_settings import Work

T = TypeVar("T")

RUNTIME = os.environ.get("MUSTER_RUNTIME")
"""A runtime's folder to use in place of the image's, without building it again."""

PATIENCE = 60.0
"""Seconds for what takes two on an idle machine."""


def until(answer: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Return the first answer that is not None, False or empty.

    Raises:
        TimeoutError: there was none within so many seconds of an idle machine.
    """
    return patience.until(answer, what, seconds)


def work(**changes: object) -> dict[str, object]:
    """Return an agent's work settings: the roster's defaults, with changes."""
    defaults = Work().model_dump(mode="json")
    own = {"context_window": None, "sandbox": "on", "may_approve": False, "slots": 1}
    return {**defaults, **own, **changes}


class Worker:
    """One agent's container."""

    def __init__(self, crew: "Crew", name: str, token: str) -> None:
        self._crew, self.name, self.token = crew, name, token
        self.user = f"{crew.name}-{name}"
        self.container_name = f"{crew.name}-agents-{name}"

    @property
    def container(self) -> Container:
        return self._crew.client.containers.get(self.container_name)

    def start(self, **environment: str) -> None:
        """Start a new container with this agent's volumes, in place of an earlier one."""
        crew = self._crew
        with suppress(docker.errors.NotFound):
            self.container.remove(force=True, v=True)
        volumes = {
            f"{self.container_name}-data": "/home/agent/data",
            f"{self.container_name}-repos": "/home/agent/repos",
            f"{crew.name}-endpoints": "/run/muster/endpoints",
        }
        crew.client.containers.run(
            "muster-agent",
            name=self.container_name,
            detach=True,
            network=crew.server.network,
            extra_hosts={"host.docker.internal": "host-gateway"},
            read_only=True,
            tmpfs={"/tmp": "exec"},  # noqa: S108 - the container's own
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            volumes={name: {"bind": path, "mode": "rw"} for name, path in volumes.items()}
            | {self.credentials: {"bind": CREDENTIALS_PATH, "mode": "ro"}}
            | ({RUNTIME: {"bind": "/opt/muster/runtime", "mode": "ro"}} if RUNTIME else {}),
            environment={**self.environment, **environment},
            labels={"muster.project": crew.name},
        )

    environment: Mapping[str, str] = {}

    @property
    def credentials(self) -> str:
        """The volume with the credentials; empty if variables hold them."""
        return f"{self.container_name}-credentials"

    def hold_credentials_in_files(self) -> None:
        """Deliver the credentials as Muster does by default; before the start."""
        kept = dict(self.environment)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in ("FORGE_TOKEN", "ANTHROPIC_API_KEY"):
                content = kept.pop(name).encode()
                file = tarfile.TarInfo(name.lower())
                file.size, file.mode, file.uid, file.gid = len(content), 0o400, 1000, 1000
                archive.addfile(file, io.BytesIO(content))
                kept[f"{name}_FILE"] = f"{CREDENTIALS_PATH}/{name.lower()}"
        volumes = {self.credentials: {"bind": CREDENTIALS_PATH, "mode": "rw"}}
        helper = self._crew.client.containers.create("muster-agent", volumes=volumes)
        helper.put_archive(CREDENTIALS_PATH, packed.getvalue())
        helper.remove()
        self.environment = kept

    def lines(self) -> list[dict[str, Any]]:
        """Return what the container logged, read line by line."""
        text = self.container.logs().decode(errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def state(self) -> dict[str, Any]:
        lines = self.lines()
        return lines[-1] if lines else {}

    def waits_for(self, what: str) -> dict[str, Any]:
        return until(
            lambda: self.state() if self.state().get("waiting_for") == what else None,
            f"{self.name} waits for {what}",
        )

    def finishes(self, result: str) -> dict[str, Any]:
        """Wait for a task whose result holds this text."""

        def found() -> dict[str, Any] | None:
            ended = (line for line in self.lines() if line["last"])
            return next((line for line in ended if result in line["last"]["result"]), None)

        return until(found, f"{self.name} finishes with {result!r}")

    def until_idle(self) -> None:
        """Wait until this container has looked for a task and found none."""
        until(lambda: self.state().get("state") == "idle", f"{self.name} is idle")

    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines()]

    def run(self, *command: str) -> tuple[int, str]:
        done = self.container.exec_run(list(command), user="1000")
        assert isinstance(done.output, bytes)
        return int(done.exit_code or 0), done.output.decode(errors="replace")

    def transcript(self) -> str:
        return self.run("cat", "/home/agent/data/sessions/last.jsonl")[1]


class Crew:
    """A repository with its agents, removed by name afterwards."""

    def __init__(self, client: docker.DockerClient, server: ForgeServer) -> None:
        self.client, self.server = client, server
        self.name = f"t{secrets.token_hex(4)}"
        self.repo = f"keeper/{self.name}"
        basic = server.administrator.basic
        assert isinstance(basic, Basic)
        self.keeper = WorkForge(server.url, basic, self.repo)
        self.admin = server.forge
        self.endpoint = self.another_endpoint()
        self.workers: dict[str, Worker] = {}
        self._mirror: Mirror | None = None

    def another_endpoint(self, port: int = 0) -> ScriptedEndpoint:
        return ScriptedEndpoint({"plays": []}, self.host, port)

    def wire(self) -> Wire:
        """Return a way to the forge that can be cut."""
        return Wire(self.server.url, self.host)

    @property
    def host(self) -> str:
        """Return the address by which containers find this machine; no other machine does."""
        return bridge.address(self.client)

    def __enter__(self) -> Self:
        self.endpoint.__enter__()
        self.admin.create_repository(self.repo, "main")
        self.keeper.ensure_label("backlog", "0e8a16", "")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for container in self.client.containers.list(all=True, filters={"name": self.name}):
            container.remove(force=True, v=True)
        for volume in self.client.volumes.list(filters={"name": self.name}):
            volume.remove()
        for user in list(self.admin.users()):
            if user.login.startswith(f"{self.name}-"):
                self.admin.purge_user(user.login)
        self.endpoint.__exit__(kind, error, trace)
        if self._mirror is not None:
            shutil.rmtree(self._mirror.folder)

    def show_logs(self) -> None:
        """Print the agents' logs: pytest shows them if a test fails."""
        for worker in self.workers.values():
            with suppress(docker.errors.NotFound):
                print(worker.name, worker.container.logs().decode()[-9000:])  # noqa: T201

    def plays(self, *plays: tuple[str, list[dict[str, Any]]], **more: Any) -> None:  # noqa: ANN401
        """Set what the endpoint plays: patterns of prompts, and the steps for each."""
        listed = [{"when": when, "steps": steps} for when, steps in plays]
        content = {"window": 65536, "slots": 1, "plays": listed, **more}
        self.endpoint.script = Script.parse(content)

    def hire(self, name: str, role: str = "dev", *, start: bool = True, **changes: Any) -> Worker:  # noqa: ANN401
        """Make a bot user with a token of least privilege, and its container."""
        user = f"{self.name}-{name}"
        self.admin.create_user(
            user,
            email=f"{user}@muster.invalid",
            password=new_password(),
            login_name=user,
            full_name=user,
        )
        self.admin.add_collaborator(self.repo, user)
        token = self.admin.mint_token(user, "test", TOKEN_SCOPES)
        worker = Worker(self, name, str(token.secret))
        settings = {"model": "a-model", "poll_interval": 1, **changes}
        worker.environment = {
            "AGENT_NAME": name,
            "AGENT_ROLES": role,
            "ANTHROPIC_API_KEY": settings.pop("api_key", "sk-no-key-required"),
            "ANTHROPIC_BASE_URL": settings.pop("base_url", self.endpoint_url),
            "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": "60",
            "CLAUDE_MODEL": settings.pop("model"),
            "FORGE_REPO": self.repo,
            "FORGE_TOKEN": worker.token,
            "FORGE_URL": settings.pop("forge_url", self.server.internal_url),
            "POLL_INTERVAL": str(settings.pop("poll_interval")),
            "PRIMARY_BRANCH": "main",
            "PROJECT_NAME": self.name,
            **({"AGENT_FORMULA": settings.pop("formula")} if "formula" in settings else {}),
            "MUSTER_WORK": json.dumps(work(**settings)),
        }
        self.workers[name] = worker
        if start:
            worker.start()
        return worker

    def push(self, commands: str, branch: str = "main") -> None:
        """Change a branch with shell commands in a clone, as the keeper."""
        basic = self.server.administrator.basic
        assert isinstance(basic, Basic)
        address = self.server.url.replace(
            "://", f"://{basic.user}:{quote(basic.password, safe='')}@"
        )
        with tempfile.TemporaryDirectory() as folder:
            whole = (
                f"git clone -q {address}/{self.repo}.git . && git checkout -q -B {branch} &&"
                f" {{ {commands}\n}} && git add -A && git -c user.name=keeper"
                f" -c user.email=keeper@x.invalid commit -qm change && git push -q origin {branch}"
            )
            subprocess.run(["bash", "-ec", whole], cwd=folder, check=True)

    @property
    def endpoint_url(self) -> str:
        return f"http://host.docker.internal:{self.endpoint.port}"

    def change(self, path: str = "", **content: object) -> None:
        """Change the repository, or what the path below it names, as a person does."""
        self._send("PATCH", path, content)

    def post(self, path: str, **content: object) -> None:
        self._send("POST", path, content)

    def _send(self, method: str, path: str, content: Mapping[str, object]) -> None:
        basic = self.server.administrator.basic
        assert isinstance(basic, Basic)
        url = f"{self.server.url}/api/v1/repos/{self.repo}{path}"
        person = (basic.user, basic.password)
        requests.request(method, url, json=content, auth=person, timeout=COMMAND).raise_for_status()

    def restart_endpoint(self) -> None:
        """Start the endpoint again, after a stop, at the same address."""
        before = self.endpoint
        self.endpoint = self.another_endpoint(before.port)
        self.endpoint.script = before.script
        self.endpoint.__enter__()

    @property
    def mirror(self) -> Mirror:
        """A copy of the repository that may write everything."""
        if self._mirror is None:
            basic = self.server.administrator.basic
            assert isinstance(basic, Basic)
            folder = Path(tempfile.mkdtemp(prefix=self.name))
            url = f"{self.server.url}/{self.repo}.git"
            self._mirror = Mirror(folder, url, lambda: (basic.user, basic.password))
            self._mirror.make()
        return self._mirror

    def claims_as(self, agent: str, clock: Callable[[], datetime] | None = None) -> Claims:
        """Return the repository's claims, as an agent of this name sees them."""
        return Claims(self.mirror, agent, clock or (lambda: datetime.now(UTC)))

    def claim_of(self, issue: Issue) -> Claim | None:
        return self.claims_as("a-test").all().get(issue.number)

    def forge_as(self, worker: Worker) -> WorkForge:
        return WorkForge(self.server.url, Token(worker.token), self.repo)

    def issue(self, title: str, body: str = "Please.", *labels: str) -> Issue:
        return self.keeper.create_issue(title, body, ["backlog", *labels])

    def pull_for(self, issue: Issue) -> Pull:
        def found() -> Pull | None:
            closing = f"Closes #{issue.number}"
            return next((p for p in self.keeper.pulls() if closing in p.body), None)

        return until(found, f"a pull request for #{issue.number}")

    def reviews_by(self, worker: Worker, pull: Pull) -> list[Review]:
        written = self.keeper.reviews(pull.number)
        return [each for each in written if each.author == worker.user]

    def comment_on(self, issue: Issue) -> str:
        """Return the bot's one comment on an issue."""
        [comment] = [
            each.body
            for each in self.keeper.comments(issue.number)
            if each.body.startswith("<!-- muster -->")
        ]
        return comment

    def file_at(self, path: str, ref: str) -> str | None:
        content = self.keeper.file(path, ref)
        return None if content is None else content.decode()


def bash(command: str) -> dict[str, Any]:
    """Return a step of a play that runs a command."""
    return {"tool": "Bash", "input": {"command": command}}


def says(text: str) -> dict[str, Any]:
    """Return a step of a play that answers."""
    return {"text": text}
