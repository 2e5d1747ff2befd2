"""What Muster calls the things it makes, and the labels by which it knows them in Docker."""

import re

PROJECT_LABEL = "muster.project"
STACK_LABEL = "muster.stack"
AGENT_LABEL = "muster.agent"
PIDS_LABEL = "muster.pids"
"""The limit of processes, which Docker is told after the container's create."""


def service_name(agent: str) -> str:
    """Return the agent's compose service and network alias."""
    return f"agents-{agent}"


def container_name(project: str, agent: str) -> str:
    """Return the container's name; its volumes' names begin with it."""
    return f"{project}-{service_name(agent)}"


def credentials_container_name(project: str, agent: str) -> str:
    """Return the name of the container that fills the credentials' volume and never runs.

    It is no agent's container name, whatever agents are called.
    """
    return f"{project}-credentials-{agent}"


def user_upper(forge_user: str) -> str:
    """Return the bot user's name as it stands in variables' names."""
    return re.sub(r"[^A-Z0-9]", "_", forge_user.upper())


def network_name(project: str) -> str:
    """Return the name of the network that is made for a project without one."""
    return f"muster-{project}"


def labels(stack: str, project: str, agent: str | None = None) -> dict[str, str]:
    """Return the labels by which Muster knows what it made."""
    ours = {PROJECT_LABEL: project, STACK_LABEL: stack}
    return ours if agent is None else ours | {AGENT_LABEL: agent}
