"""Whom the doctor looks at, and what the checks have found out so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from muster import local_forge, private_ca, project, rules, toml_file
from muster.doctor.findings import Found, NotAskedError
from muster.doctor.hired import State
from muster.doctor.mends import Muster
from muster.forge import Administrator, Forge
from muster.roster import Roster
from muster.toml_file import TomlFileError


@dataclass
class Subject:
    """A stack with its roster, on a machine, with a forge.

    Attributes:
        environment: the environment's variables.
        muster: names commands.
        stack: the stack's name.
        roster_path: its roster.
        configuration: its configuration's values by key, secrets in plain text.
        state: its state, as it was when the doctor began.
        state_now: reads the state.
        client: the Docker engine.
        forge_url: the forge, which answers.
        forge: the forge, spoken to by an administrator who has all rights.
        administrator: its credentials.
        roster: the roster, which breaks no rule.
        clock_ahead: seconds by which the containers' clock is ahead of this machine's.
        checked: whether what an agent needs works, by the agent and by the word with which it
            reports that it waits for it: `endpoint` or `token`.
    """

    environment: Mapping[str, str]
    muster: Muster
    stack: Found[str] = field(default_factory=lambda: Found("no stack is known"))
    roster_path: Found[Path] = field(default_factory=lambda: Found("no stack is known"))
    configuration: Found[Mapping[str, str]] = field(
        default_factory=lambda: Found("the stack's configuration cannot be read")
    )
    state: Found[State] = field(default_factory=lambda: Found("the stack's state cannot be read"))
    state_now: Found[Callable[[], State]] = field(
        default_factory=lambda: Found("the stack's state cannot be read")
    )
    client: Found[docker.DockerClient] = field(
        default_factory=lambda: Found("Docker is unreachable")
    )
    forge_url: Found[str] = field(default_factory=lambda: Found("the forge cannot be asked"))
    forge: Found[Forge] = field(default_factory=lambda: Found("the forge lets no administrator in"))
    administrator: Found[Administrator] = field(
        default_factory=lambda: Found("the forge lets no administrator in")
    )
    roster: Found[Roster] = field(default_factory=lambda: Found("the roster is wrong"))
    clock_ahead: Found[float] = field(default_factory=lambda: Found("no container could be asked"))
    checked: dict[tuple[str, str], bool] = field(default_factory=dict)

    def as_administrator(self) -> Forge:
        """Return the forge, spoken to by an administrator who has all rights.

        Raises:
            NotAskedError: the forge does not answer, or lets no administrator in.
        """
        self.forge_url.get()
        return self.forge.get()

    def configured(self, key: str) -> str | None:
        """Return a value of the stack's configuration.

        Raises:
            NotAskedError: the configuration cannot be read.
        """
        return self.configuration.get().get(key)

    def line_of(self, *place: str) -> int | None:
        """Return the line of the roster on which a value stands, or would."""
        try:
            return toml_file.read(self.roster_path.get()).line_of(place)
        except TomlFileError:
            return None

    @property
    def has_local_forge(self) -> bool:
        """Whether the roster asks for a forge of its own, whatever else is wrong in it."""
        return self._section("muster").get("local_forge") is True

    @property
    def docker_host(self) -> str | None:
        """The engine that the roster names, whatever else is wrong in it.

        Raises:
            NotAskedError: it names one by something that is no address.
        """
        named = self._section("muster").get("docker_host")
        try:
            return None if named is None else rules.docker_host(str(named))
        except ValueError:
            raise NotAskedError("docker_host is wrong in the roster") from None

    @property
    def written_forge_url(self) -> str | None:
        """The forge that the roster names, whatever else is wrong in it."""
        if self.has_local_forge:
            return local_forge.url(project.port(self.configured("forgePort")))
        return self._written("forge_url", rules.forge_url)

    @property
    def written_ca_file(self) -> Path | None:
        """The CA's file that the roster names for the crew, whatever else is wrong in it."""
        named = self._section("muster").get("ca_file")
        return private_ca.located(self.roster_path.get(), named) if isinstance(named, str) else None

    @property
    def written_name(self) -> str:
        """The project's name as the roster has it, whatever else is wrong in it."""
        return str(self._data().get("name", ""))

    @property
    def written_repo(self) -> str | None:
        """The repository that the roster names, whatever else is wrong in it."""
        named = self._written("repo", rules.repository)
        return named if named is not None and "/" in named else None

    def _written(self, key: str, rule: Callable[[str], str]) -> str | None:
        """Return a text of the roster in the rule's form, or as it is if it breaks the rule."""
        named = self._data().get(key)
        if not isinstance(named, str):
            return None
        try:
            return rule(named)
        except ValueError:
            return named

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self._data().get(name)
        return section if isinstance(section, dict) else {}

    def _data(self) -> Mapping[str, Any]:
        try:
            return toml_file.read(self.roster_path.get()).data
        except (NotAskedError, TomlFileError):
            return {}
