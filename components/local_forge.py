"""The forge of a stack that brings its own."""

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components.hooks import Hooks
from components.labels import label_args
from muster import compose, names
from muster.forge import Basic
from muster.local_forge import DATA_PATH, IMAGE, PORT, container_name, settings, url
from muster.roster import Roster


class LocalForge(pulumi.ComponentResource):
    """A forge in a container: its volume, its administrator, the project's repository.

    Agents reach it by name on the project's network, people at a port of this machine's loopback.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        stack: str,
        image_id: str,
        port: int,
        network: pulumi.Input[str],
        administrator: Basic,
        hooks: Hooks,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the forge.

        Args:
            roster: the project's roster.
            stack: the stack's name.
            image_id: the image; another one replaces the container, and the data stays.
            port: the port on this machine's loopback.
            network: the Docker network's name.
            administrator: the administrator's name and password.
            hooks: what is done around a container's create.
            opts: the component's options.
        """
        super().__init__("muster:index:LocalForge", roster.name, None, opts)
        name = container_name(roster.name)
        labels = names.labels(stack, roster.name)
        volume = docker.Volume(
            "forge",
            name=f"{name}-data",
            labels=label_args(docker.VolumeLabelArgs, labels),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=roster.muster.keep_volumes),
        )
        server = docker.Container(
            "forge",
            name=name,
            image=IMAGE,
            envs=compose.lines(settings(port)),
            ports=[docker.ContainerPortArgs(internal=PORT, external=port, ip="127.0.0.1")],
            volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path=DATA_PATH)],
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network)],
            labels=label_args(docker.ContainerLabelArgs, labels),
            restart="unless-stopped",
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            security_opts=["no-new-privileges:true"],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "curl", "-fsS", f"http://127.0.0.1:{PORT}/api/v1/version"],
                interval="2s",
                timeout="5s",
                start_period="1m0s",  # as Docker says it back: "60s" would show as a change
                retries=5,
            ),
            wait=True,
            wait_timeout=120,
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                replacement_trigger=[image_id],
                hooks=hooks.container,
            ),
        )
        environment: dict[str, pulumi.Input[str]] = {
            "MUSTER_FORGE_URL": url(port),
            "FORGE_ADMIN_USER": administrator.user,
            "FORGE_ADMIN_PASS": pulumi.Output.secret(administrator.password),
        }
        engine = roster.muster.docker_host  # without one, the command finds it as Docker does
        account = command.local.Command(
            "administrator",
            create="python -m muster.local_forge administrator",
            environment={
                **environment,
                "MUSTER_FORGE_CONTAINER": name,
                **({"DOCKER_HOST": engine} if engine else {}),
            },
            triggers=[server.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[server]),
        )
        self.repository = command.local.Command(
            "repository",
            create="python -m muster.local_forge repository",
            environment={
                **environment,
                "MUSTER_FORGE_REPOSITORY": roster.repo,
                "MUSTER_FORGE_BRANCH": roster.primary_branch,
            },
            triggers=[server.id, roster.repo],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account]),
        )
        self.register_outputs({"container": server.name})
