"""What an agent's container is called, sees and carries: plain values, no Docker."""

import json

from muster.accounts import EMAIL_DOMAIN, email_of
from muster.compose import Mount, Service
from muster.forge.proxies import exceptions
from muster.names import PIDS_LABEL, container_name, labels, service_name, user_upper
from muster.project import Project
from muster.roster import Agent
from muster.work_settings import Budgets, Endpoint

DATA_PATH = "/home/agent/data"
REPOS_PATH = "/home/agent/repos"
CREDENTIALS_PATH = "/run/secrets/muster"
WORK_VARIABLE = "MUSTER_WORK"
"""The container's variable that holds the agent's work settings, as JSON."""

ENDPOINTS_VOLUME = "muster-endpoints"
"""The queues of all agents on a Docker host that share endpoints.

Docker creates it with the first container that mounts it. No stack declares or removes it: other
stacks' agents may be waiting in it.
"""

ENDPOINTS_PATH = "/run/muster/endpoints"
AGENT_UID = 1000
"""The agent's user in the image, who alone may read the credentials."""

_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
"""Claude Code's switches against telemetry and other calls home."""

_OWN_ENDPOINT = {
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",  # its text varies and defeats llama-server's cache
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
}
"""Claude Code's switches for servers other than Anthropic's."""


def service(project: Project, agent: Agent) -> Service:
    """Return an agent's container, without what is secret."""
    name = container_name(project.roster.name, agent.name)
    mounts = work_mounts(project, agent)
    if agent.base_url:
        mounts.append(Mount(ENDPOINTS_VOLUME, ENDPOINTS_PATH))
    if agent.credentials == "file":
        mounts.append(credentials_mount(project, agent))
    return Service(
        name=service_name(agent.name),
        container=name,
        image=agent.image,
        environment=environment(project, agent),
        mounts=mounts,
        labels=labels(project.stack, project.roster.name, agent.name)
        | {PIDS_LABEL: str(agent.pids)},
        memory=agent.memory_bytes,
        cpus=agent.cpus,
        pids=agent.pids,
        read_only=agent.read_only,
    )


def work_mounts(project: Project, agent: Agent) -> list[Mount]:
    """Return the volumes that hold the agent's work."""
    name = container_name(project.roster.name, agent.name)
    return [Mount(f"{name}-data", DATA_PATH), Mount(f"{name}-repos", REPOS_PATH)]


def credentials_mount(project: Project, agent: Agent) -> Mount:
    """Return the volume that holds the agent's credentials, where they are files."""
    name = container_name(project.roster.name, agent.name)
    return Mount(f"{name}-credentials", CREDENTIALS_PATH, read_only=True)


def environment(project: Project, agent: Agent) -> dict[str, str]:
    """Return the agent's environment, without credentials."""
    roster = project.roster
    variables = {
        **_QUIET,
        "AGENT_NAME": agent.name,
        "AGENT_ROLES": ",".join(agent.roles),
        "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": str(agent.compact_pct),
        "CLAUDE_CONFIG_DIR": f"{DATA_PATH}/claude",
        "FORGE_REPO": roster.repo,
        "FORGE_URL": project.internal_forge_url,
        WORK_VARIABLE: work_settings(project, agent),
        "POLL_INTERVAL": str(agent.poll_interval),
        "PRIMARY_BRANCH": roster.primary_branch,
        "PROJECT_NAME": roster.name,
        f"FORGE_BOT_USER_{user_upper(agent.forge_user)}": agent.forge_user,
    }
    if agent.base_url:
        variables |= _OWN_ENDPOINT
        variables["ANTHROPIC_BASE_URL"] = agent.base_url
    if agent.model:
        variables["CLAUDE_MODEL"] = agent.model
    if roster.muster.email_domain != EMAIL_DOMAIN:
        variables["FORGE_BOT_EMAIL"] = email_of(agent.forge_user, roster.muster.email_domain)
    if agent.permission == "read":
        variables["FORGE_PERMISSION"] = "read"
    if agent.formula:
        variables["AGENT_FORMULA"] = agent.formula
    if agent.credentials == "file":
        variables["FORGE_TOKEN_FILE"] = f"{CREDENTIALS_PATH}/forge_token"
        variables["ANTHROPIC_API_KEY_FILE"] = f"{CREDENTIALS_PATH}/anthropic_api_key"
    return variables | exceptions(variables, project.internal_forge_url, agent.base_url or "")


def work_settings(project: Project, agent: Agent) -> str:
    """Return what the roster sets for the agent's work, as one line of JSON."""
    crew = project.roster.muster
    own = {*Budgets.model_fields, "context_window", "sandbox", "may_approve"}
    endpoint = crew.endpoints.get(agent.base_url or "", Endpoint())
    settings = crew.work.model_dump() | agent.model_dump(include=own) | endpoint.model_dump()
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))
