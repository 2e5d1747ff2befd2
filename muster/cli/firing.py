"""What firing takes and leaves."""

from collections.abc import Sequence

from muster import docker
from muster.names import container_name, labels
from muster.roster import Agent, Roster


def consequences(roster: Roster, agent: Agent, *, purge: bool) -> list[str]:
    """Say what goes and what stays when an agent is fired."""
    name = container_name(roster.name, agent.name)
    account = f"account {agent.forge_user}"
    volumes = f"volumes {name}-data and {name}-repos, which may hold work that is not pushed"
    goes = [f"container {name}", "access token and password", f"access to {roster.repo}"]
    stays = []
    if purge:
        goes.append(f"{account} and every issue, pull request and comment of it")
    else:
        stays.append(f"{account}, barred, with its issues, pull requests and comments")
    (goes if purge or not roster.muster.keep_volumes else stays).append(volumes)
    lines = [f"Firing {agent.name}:", f"  goes:  {'; '.join(goes)}"]
    return [*lines, f"  stays: {'; '.join(stays)}"] if stays else lines


def purge_volumes(roster: Roster, stack: str, fired: Sequence[Agent]) -> list[str]:
    """Remove the volumes of agents that were fired; return their names.

    Raises:
        DockerError: Docker refuses.
    """
    with docker.engine(roster.muster.docker_host) as client:
        return [
            volume
            for agent in fired
            for volume in docker.remove_volumes(client, labels(stack, roster.name, agent.name))
        ]
