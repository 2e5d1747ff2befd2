"""The program: load the roster of the selected stack, declare its crew, say what was made."""

import asyncio
import gc
import os
import sys

import pulumi
from pulumi.runtime import get_config

from components.crew import Crew
from muster import project
from muster.errors import MusterError

TOLD = 32
"""The exit code by which the language host knows that the user was told what is wrong."""

# The SDK waits for the engine to take each debug message, four of them a resource: with 50 agents
# two fifths of the program's time.
pulumi.log.debug = lambda *_, **__: None

# The SDK makes a great many objects that live as long as the program, and the collector looks at
# them all again and again: with 50 agents a tenth of a preview.
gc.set_threshold(50_000)


async def main() -> dict[str, object]:
    """Declare the crew; return what the stack says of it."""
    try:
        found = project.inspect(
            project.read(
                pulumi.get_stack(),
                os.environ,
                lambda key: get_config(f"{pulumi.get_project()}:{key}"),
            )
        )
        for warning in found.warnings:
            pulumi.log.warn(warning)
        crew = Crew(found)
    except MusterError as error:
        pulumi.log.error(str(error))
        sys.exit(TOLD)
    # Registrations begin when the event loop turns, and the SDK (3.256) waits for one after the
    # other only if they have begun when the program ends. If not, it waits for all outputs at once,
    # again and again: its time would grow with the square of the crew.
    await asyncio.sleep(0)
    return {
        "project": found.roster.name,
        "forge": found.forge_url,
        "agents": {name: agent.summary() for name, agent in crew.agents.items()},
    }


pulumi.run(main)
