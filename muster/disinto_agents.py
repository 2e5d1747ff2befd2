"""What Muster can report of agents that run disinto's code, and what it cannot do for them.

Muster's runtime reports states, keeps transcripts and takes requests. disinto's agents do none of
that: they log to standard output and to files (lib/env.sh, DISINTO_LOG_DIR), and take issues by
their labels (dev/dev-poll.sh).
"""

from muster.agent_container import Run
from muster.container import DATA_PATH
from muster.handover import RESTARTS, STEADY
from muster.names import container_name
from muster.roster import Agent, Roster


def runs(agent: Agent) -> bool:
    """Tell whether an agent runs disinto's code."""
    return agent.runtime == "disinto"


def crashes(run: Run) -> bool:
    """Tell whether a container that runs just now has crashed again and again."""
    return run.restarts >= RESTARTS and run.seconds < STEADY


def report(agent: Agent, run: Run) -> str:
    """Return what is known of a running agent."""
    restarted = f", after {run.restarts} restarts" if run.restarts else ""
    last = f'its last line is "{run.last}"' if run.last else "it has logged nothing"
    return (
        f'agent "{agent.name}" runs disinto\'s code, which reports no state: its container has '
        f"been up since {run.since:%Y-%m-%d %H:%M:%S} UTC{restarted}; {last}"
    )


def other_logs(roster: Roster, agent: Agent) -> str:
    """Return where an agent's other logs are."""
    return (
        f"{agent.name} runs disinto's code. This is its entrypoint's log; its roles log to files: "
        f"docker exec {container_name(roster.name, agent.name)} ls -R {DATA_PATH}/logs"
    )


def no_transcript(roster: Roster, agent: Agent) -> str:
    """Return why an agent's session cannot be shown, and what can be."""
    return (
        f"{agent.name} runs disinto's code, which keeps no transcript that Muster can show. Claude "
        f"Code's own are files: docker exec {container_name(roster.name, agent.name)} "
        f"find {DATA_PATH} -name '*.jsonl'"
    )


def no_requests(roster: Roster, agent: Agent, issue: int) -> str:
    """Return why an agent cannot be asked for an issue, and how it takes one."""
    dev = "dev" in agent.roles
    how = (
        f"It takes issues by their labels: add backlog and priority to {roster.repo}#{issue}"
        if dev
        else f"An agent with the role dev takes issues; its roles are {', '.join(agent.roles)}"
    )
    return f"{agent.name} runs disinto's code, which takes no requests. {how}"
