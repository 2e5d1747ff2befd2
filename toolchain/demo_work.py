"""What the demo crew works on: a repository with one issue, and a scripted endpoint."""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import docker
import docker.errors
from docker.models.containers import Container

from muster.agent_container import log_lines
from muster.cli.log_view import LogView
from muster.docker import engine, has_network
from muster.forge import Pull, WorkForge
from muster.names import container_name, labels, network_name
from muster.roster import Roster
from toolchain.images import ENDPOINT
from toolchain.steps import SetupError

ALIAS = "scripted-endpoint"
"""The endpoint's name on the demo's network, as the demo's roster says it."""

PATIENCE = 600.0
"""Seconds until the pull request and its review must be there, on a slow machine too."""

_PAUSE = 0.2
"""Seconds between two looks for the network."""

TITLE = "Greet people by their name"
BODY = """\
`greet()` in `greet.py` says "Hello!" to everybody.

It should take a name: `greet("Ada")` returns "Hello, Ada!". Without a name it returns "Hello!" as
before. Please add a test.
"""
FILES = {
    "greet.py": 'def greet():\n    return "Hello!"\n',
    ".muster/work.toml": 'check = ["python3 -B -m unittest -v"]\n',
}


def endpoint_name(project: str) -> str:
    """Return the name of the scripted endpoint's container."""
    return f"{project}-{ALIAS}"


@contextmanager
def endpoint(roster: Roster, stack: str) -> Iterator[None]:
    """Start the scripted endpoint beside the crew: once its network is there, before its agents.

    An agent that finds no endpoint waits, and says so in the first lines of its log.

    Raises:
        DockerError: Docker refuses.
    """
    if not any(agent.base_url and ALIAS in agent.base_url for agent in roster.agents.values()):
        yield  # a real model serves this crew
        return
    hired = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(_start_endpoint, roster, stack, hired)
        try:
            yield
        finally:
            hired.set()
        started.result()


def _start_endpoint(roster: Roster, stack: str, hired: threading.Event) -> None:
    """Start the endpoint unless it runs already, when the network is there or the crew hired."""
    name, network = endpoint_name(roster.name), roster.muster.network or network_name(roster.name)
    with engine(roster.muster.docker_host) as client:
        while not has_network(client, network) and not hired.wait(_PAUSE):
            pass
        joined = client.networks.get(network)
        with suppress(docker.errors.NotFound):
            found = client.containers.get(name)
            if found.status == "running":
                return
            found.remove(force=True)
        made = client.containers.create(ENDPOINT, name=name, labels=labels(stack, roster.name))
        joined.connect(made, aliases=[ALIAS])
        made.start()


def remove_endpoint(roster: Roster) -> None:
    """Remove the scripted endpoint's container, if there is one."""
    with engine(roster.muster.docker_host) as client, suppress(docker.errors.NotFound):
        client.containers.get(endpoint_name(roster.name)).remove(force=True)


def file_issue(forge: WorkForge, branch: str) -> int:
    """Give the repository its file and its issue, unless it has them; return the issue.

    Raises:
        ForgeError: The forge refuses.
    """
    for path, content in FILES.items():
        if forge.file(path, branch) is None:
            forge.create_file(path, content, branch, f"Add {path}")
    known = {issue.title: issue.number for issue in forge.all_issues()}
    if TITLE in known:
        return known[TITLE]
    forge.ensure_label("backlog", "0e8a16", "Agents may work on this")
    return forge.create_issue(TITLE, BODY, ["backlog"]).number


def reviewed_pull(forge: WorkForge, issue: int, reviewer: str) -> tuple[Pull | None, bool]:
    """Return the pull request for an issue, and whether the reviewer has reviewed it."""
    for pull in forge.all_pulls():
        if f"Closes #{issue}" in pull.body:
            reviews = forge.reviews(pull.number)
            return pull, any(each.author.lower() == reviewer.lower() for each in reviews)
    return None, False


def watch(roster: Roster, forge: WorkForge, issue: int, since: float) -> Pull:
    """Print what the crew does until its pull request is reviewed; return it.

    Args:
        roster: The demo's roster.
        forge: The demo's repository.
        issue: The issue.
        since: When the crew was hired, in seconds since the epoch.

    Raises:
        SetupError: There is no reviewed pull request within `PATIENCE`.
    """
    reviewer = next(
        (a.forge_user for a in roster.agents.values() if "review" in a.roles and a.enabled), None
    )
    pull, reviewed = reviewed_pull(forge, issue, reviewer or "")
    deadline = time.monotonic() + PATIENCE
    shown: queue.SimpleQueue[str] = queue.SimpleQueue()
    names = {name: container_name(roster.name, name) for name in roster.agents}
    with engine(roster.muster.docker_host) as client:
        if pull is None or not reviewed:
            _follow(client, names, datetime.fromtimestamp(since, UTC), shown)
        while pull is None or not (reviewed or reviewer is None):
            if time.monotonic() > deadline:
                raise SetupError(
                    f"The crew has not finished issue #{issue} within {PATIENCE:.0f} s: "
                    f"see muster status and muster logs {next(iter(names))} --stack demo"
                )
            with suppress(queue.Empty):
                print(shown.get(timeout=1), flush=True)
                continue
            pull, reviewed = reviewed_pull(forge, issue, reviewer or "")
    return pull


def _follow(
    client: docker.DockerClient,
    names: Mapping[str, str],
    since: datetime,
    shown: "queue.SimpleQueue[str]",
) -> None:
    """Put what the agents log from now on into a queue, as lines for people."""
    width = max(map(len, names))
    for agent, name in names.items():
        with suppress(docker.errors.NotFound):
            container = client.containers.get(name)
            args = (f"{agent:{width}}  ", container, since, shown)
            threading.Thread(target=_pass_on, args=args, daemon=True).start()


def _pass_on(
    prefix: str, container: Container, since: datetime, shown: "queue.SimpleQueue[str]"
) -> None:
    view = LogView()
    for line in log_lines(container, since=since, follow=True):
        for text in view.shown(line):
            shown.put(f"{prefix}{text.plain}")
