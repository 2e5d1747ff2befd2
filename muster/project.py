"""A project as the program sees it: the roster, and what the stack and the machine add to it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from muster import (
    administrator,
    docker_engine,
    docker_host,
    keys,
    local_forge,
    names,
    preflight,
    private_ca,
)
from muster.docker_engine import DockerEngine
from muster.docker_host import DockerHost
from muster.forge import Administrator
from muster.keys import Keys
from muster.preflight import PreflightError
from muster.roster import Agent, Roster, load, parse

HIGHEST_PORT = 65535

CANDIDATE = "MUSTER_CANDIDATE"
"""Names a file with a changed roster that `muster` previews before it writes the roster itself."""


@dataclass(frozen=True)
class Given:
    """Credentials of one agent that somebody made by hand, to be used at its next rotation.

    Attributes:
        token: an access token of the bot user.
        password: the password that the bot user gets.
    """

    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Settings:
    """What roster, stack configuration and environment say.

    Attributes:
        stack: the stack's name.
        roster: the project's roster.
        administrator: the forge administrator's credentials.
        keys: the real keys of endpoints.
        forge_port: the local forge's port on this machine's loopback.
        given: credentials made by hand, by agent.
    """

    stack: str
    roster: Roster
    administrator: Administrator
    keys: Keys
    forge_port: int
    given: Mapping[str, Given] = field(default_factory=dict)

    @property
    def forge_url(self) -> str:
        """The forge, as seen from where Pulumi runs."""
        return forge_url(self.roster, self.forge_port)

    @property
    def forge_ca(self) -> str | None:
        """The file with the certificates of the forge's private CA, None if there is none."""
        file = private_ca.file_of(self.roster, self.roster.muster)
        return None if file is None else str(file)

    @property
    def internal_forge_url(self) -> str:
        """The forge, as seen from inside the containers."""
        return internal_forge_url(self.roster)

    @property
    def network(self) -> str:
        """The Docker network's name."""
        return network(self.roster)


@dataclass(frozen=True, kw_only=True)
class Project(Settings):
    """What a crew is made from: the settings, and what Docker and the forge reported.

    Attributes:
        images: the id of each image in use; its name, if it is still to be pulled.
        docker_host: how the Docker engine is reached.
        docker_engine: what that engine is.
        operations: the repository of operations, if the forge has it and an agent clones it.
        warnings: what a person should know before an update.
    """

    images: Mapping[str, str]
    docker_host: DockerHost
    docker_engine: DockerEngine
    operations: str | None = None
    warnings: tuple[str, ...] = ()

    def repositories_of(self, agent: Agent) -> list[str]:
        """Return the repositories that an agent may use, the project's first."""
        found = self.roster.repositories_of(agent)
        if agent.runtime == "disinto" and self.operations and self.operations not in found:
            found.append(self.operations)
        return found


def read(
    stack: str,
    environment: Mapping[str, str],
    configuration: Callable[[str], str | None],
    folder: Path = Path(),
) -> Settings:
    """Read the stack's roster and settings; nothing is sent anywhere.

    This process trusts the crew's private CA at the forge from then on.

    Args:
        stack: the stack's name, which selects `stacks/<stack>.toml`.
        environment: the environment's variables; they win over the configuration. `CANDIDATE`
            names a file whose text is read in place of the roster's.
        configuration: the stack configuration's values by key, None where there is none.
        folder: the folder of `Pulumi.yaml`; paths in errors begin with it.

    Raises:
        RosterError: the roster is missing or wrong.
        AdministratorMissingError: no credentials of the forge's administrator.
        KeysError: the configuration does not hold keys in their form.
        PreflightError: the configuration's port, or a credential made by hand, is wrong.
    """
    path = folder / (configuration("roster") or f"stacks/{stack}.toml")
    candidate = environment.get(CANDIDATE)
    roster = parse(Path(candidate).read_bytes().decode(), path) if candidate else load(path)
    forge_port = port(configuration("forgePort"))
    private_ca.trust_for_forge(
        forge_url(roster, forge_port), private_ca.file_of(roster, roster.muster)
    )
    return Settings(
        stack,
        roster,
        administrator.find(environment, configuration),
        keys.find(environment, configuration),
        forge_port,
        _given(configuration("given")),
    )


def inspect(settings: Settings, pulling: Callable[[str], None] | None = None) -> Project:
    """Check everything that an update needs.

    Args:
        settings: what roster, stack configuration and environment say.
        pulling: called with each image that is about to be pulled; None changes nothing.

    Raises:
        PreflightError: something is missing or wrong.
    """
    roster = settings.roster
    found = preflight.inspect(
        roster,
        settings.stack,
        forge_url=settings.forge_url,
        administrator=settings.administrator,
        keys=settings.keys,
        given=[agent for agent, each in settings.given.items() if each.token],
        pulling=pulling,
    )
    host = docker_host.resolve(roster.muster.docker_host)
    warnings = map(str, docker_engine.warnings(host, found.engine, roster))
    known = {each.name: getattr(settings, each.name) for each in fields(Settings)}
    return Project(
        **known,
        images=found.images,
        docker_host=host,
        docker_engine=found.engine,
        operations=found.operations,
        warnings=(*warnings, *found.warnings),
    )


def forge_url(roster: Roster, port: int) -> str:
    """Return the forge's URL as seen from this machine; a local forge listens on this port."""
    if roster.muster.local_forge:
        return local_forge.url(port)
    return str(roster.forge_url)


def internal_forge_url(roster: Roster) -> str:
    """Return the forge's URL as seen from inside the containers."""
    if roster.muster.local_forge:
        return local_forge.internal_url(roster.name)
    return str(roster.forge_url_inside)


def network(roster: Roster) -> str:
    """Return the name of the crew's Docker network."""
    return roster.muster.network or names.network_name(roster.name)


def port(configured: str | None) -> int:
    """Return the local forge's port on this machine's loopback.

    Raises:
        PreflightError: what the stack's configuration says is no port.
    """
    if configured is None:
        return local_forge.PORT
    if configured.isdecimal() and 0 < int(configured) <= HIGHEST_PORT:
        return int(configured)
    raise PreflightError([f"configuration forgePort: {configured} is no port; write 3000, say"])


def _given(configured: str | None) -> dict[str, Given]:
    try:
        return {agent: Given(**each) for agent, each in json.loads(configured or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        problem = (
            "configuration given: not a token or password by agent; write it with "
            "pulumi config set --secret --path 'muster:given[\"NAME\"].token'"
        )
        raise PreflightError([problem]) from None
