"""Whether what an agent has was changed by somebody other than Muster."""

from collections.abc import Iterable, Mapping
from typing import Any

from muster import docker
from muster.accounts import accounts, mark_of
from muster.forge import Forge
from muster.names import container_name
from muster.project import Settings
from muster.status import CONTAINER, PATIENCE, recorded

_NETWORK = "docker:index/network:Network"


def changed_outside(
    settings: Settings, deployment: Mapping[str, Any], agents: Iterable[str]
) -> bool:
    """Return whether containers, network or accounts of agents differ from the recorded ones.

    Three requests, in place of a refresh of the whole crew.

    Args:
        settings: the stack's.
        deployment: the stack's exported state.
        agents: names; those that are not hired have nothing that could differ.

    Raises:
        DockerError: the engine cannot be reached.
        ForgeError: the forge cannot be reached, or refuses the administrator.
    """
    roster, stack = settings.roster, settings.stack
    hired = {name: facts for name, facts in recorded(deployment).items() if name in {*agents}}
    networks = [
        each["id"]
        for each in deployment.get("resources") or []
        if each["type"] == _NETWORK and not each.get("delete")
    ]
    with docker.engine(roster.muster.docker_host) as client:
        containers = docker.containers_of(client, stack)
        if len(client.networks.list(filters={"id": networks}) if networks else []) < len(networks):
            return True
    for name, facts in hired.items():
        container = containers.get(container_name(roster.name, name))
        if (container.id if container else None) != facts.get(f"{CONTAINER}:id"):
            return True
    forge = Forge(settings.forge_url, settings.administrator.api, patience=PATIENCE)
    logins = {name: str(facts["forgejo:BotUser:id"]).lower() for name, facts in hired.items()}
    users, _ = accounts(forge, {*logins.values()})
    for name, login in logins.items():
        user = users.get(login)
        if (
            user is None
            or user.prohibit_login
            or user.login_name != mark_of(stack, roster.name, name)
        ):
            return True
    return False
