"""What an agent's container is called, sees and carries: plain values, no Docker."""

import json
from typing import Any

import tomlkit

from muster import private_ca, runtimes
from muster.accounts import EMAIL_DOMAIN, email_of
from muster.compose import Mount, Service
from muster.hosts import exceptions
from muster.names import PIDS_LABEL, container_name, labels, service_name, user_upper
from muster.project import Project
from muster.roster import Agent
from muster.work_settings import Budgets, Endpoint

DATA_PATH = "/home/agent/data"
REPOS_PATH = "/home/agent/repos"
CREDENTIALS_PATH = "/run/secrets/muster"
WORK_VARIABLE = "MUSTER_WORK"
"""The container's variable that holds the agent's work settings, as JSON."""

ENV_VARIABLE = "MUSTER_ENV"
"""The container's variable that names those of `env` and `ca_file`, comma-separated."""

ENDPOINTS_VOLUME = "muster-endpoints"
"""The queues of all agents on a Docker host that share endpoints.

Docker creates it with the first container that mounts it. No stack declares or removes it: other
stacks' agents may be waiting in it.
"""

ENDPOINTS_PATH = "/run/muster/endpoints"

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


DISINTO = "/home/agent/disinto"
"""disinto's folder in its agents image."""

_DISINTOS_FIELDS = (
    "base_url",
    "model",
    "api_key",
    "roles",
    "forge_user",
    "compact_pct",
    "poll_interval",
)
"""What disinto reads of an agent's section (lib/load-project.sh, lib/generators.sh)."""


def service(project: Project, agent: Agent) -> Service:
    """Return an agent's container, without what is secret."""
    name = container_name(project.roster.name, agent.name)
    mounts = work_mounts(project, agent)
    disinto = agent.runtime == "disinto"
    if agent.base_url and not disinto:
        mounts.append(Mount(ENDPOINTS_VOLUME, ENDPOINTS_PATH))
    if agent.credentials == "file" or agent.ca_file:
        mounts.append(credentials_mount(project, agent))
    path = f"{DISINTO}/projects/{project.roster.name}.toml"
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
        added_capabilities=capabilities(agent),
        user=agent.user,
        uploads={path: project_file(project, agent)} if disinto else {},
    )


def capabilities(agent: Agent) -> tuple[str, ...]:
    """Return the capabilities that an agent's container keeps, sorted."""
    needed = runtimes.CAPABILITIES if agent.runtime == "disinto" else ()
    return tuple(sorted({*needed, *agent.capabilities}))


def work_mounts(project: Project, agent: Agent) -> list[Mount]:
    """Return the volumes that hold the agent's work."""
    name = container_name(project.roster.name, agent.name)
    return [Mount(f"{name}-data", DATA_PATH), Mount(f"{name}-repos", REPOS_PATH)]


def credentials_mount(project: Project, agent: Agent) -> Mount:
    """Return the volume of the agent's files: credentials, and the certificates of its CA."""
    name = container_name(project.roster.name, agent.name)
    return Mount(f"{name}-credentials", CREDENTIALS_PATH, read_only=True)


def environment(project: Project, agent: Agent) -> dict[str, str]:
    """Return the agent's environment, without credentials."""
    roster = project.roster
    added = _added(agent)
    variables = {
        **added,
        **_QUIET,
        "AGENT_NAME": agent.name,
        "AGENT_ROLES": ",".join(agent.roles),
        "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": str(agent.compact_pct),
        "CLAUDE_CONFIG_DIR": f"{DATA_PATH}/claude",
        "FORGE_REPO": roster.repo,
        "FORGE_URL": project.internal_forge_url,
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
    if agent.runtime == "disinto":
        variables |= _disintos_variables(project, agent)
        return variables | exceptions(variables, project.internal_forge_url, agent.base_url or "")
    if roster.muster.email_domain != EMAIL_DOMAIN:
        variables["FORGE_BOT_EMAIL"] = email_of(agent.forge_user, roster.muster.email_domain)
    if agent.permission == "read":
        variables["FORGE_PERMISSION"] = "read"
    variables[WORK_VARIABLE] = work_settings(project, agent)
    if agent.formula:
        variables["AGENT_FORMULA"] = agent.formula
    if added:
        variables[ENV_VARIABLE] = ",".join(sorted(added))
    if agent.credentials == "file":
        variables["FORGE_TOKEN_FILE"] = f"{CREDENTIALS_PATH}/forge_token"
        variables["ANTHROPIC_API_KEY_FILE"] = f"{CREDENTIALS_PATH}/anthropic_api_key"
    return variables | exceptions(variables, project.internal_forge_url, agent.base_url or "")


def _added(agent: Agent) -> dict[str, str]:
    """Return the variables that Claude Code and a project's commands get, too: CA and `env`."""
    trusted = private_ca.variables(CREDENTIALS_PATH) if agent.ca_file else {}
    return {**trusted, **agent.env}


def _disintos_variables(project: Project, agent: Agent) -> dict[str, str]:
    """Return what disinto's agents image wants besides.

    With DISINTO_CONTAINER the environment wins over the project file (lib/load-project.sh).
    """
    variables = {
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "DISINTO_CONTAINER": "1",
        "FORGE_OPS_REPO": project.roster.operations,
        "PROJECT_REPO_ROOT": f"{REPOS_PATH}/{project.roster.name}",
    }
    if agent.context_window:
        variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] = str(agent.context_window)
    return variables


def project_file(project: Project, agent: Agent) -> str:
    """Return the project file that disinto reads: the roster without what is Muster's.

    Of the agents' sections it has this agent's alone, so that a change of another one does not
    replace this container.
    """
    roster = project.roster
    own = agent.model_dump(include=set(_DISINTOS_FIELDS), exclude_none=True)
    agents = {**roster.factory.get("agents", {}), agent.name: {**own, "roles": list(agent.roles)}}
    content: dict[str, Any] = {
        "name": roster.name,
        "repo": roster.repo,
        "ops_repo": roster.operations,
        "forge_url": project.internal_forge_url,
        "primary_branch": roster.primary_branch,
        **{key: roster.factory[key] for key in sorted(roster.factory) if key != "agents"},
        "agents": agents,
    }
    return tomlkit.dumps(content)


def work_settings(project: Project, agent: Agent) -> str:
    """Return what the roster sets for the agent's work, as one line of JSON."""
    crew = project.roster.muster
    own = {*Budgets.model_fields, "context_window", "sandbox", "may_approve"}
    endpoint = crew.endpoints.get(agent.base_url or "", Endpoint())
    settings = crew.work.model_dump() | agent.model_dump(include=own) | endpoint.model_dump()
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))
