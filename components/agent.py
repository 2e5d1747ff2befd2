"""One agent: its bot user, its credentials, its container."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.access_token import AccessToken
from components.bot_password import BotPassword
from components.bot_user import BotUser
from components.container_claim import ContainerClaim
from components.credential_files import CredentialFiles
from components.env_file import EnvFile
from components.hooks import Hooks
from components.labels import label_args
from components.repository_access import RepositoryAccess
from components.token_sweep import TokenSweep
from muster import accounts, container, keys, names, private_ca, roster, runtimes
from muster.compose import Mount
from muster.project import Given, Project

MEBIBYTE = 1024 * 1024

NO_LIMIT = -1
"""What an engine that does not count swap reports, whatever limit it was given (moby/moby#16476).

Any other limit would show as a change for ever.
"""

STOP_SECONDS = 10
"""How long a container may take to stop before it is killed; `docker stop` waits as long.

Without `destroy_grace_seconds`, pulumi-docker 5.2 stops containers with a timeout of 0, so that
the agent could not release its claim.
"""


@dataclass(frozen=True)
class Place:
    """What a crew's agents share and do not declare themselves.

    Attributes:
        project: the roster, and what the stack and the machine add to it.
        network: the Docker network's name.
        hooks: what is done around a container's create.
        depends_on: what has to stand before the first bot user.
    """

    project: Project
    network: pulumi.Input[str]
    hooks: Hooks
    depends_on: Sequence[pulumi.Resource]


class Agent(pulumi.ComponentResource):
    """Everything that one `[agents.X]` section stands for.

    The order in which a rotation happens is the product's promise: new password, new token,
    proven; then the container is replaced; then the sweep revokes the old token.
    """

    def __init__(
        self,
        settings: roster.Agent,
        place: Place,
        *,
        compose_labels: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the agent.

        Args:
            settings: the agent's section of the roster.
            place: what it shares with the crew.
            compose_labels: the labels by which `docker compose` takes its container for its own.
            opts: the component's options.
        """
        super().__init__("muster:index:Agent", settings.name, None, opts)
        self.settings = settings
        self._place = place
        self._repositories = place.project.repositories_of(settings)
        self._service = container.service(place.project, settings)
        self._labels = names.labels(place.project.stack, place.project.roster.name, settings.name)
        self._mark = accounts.mark_of(place.project.stack, place.project.roster.name, settings.name)

        self.bot_user = self._bot_user()
        access = self._access()
        self.password, self.token = self._credentials(access)
        keep = place.project.roster.muster.keep_volumes
        volumes = [
            self._volume(mount, keep=keep)
            for mount in container.work_mounts(place.project, settings)
        ]
        in_service: list[pulumi.Resource] = [self.token]
        if settings.enabled:
            in_service = [self._container(compose_labels, [*access, *volumes])]
        if place.project.roster.muster.env_file is not None:
            in_service.append(self._env_file(place.project.roster.muster.env_file))
        TokenSweep(
            settings.name,
            forge=place.project.forge_url,
            forge_ca=place.project.forge_ca,
            user=self.bot_user.id,
            mark=self._mark,
            password=self.password.password,
            kept=self.token.token_id,
            opts=self._child(depends_on=in_service),
        )
        self.register_outputs({"bot_user": self.bot_user.user})

    def summary(self) -> dict[str, pulumi.Input[object]]:
        """Return what the stack says of the agent; nothing of it is secret."""
        settings = self.settings
        return {
            "bot_user": self.bot_user.user,
            "container": self._service.container if settings.enabled else None,
            "roles": list(settings.roles),
            "endpoint": settings.base_url or "anthropic",
            "token_last_eight": self.token.last_eight,
            "issued_at": self.token.issued_at,
            "rotation": settings.rotation,
        }

    def _child(self, **options: object) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, **options)  # type: ignore[arg-type]

    def _bot_user(self) -> BotUser:
        settings, place = self.settings, self._place
        return BotUser(
            settings.name,
            forge=place.project.forge_url,
            forge_ca=place.project.forge_ca,
            user=settings.forge_user,
            mark=self._mark,
            full_name=accounts.full_name_of(place.project.roster.name, settings.name),
            email=accounts.email_of(settings.forge_user, place.project.roster.muster.email_domain),
            adopt=settings.adopt,
            opts=self._child(depends_on=place.depends_on),
        )

    def _access(self) -> list[RepositoryAccess]:
        first, *others = self._repositories
        named = {self.settings.name: first}
        named |= {f"{self.settings.name}-{repository}": repository for repository in others}
        return [
            RepositoryAccess(
                name,
                forge=self._place.project.forge_url,
                forge_ca=self._place.project.forge_ca,
                repository=repository,
                user=self.bot_user.id,
                mark=self._mark,
                permission=self.settings.permission,
                opts=self._child(),
            )
            for name, repository in named.items()
        ]

    def _credentials(self, access: Sequence[RepositoryAccess]) -> tuple[BotPassword, AccessToken]:
        """Declare password and token.

        A forge limits a token only to repositories that the account sees by then.
        """
        settings, place = self.settings, self._place
        given = place.project.given.get(settings.name, Given())
        password = BotPassword(
            settings.name,
            forge=place.project.forge_url,
            forge_ca=place.project.forge_ca,
            user=self.bot_user.id,
            mark=self._mark,
            rotation=settings.rotation,
            max_age_days=settings.max_credential_age_days,
            given=given.password,
            opts=self._child(),
        )
        token = AccessToken(
            settings.name,
            forge=place.project.forge_url,
            forge_ca=place.project.forge_ca,
            user=self.bot_user.id,
            password=password.password,
            password_id=password.id,
            repositories=self._repositories,
            rotation=settings.rotation,
            max_age_days=settings.max_credential_age_days,
            given=given.token,
            opts=self._child(depends_on=access),
        )
        return password, token

    @property
    def _image_id(self) -> str:
        return self._place.project.images[self.settings.image]

    def _api_key(self) -> pulumi.Input[str]:
        key = self._place.project.keys.real(self.settings)
        return self.settings.api_key if key is None else pulumi.Output.secret(key)

    def _volume(self, mount: Mount, *, keep: bool) -> docker.Volume:
        kind = mount.volume.removeprefix(f"{self._service.container}-")
        return docker.Volume(
            f"{self.settings.name}-{kind}",
            name=mount.volume,
            labels=label_args(docker.VolumeLabelArgs, self._labels),
            opts=self._child(retain_on_delete=keep),
        )

    def _credential_files(self, mount: Mount, claim: ContainerClaim) -> CredentialFiles:
        files: dict[str, pulumi.Input[str]] = {}
        if self.settings.credentials == "file":
            files = {"forge_token": self.token.token, "anthropic_api_key": self._api_key()}
        return CredentialFiles(
            self.settings.name,
            volume=mount.volume,
            path=mount.path,
            files=files,
            ca_file=private_ca.file_of(self._place.project.roster, self.settings),
            image=self._image_id,
            owner=runtimes.owner(self.settings.user),
            helper=self._helper,
            labels=self._labels,
            project=self._place.project,
            opts=self._child(depends_on=[claim]),
        )

    @property
    def _helper(self) -> str:
        return names.credentials_container_name(self._place.project.roster.name, self.settings.name)

    def _credential_variables(self) -> dict[str, pulumi.Input[str]]:
        key = self._place.project.keys.real(self.settings)
        variables = {
            keys.variable(self.settings, key or ""): self._api_key(),
            "FORGE_PASS": self.password.password,
            "FORGE_TOKEN": self.token.token,
        }
        if self.settings.runtime == "disinto" and "review" in self.settings.roles:
            # disinto's reviews are written with this one alone (review/review-pr.sh).
            variables["FORGE_REVIEW_TOKEN"] = self.token.token
        return variables

    def _container(
        self, compose_labels: Mapping[str, str], depends_on: list[pulumi.Resource]
    ) -> docker.Container:
        """Declare the container.

        It follows its credentials by a trigger: Docker is not asked what stands in a volume. The
        trigger is when the volume was filled, not what with, for a secret trigger never fires.
        """
        service, limits = self._service, self._place.project.docker_engine
        trigger: list[pulumi.Input[str]] = [self._image_id]
        variables: dict[str, pulumi.Input[str]] = {**service.environment}
        mount = container.credentials_mount(self._place.project, self.settings)
        claim = ContainerClaim(
            self.settings.name,
            container=service.container,
            helper=self._helper,
            volume=mount.volume,
            labels=self._labels,
            project=self._place.project,
            network=self._place.network,
            opts=self._child(depends_on=depends_on),
        )
        ready: list[pulumi.Resource] = [claim]
        if mount in service.mounts:
            files = self._credential_files(mount, claim)
            trigger.append(files.delivery)
            ready.append(files)
        if self.settings.credentials == "env":
            variables |= self._credential_variables()
        return docker.Container(
            self.settings.name,
            name=service.container,
            image=service.image,
            envs=[_line(key, variables[key]) for key in sorted(variables)],
            volumes=[
                docker.ContainerVolumeArgs(
                    volume_name=mount.volume,
                    container_path=mount.path,
                    read_only=mount.read_only,
                )
                for mount in service.mounts
            ],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=self._place.network, aliases=[service.name]
                )
            ],
            hosts=[
                docker.ContainerHostArgs(host=host, ip=ip) for host, ip in service.hosts.items()
            ],
            labels=label_args(docker.ContainerLabelArgs, {**service.labels, **compose_labels}),
            restart=service.restart,
            memory=service.memory // MEBIBYTE if limits.limits_memory else None,
            memory_swap=service.memory // MEBIBYTE if limits.limits_swap else NO_LIMIT,
            cpus=str(service.cpus) if limits.limits_cpus else None,
            log_driver=service.log_driver,
            log_opts=dict(service.log_options),
            security_opts=list(service.security_options),
            read_only=service.read_only,
            tmpfs=dict(service.tmpfs),
            destroy_grace_seconds=STOP_SECONDS,
            capabilities=docker.ContainerCapabilitiesArgs(
                adds=list(service.added_capabilities) or None,
                drops=list(service.dropped_capabilities),
            ),
            user=service.user,
            uploads=[
                docker.ContainerUploadArgs(file=path, content=text)
                for path, text in service.uploads.items()
            ]
            or None,
            opts=self._child(
                delete_before_replace=True,
                replacement_trigger=trigger,
                depends_on=ready,
                hooks=self._place.hooks.limited_container,
            ),
        )

    def _env_file(self, path: str) -> EnvFile:
        user = names.user_upper(self.settings.forge_user)
        return EnvFile(
            self.settings.name,
            path=path,
            values={
                f"FORGE_TOKEN_{user}": self.token.token,
                f"FORGE_PASS_{user}": self.password.password,
            },
            opts=self._child(),
        )


def _line(name: str, value: pulumi.Input[str]) -> pulumi.Input[str]:
    """Return a variable as Docker takes it; what is known already is no output to wait for."""
    if isinstance(value, str):
        return f"{name}={value}"
    return pulumi.Output.concat(name, "=", value)
