"""What `pulumi up` and `pulumi preview` run: load the roster, check, declare the crew."""

import asyncio
import gc
import os
import sys

import pulumi
from pulumi.runtime import get_config

from components.crew import Crew
from muster import project
from muster.errors import MusterError

REPORTED = 32
"""The exit code by which the language host knows that the error was reported."""


def tune_sdk() -> None:
    """Leave out what costs the SDK (3.256) half of its time with 50 agents."""
    # It waits for the engine to take each debug message, four per resource: two fifths.
    pulumi.log.debug = lambda *_, **__: None
    # The garbage collector visits all objects again and again, and all live as long as the program.
    gc.set_threshold(50_000)


def _pulling(image: str) -> None:
    pulumi.log.info(f"Pulling image {image}")


async def main() -> dict[str, object]:
    """Declare the crew of the selected stack's roster; return the stack's outputs."""
    try:
        found = project.inspect(
            project.read(
                pulumi.get_stack(),
                os.environ,
                lambda key: get_config(f"{pulumi.get_project()}:{key}"),
            ),
            None if pulumi.runtime.is_dry_run() else _pulling,
        )
        for warning in found.warnings:
            pulumi.log.warn(warning)
        crew = Crew(found)
    except MusterError as error:
        pulumi.log.error(str(error))
        sys.exit(REPORTED)
    # Registrations begin when the event loop turns, and the SDK (3.256) waits for one after the
    # other only if they have begun when the program ends. If not, it waits for all outputs at once,
    # again and again: its time would grow with the square of the crew.
    await asyncio.sleep(0)
    return {
        "project": found.roster.name,
        "forge": found.forge_url,
        "agents": {name: agent.summary() for name, agent in crew.agents.items()},
    }
