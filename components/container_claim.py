"""The crew's claim on the names under which an agent has something in Docker."""

from collections.abc import Mapping
from contextlib import suppress

import pulumi
from pulumi.dynamic import CreateResult, Resource

from components.provider import Props, Provider
from muster.docker import DockerError, engine, remove_leftover_container, remove_volume


class ContainerClaimProvider(Provider):
    """Removes, when the agent is fired, what is left under its container's name.

    Pulumi removes the container that it made, by its id. `docker compose down` and `up -d` put
    another in its place, which would outlive the agent, and keep its volumes and network in use.
    An engine that was killed may have left that one too, or the credentials and what delivers
    them, in nobody's state.
    """

    replace_on = ("container",)
    update_on = ("helper", "volume", "labels", "docker_host")

    def create(self, props: Props) -> CreateResult:
        """Record the claim."""
        return CreateResult(props["container"], props)

    def delete(self, id_: str, props: Props) -> None:
        """Remove what has these names; somebody else's stays."""
        labels = props["labels"]
        with engine(props.get("docker_host")) as client:
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
        docker_host: str | None,
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
            docker_host: the engine, None for the one that the environment names.
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
                "docker_host": docker_host,
                "network": network,
            },
            opts,
        )
