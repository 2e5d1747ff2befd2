"""The program: load the roster of the selected stack, declare its crew, say what was made."""

import os
import sys

import pulumi
from pulumi.runtime import get_config

from components.crew import Crew
from muster import project
from muster.administrator import AdministratorMissingError
from muster.forge import ForgeError
from muster.preflight import PreflightError
from muster.roster import RosterError

TOLD = 32
"""The exit code by which the language host knows that the user was told what is wrong."""

try:
    found = project.find(
        pulumi.get_stack(), os.environ, lambda key: get_config(f"{pulumi.get_project()}:{key}")
    )
except (RosterError, AdministratorMissingError, ForgeError, PreflightError) as error:
    pulumi.log.error(str(error))
    sys.exit(TOLD)

crew = Crew(found)

pulumi.export("project", found.roster.name)
pulumi.export("forge", found.forge_url)
pulumi.export("agents", {name: agent.summary() for name, agent in crew.agents.items()})
