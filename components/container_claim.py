"""The crew's claim on the names under which an agent has something in Docker."""

from collections.abc import Mapping
from contextlib import suppress

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from components.docker_place import OtherEngineError, docker_place, engine
from components.provider import Props, Provider
from muster.docker import DockerError, remove_leftover_container, remove_volume
from muster.project import Project


class ContainerClaimProvider(Provider):
    """Removes, when the agent is fired, what is left under its container's name.

    Pulumi removes the container that it made, by its id. `docker compose down` and `up -d` put
    another in its place, which would outlive the agent, and keep its volumes and network in use.
    An engine that was killed may have left that one too, or the credentials and what delivers
    them, in nobody's state.
    """

    replace_on = ("container",)
    update_on = (
        *("helper", "volume", "labels"),
        *("docker_host", "docker_certificates", "docker_engine"),
    )

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Compare the inputs, and refuse to go on with an agent on another engine.

        Its container and volumes would stay where they are, in nobody's state.

        Raises:
            OtherEngineError: the agent was hired on another engine.
        """
        recorded, found = olds.get("docker_engine"), news.get("docker_engine")
        if recorded and found and recorded != found:  # a refresh compares what was recorded
            raise OtherEngineError(
                f"{_id} is on another Docker engine than {news['docker_host']}: it was hired at "
                f"{olds.get('docker_host')}. Choose that engine again with DOCKER_HOST, docker "
                "context use or [muster] docker_host, or remove the crew there first with muster "
                "down. If that engine no longer exists: pulumi refresh"
            )
        return super().diff(_id, olds, news)

    def create(self, props: Props) -> CreateResult:
        """Record the claim."""
        return CreateResult(props["container"], props)

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report what is recorded; gone if the engine has been replaced by another one."""
        try:
            with engine(props):
                return ReadResult(id_, props)
        except OtherEngineError:
            return ReadResult(None, {})
        except DockerError:
            return ReadResult(id_, props)  # whoever reads the containers reports it

    def delete(self, id_: str, props: Props) -> None:
        """Remove what has these names; somebody else's stays."""
        labels = props["labels"]
        with engine(props) as client:
            for container in (id_, props["helper"]):
                with suppress(DockerError):
                    remove_leftover_container(client, container, labels)
            remove_volume(client, props["volume"], labels)


class ContainerClaim(Resource, module="muster", name="ContainerClaim"):
    """What makes sure that a fired agent has no container, whoever made it."""

    def __init__(
        self,
        name: str,
        *,
        container: str,
        helper: str,
        volume: str,
        labels: Mapping[str, str],
        project: Project,
        network: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the claim; the container and its credentials have to depend on it.

        Args:
            name: the resource's name.
            container: the container's name.
            helper: the name of the container that delivers the credentials.
            volume: the name of the credentials' volume.
            labels: by which all of them are known to be the agent's.
            project: the project, which knows the engine.
            network: the container's network, which goes after the container.
            opts: the resource's options.
        """
        super().__init__(
            ContainerClaimProvider(),
            name,
            {
                "container": container,
                "helper": helper,
                "volume": volume,
                "labels": dict(labels),
                **docker_place(project),
                "network": network,
            },
            opts,
        )
