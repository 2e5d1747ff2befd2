"""A project's crew: the network, the forge where it is local, the agents."""

from collections.abc import Mapping
from pathlib import PurePosixPath

import pulumi
import pulumi_docker as docker

from components.agent import Agent, Place
from components.compose_file import ComposeFile
from components.env_file import EnvFile
from components.hooks import Hooks
from components.labels import label_args
from components.local_forge import LocalForge
from components.traces import untraced
from muster import compose, container, keys, local_forge, names
from muster.docker_host import DockerHost
from muster.project import Project


class Crew(pulumi.ComponentResource):
    """All agents of one project, and what they share."""

    @untraced()
    def __init__(self, project: Project, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the crew of a project that the preflight has looked at."""
        providers = pulumi.ResourceOptions(providers=[_docker(project.docker_host)])
        super().__init__(
            "muster:index:Crew",
            project.roster.name,
            None,
            pulumi.ResourceOptions.merge(opts, providers),
        )
        self._project = project
        self._hooks = Hooks(
            project.docker_host,
            project.docker_engine,
            names.labels(project.stack, project.roster.name),
        )
        network = self._network()
        labels = self._compose_view()
        place = Place(
            project=project,
            network=network,
            hooks=self._hooks,
            depends_on=self._local_forge(network),
        )
        self.agents = {
            name: Agent(
                settings,
                place,
                compose_labels=labels.get(name, {}),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for name, settings in project.roster.agents.items()
        }
        self._shared_env_file()
        self.register_outputs({})

    def _network(self) -> pulumi.Input[str]:
        """Declare the project's network, unless the roster names one that exists."""
        project = self._project
        roster = project.roster
        if roster.muster.network is not None:
            return roster.muster.network
        labels = names.labels(project.stack, roster.name)
        return docker.Network(
            "network",
            name=project.network,
            labels=label_args(docker.NetworkLabelArgs, labels),
            options=dict(roster.muster.network_options) or None,
            opts=pulumi.ResourceOptions(
                parent=self, delete_before_replace=True, hooks=self._hooks.network
            ),
        ).name

    def _local_forge(self, network: pulumi.Input[str]) -> list[pulumi.Resource]:
        project = self._project
        administrator = project.administrator.basic
        if administrator is None or not project.roster.muster.local_forge:
            return []
        forge = LocalForge(
            project.roster,
            stack=project.stack,
            image_id=project.images[local_forge.IMAGE],
            port=project.forge_port,
            network=network,
            administrator=administrator,
            hooks=self._hooks,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [forge.repository]

    def _compose_view(self) -> dict[str, dict[str, str]]:
        """Declare the compose file; return the labels of each agent's container for it."""
        project = self._project
        enabled = [agent for agent in project.roster.agents.values() if agent.enabled]
        text = compose.document(
            project.roster.name,
            project.network,
            [container.service(project, agent) for agent in enabled],
        )
        hashes = compose.config_hashes(text)
        if hashes is None:
            pulumi.log.info("docker compose is not installed: the compose view is left out")
            return {}
        file = PurePosixPath("stacks", f"{project.stack}.compose.yaml")
        ComposeFile("compose", path=str(file), text=text, opts=pulumi.ResourceOptions(parent=self))
        return {
            agent.name: compose.labels(
                project.roster.name,
                names.service_name(agent.name),
                image_id=project.images[agent.image],
                config_hash=hashes[names.service_name(agent.name)],
                file=file,
            )
            for agent in enabled
        }

    def _shared_env_file(self) -> None:
        """Declare the keys of the `.env` file that belong to no single agent."""
        path = self._project.roster.muster.env_file
        values = _shared_values(self._project)
        if path is not None and values:
            EnvFile("crew", path=path, values=values, opts=pulumi.ResourceOptions(parent=self))


def _docker(host: DockerHost) -> pulumi.ProviderResource:
    """Declare who speaks to the Docker engine.

    Everything by which pulumi-docker (5.2) chooses an engine is set, if only to nothing: for what
    is not set, it reads variables of its own and of Docker's, and by other rules than Docker does.
    """
    return docker.Provider(
        "docker",
        host=host.address,
        cert_path=str(host.certificates or ""),
        context="",
        ca_material="",
        cert_material="",
        key_material="",
    )


def _shared_values(project: Project) -> Mapping[str, str]:
    """Return the endpoint, while every agent has that one, and the key, while an agent needs it.

    Never both: what reads them from one file would send the key to that endpoint.
    """
    agents = list(project.roster.agents.values())
    endpoints = {agent.base_url for agent in agents}
    endpoint = endpoints.pop() if len(endpoints) == 1 else None
    values = {}
    if endpoint is not None:
        values["ANTHROPIC_BASE_URL"] = endpoint
    key = project.keys.anthropic
    for agent in agents:
        if key is not None and project.keys.real(agent) == key and agent.base_url is None:
            values[keys.variable(agent, key)] = key
    return values
