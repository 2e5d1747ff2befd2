"""The floor: the calls and container starts that Muster cannot do without, made directly."""

import contextlib
import io
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import docker
from docker.types import LogConfig, Mount

from muster import accounts, compose, container, runtimes
from muster.compose import Service
from muster.credentials import TOKEN_SCOPES, new_password, new_token_name
from muster.docker import EMPTY_IMAGE
from muster.forge import Basic, Forge, Token, UnauthorizedError, minting_auth
from muster.names import credentials_container_name
from muster.project import Project
from muster.roster import Agent

_NANO = 10**9


@dataclass
class _Credentials:
    password: str
    token_id: int
    token: str


class Floor:
    """A crew made without Pulumi: the same calls, credentials, volumes and containers.

    Args:
        project: the crew.
        client: the Docker engine.
        threads: how many agents are worked on at a time.
    """

    def __init__(self, project: Project, client: docker.DockerClient, threads: int) -> None:
        self._project, self._client, self._threads = project, client, threads
        self._forge = Forge(project.forge_url, project.administrator.api)
        self._credentials: dict[str, _Credentials] = {}

    def hire(self) -> float:
        """Hire the crew; return the seconds that it took."""
        return self._timed(self._hire)

    def rotate(self) -> float:
        """Rotate the whole crew's credentials; return the seconds that it took."""
        return self._timed(self._rotate)

    def fire(self) -> float:
        """Fire the whole crew; return the seconds that it took."""
        return self._timed(self._fire)

    def _timed(self, work: Callable[[Agent], None]) -> float:
        began = time.monotonic()
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(work, self._project.roster.agents.values()))
        return time.monotonic() - began

    def _hire(self, agent: Agent) -> None:
        self._forge.create_user(
            agent.forge_user,
            email=accounts.email_of(agent.forge_user),
            password=new_password(),
            login_name=self._mark(agent),
            full_name=accounts.full_name_of(self._project.roster.name, agent.name),
        )
        self._issue(agent)
        self._forge.add_collaborator(self._project.roster.repo, agent.forge_user)
        service = container.service(self._project, agent)
        credentials = container.credentials_mount(self._project, agent)
        for mount in [*container.work_mounts(self._project, agent), credentials]:
            self._client.volumes.create(mount.volume, labels=dict(service.labels))
        self._deliver(agent, service)
        self._start(service)
        self._sweep(agent, keep=self._credentials[agent.name].token_id)

    def _rotate(self, agent: Agent) -> None:
        old = self._credentials[agent.name]
        self._issue(agent)
        service = container.service(self._project, agent)
        self._deliver(agent, service)
        self._remove(service.container)
        self._start(service)
        self._sweep(agent, keep=self._credentials[agent.name].token_id)
        self._prove_gone(old.token)

    def _fire(self, agent: Agent) -> None:
        self._sweep(agent, keep=None)
        self._prove_gone(self._credentials[agent.name].token)
        service = container.service(self._project, agent)
        self._remove(service.container)
        credentials = container.credentials_mount(self._project, agent)
        self._client.volumes.get(credentials.volume).remove()
        self._forge.remove_collaborator(self._project.roster.repo, agent.forge_user)
        self._forge.user(agent.forge_user)
        self._edit(agent, new_password(), prohibit_login=True)

    # The forge

    def _mark(self, agent: Agent) -> str:
        return accounts.mark_of(self._project.stack, self._project.roster.name, agent.name)

    def _edit(self, agent: Agent, password: str, **changes: bool) -> None:
        self._forge.edit_user(
            agent.forge_user,
            login_name=self._mark(agent),
            source_id=0,
            password=password,
            **changes,
        )

    def _minting(self, agent: Agent, password: str) -> Forge:
        bot = Basic(agent.forge_user, password)
        url = self._project.forge_url
        return Forge(url, minting_auth(url, self._project.administrator, bot))

    def _issue(self, agent: Agent) -> None:
        password = new_password()
        self._edit(agent, password, **accounts.RESTRICTIONS)
        minting = self._minting(agent, password)
        minted = minting.mint_token(agent.forge_user, new_token_name(), TOKEN_SCOPES)
        token = str(minted.secret)
        Forge(self._project.forge_url, Token(token)).whoami()
        self._credentials[agent.name] = _Credentials(password, minted.id, token)

    def _sweep(self, agent: Agent, *, keep: int | None) -> None:
        minting = self._minting(agent, self._credentials[agent.name].password)
        for token in minting.tokens(agent.forge_user):
            if token.id != keep:
                minting.revoke_token(agent.forge_user, token.id)

    def _prove_gone(self, token: str) -> None:
        with contextlib.suppress(UnauthorizedError):
            Forge(self._project.forge_url, Token(token)).whoami()

    # Docker

    def _deliver(self, agent: Agent, service: Service) -> None:
        mount = container.credentials_mount(self._project, agent)
        helper = self._client.containers.create(
            EMPTY_IMAGE,
            ["-"],
            name=credentials_container_name(self._project.roster.name, agent.name),
            network_mode="none",
            labels=dict(service.labels),
            mounts=[Mount(mount.path, mount.volume)],
        )
        token = self._credentials[agent.name].token
        files = {"forge_token": token, "anthropic_api_key": agent.api_key}
        helper.put_archive(mount.path, _archive(files))
        helper.remove()

    def _start(self, service: Service) -> None:
        network = self._project.network
        alias = self._client.api.create_endpoint_config(aliases=[service.name])
        self._client.containers.create(
            service.image,
            name=service.container,
            environment=compose.lines(service.environment),
            mounts=list(_mounts(service)),
            network=network,
            networking_config={network: alias},
            extra_hosts=dict(service.hosts),
            labels=dict(service.labels),
            restart_policy={"Name": service.restart},  # type: ignore[arg-type]  # unknown to stubs
            mem_limit=service.memory,
            memswap_limit=service.memory,
            nano_cpus=int(service.cpus * _NANO),
            pids_limit=service.pids,
            read_only=service.read_only,
            tmpfs=dict(service.tmpfs),
            log_config=LogConfig(type=service.log_driver, config=dict(service.log_options)),
            security_opt=list(service.security_options),
            cap_drop=list(service.dropped_capabilities),
        ).start()

    def _remove(self, name: str) -> None:
        found = self._client.containers.get(name)
        found.stop()  # as long as an update waits
        found.remove(v=True)


def _mounts(service: Service) -> Iterator[Mount]:
    for mount in service.mounts:
        yield Mount(mount.path, mount.volume, read_only=mount.read_only)


def _archive(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            info.mode = 0o400
            info.uid = info.gid = runtimes.AGENT_UID
            archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()
