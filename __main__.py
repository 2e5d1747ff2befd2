"""The program: load the roster of the selected stack, declare its crew, say what was made."""

import os
import sys

import pulumi
from pulumi.runtime import get_config

from components.crew import Crew
from muster import project
from muster.errors import MusterError

TOLD = 32
"""The exit code by which the language host knows that the user was told what is wrong."""

try:
    found = project.find(
        pulumi.get_stack(), os.environ, lambda key: get_config(f"{pulumi.get_project()}:{key}")
    )
    crew = Crew(found)
except MusterError as error:
    pulumi.log.error(str(error))
    sys.exit(TOLD)

pulumi.export("project", found.roster.name)
pulumi.export("forge", found.forge_url)
pulumi.export("agents", {name: agent.summary() for name, agent in crew.agents.items()})
