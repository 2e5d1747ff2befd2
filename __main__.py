"""The program: load the roster of the selected stack, declare its crew, say what was made."""

import os

import pulumi
from pulumi.runtime import get_config

from components.crew import Crew
from muster import project
from muster.administrator import AdministratorMissingError
from muster.forge import ForgeError
from muster.preflight import PreflightError
from muster.roster import RosterError

try:
    found = project.find(
        pulumi.get_stack(), os.environ, lambda key: get_config(f"{pulumi.get_project()}:{key}")
    )
except (RosterError, AdministratorMissingError, ForgeError, PreflightError) as error:
    raise pulumi.RunError(str(error)) from None

crew = Crew(found)

pulumi.export("project", found.roster.name)
pulumi.export("forge", found.forge_url)
pulumi.export("agents", {name: agent.summary() for name, agent in crew.agents.items()})
