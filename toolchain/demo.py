"""The demo: a crew on a forge of its own, hired and removed with plain Pulumi.

It ends with a pull request. The stack's configuration, which `make up` writes, is ignored by git.
"""

import json
import os
import secrets
import socket
import subprocess
import time
from typing import Any

from muster.errors import MusterError
from muster.forge import Basic, Pull, WorkForge
from muster.roster import Roster, load
from toolchain import demo_work
from toolchain.paths import BIN, ROOT
from toolchain.steps import SetupError

STACK = "demo"
ADMINISTRATOR, PASSWORD = "muster:forgeAdminUser", "muster:forgeAdminPass"
PORT = "muster:forgePort"
FIRST_PORT = 3000
THEIRS = "FORGE_ADMIN_"
"""What begins so names the user's own forge's administrator, and would win over the demo's."""
ACTIVATE = BIN / "activate"
CONFIGURATION = ROOT / "stacks" / f"Pulumi.{STACK}.yaml"
ROSTER = ROOT / "stacks" / f"{STACK}.toml"
KEEPER = "muster-admin"
"""The forge's administrator."""


def up() -> None:
    """Hire the demo crew, have it resolve an issue, and say where to look.

    Raises:
        SetupError: there is no environment, a Pulumi command failed, or the crew did not finish.
    """
    roster = load(ROSTER)
    try:
        with demo_work.endpoint(roster, STACK):
            outputs = hire()
    except MusterError as error:
        raise SetupError(str(error)) from None
    hired = time.time()
    password = _run("config", "get", PASSWORD, "--stack", STACK).strip()
    forge = WorkForge(outputs["forge"], Basic(KEEPER, password), roster.repo)
    try:
        issue = demo_work.file_issue(forge, roster.primary_branch)
        pull = demo_work.watch(roster, forge, issue, hired)
    except MusterError as error:
        raise SetupError(str(error)) from None
    _report(outputs, roster, pull, time.time() - hired)


def hire() -> dict[str, Any]:
    """Have Pulumi hire the demo crew; return the stack's outputs.

    Raises:
        SetupError: there is no environment, or a Pulumi command failed.
    """
    if not _exists():
        _pulumi("stack", "init", "--no-select")
    configured = _ask("config", "--json")
    if ADMINISTRATOR not in configured:
        _pulumi("config", "set", ADMINISTRATOR, KEEPER)
    if PASSWORD not in configured:
        _pulumi("config", "set", "--secret", PASSWORD, stdin=secrets.token_urlsafe(24))
    if PORT not in configured:
        _pulumi("config", "set", PORT, str(free_port()))
    _pulumi("up", "--yes", "--skip-preview")
    outputs: dict[str, Any] = _ask("stack", "output", "--json")
    return outputs


def down() -> None:
    """Remove the demo crew, its forge and its stack.

    Raises:
        SetupError: there is no environment, or a Pulumi command failed.
    """
    if not _exists():
        print("The demo is not up.")
        return
    try:
        demo_work.remove_endpoint(load(ROSTER))
    except MusterError as error:
        raise SetupError(str(error)) from None
    _pulumi("destroy", "--yes", "--skip-preview")
    _pulumi("stack", "rm", "--yes")
    CONFIGURATION.unlink(missing_ok=True)


def free_port() -> int:
    """Return the first free port on this machine's loopback, from 3000 on."""
    for port in range(FIRST_PORT, FIRST_PORT + 1000):
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SetupError(f"No port from {FIRST_PORT} on is free on this machine's loopback.")


def _report(outputs: dict[str, Any], roster: Roster, pull: Pull, seconds: float) -> None:
    rows = [("AGENT", "BOT USER", "ROLES", "CONTAINER")]
    rows += [
        (name, agent["bot_user"], ",".join(agent["roles"]), agent["container"] or "(disabled)")
        for name, agent in outputs["agents"].items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    url = f"{outputs['forge']}/{roster.repo}/pulls/{pull.number}"
    print(f"""
Pull request:  {url}
               opened by {pull.author}, reviewed; {seconds:.0f} s after the crew was hired
Forge:         {outputs["forge"]}, administrator {KEEPER}
Password:      . .venv/bin/activate && pulumi config get {PASSWORD} --stack {STACK}
Logs:          . .venv/bin/activate && muster logs {rows[1][0]} --stack {STACK}

The demo's endpoint is a script. For a real model, set base_url in stacks/{STACK}.toml.""")


def _exists() -> bool:
    return STACK in {stack["name"] for stack in json.loads(_run("stack", "ls", "--json"))}


def _ask(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(_run(*arguments, "--stack", STACK))


def _pulumi(*arguments: str, stdin: str = "") -> None:
    """Run a command on the demo's stack; which one the user has selected is not ours to change."""
    _run(*arguments, "--stack", STACK, stdin=stdin, stdout=None)


def _run(*arguments: str, stdin: str = "", stdout: int | None = subprocess.PIPE) -> str:
    """Run Pulumi in the environment as activating it makes it."""
    if not ACTIVATE.exists():
        raise SetupError("There is no environment to run Pulumi in: run make setup.")
    done = subprocess.run(
        ["sh", "-c", '. "$0" && exec pulumi "$@"', ACTIVATE, *arguments],
        cwd=ROOT,
        env=_environment(),
        input=stdin,
        stdout=stdout,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"pulumi {arguments[0]} failed, see above.")
    return done.stdout or ""


def _environment() -> dict[str, str]:
    """Return the environment without the credentials of the user's own forge."""
    return {name: value for name, value in os.environ.items() if not name.startswith(THEIRS)}
