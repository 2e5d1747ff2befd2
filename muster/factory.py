"""A disinto factory: what its project file, `.env` and compose file say of the agents in it.

The rules are those of disinto's `lib/generators.sh`, which makes a compose service of each
`[agents.X]` that has an endpoint and a model. What compose made of its file, such as names of
networks and volumes, Docker tells of the containers: a generated file is not always one that
compose still takes.
"""

import os
import re
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomlkit
import yaml

from muster import dotenv, hosts, keys, old_service, roster, roster_edit, rules, runtimes, toml_file
from muster.errors import MusterError
from muster.names import service_name, user_upper
from muster.old_service import NO_SERVICE, Environment, Service
from muster.problems import Problem, RosterError
from muster.runtimes import Runtime
from muster.toml_file import MARK, Place, Statement, line_end

COMPOSE_FILE = "docker-compose.yml"
PROJECTS = "projects"
FORGE_URL = "http://localhost:3000"
"""The forge of a factory that names none (lib/load-project.sh)."""

ADMINISTRATOR = "disinto-admin"
"""The forge's administrator in every factory (lib/forge-setup.sh)."""

OWN_SERVICES = ("agents", "forgejo")
"""Services of the factory's own that are on the same network as those of its agents."""


class FactoryError(MusterError):
    """A factory cannot be read or changed; the text says where, and what to do."""


@dataclass(frozen=True)
class FactoryAgent:
    """One `[agents.X]` of a project file.

    Attributes:
        section: its name there.
        name: the agent's name: the section's as the generator makes names of it.
        fields: its section of the roster.
        moved_endpoint: the endpoint as the project file has it, where containers cannot reach it.
        service: its compose service.
        volumes: the volumes of that service, as Docker names them.
        environment: what becomes of that service's variables.
        password: the bot user's password, if the `.env` file or that service has it.
        key: the real key of its own endpoint, if the project file or that service has one.
    """

    section: str
    name: str
    fields: Mapping[str, Any]
    moved_endpoint: str | None
    service: str
    volumes: Sequence[str]
    environment: Environment
    password: str | None = field(repr=False)
    key: str | None = field(repr=False)

    @property
    def forge_user(self) -> str:
        """The bot user."""
        return str(self.fields["forge_user"])

    @property
    def kept_image(self) -> str | None:
        """The image of disinto's that it stays in; None for Muster's."""
        return self.fields.get("image")

    @property
    def endpoint(self) -> str | None:
        """The endpoint; None for the Anthropic API."""
        return self.fields.get("base_url") or None


@dataclass(frozen=True)
class Factory:
    """One project of a factory.

    Attributes:
        file: the project file.
        project: the project's name.
        repo: its repository at the forge.
        forge_url: the forge, as seen from this machine.
        primary_branch: the repository's main branch; None for the default.
        network: the Docker network that the services are on.
        forge_internal_url: the forge, as the services reach it there.
        agents: the project's agents.
        administrator: the forge administrator's credentials, by variable.
        secrets_from: what the administrator's credentials were found in, in words.
        anthropic_api_key: the key of agents that use the Anthropic API.
        rest: what else of the project file agents of disinto's read, tables last.
    """

    file: Path
    project: str
    repo: str
    forge_url: str
    primary_branch: str | None
    network: str | None
    forge_internal_url: str | None
    agents: Sequence[FactoryAgent]
    administrator: Mapping[str, str] = field(repr=False)
    secrets_from: str
    anthropic_api_key: str | None = field(repr=False)
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The factory's folder."""
        return self.file.parent.parent

    @property
    def env_file(self) -> Path:
        """The file with the factory's secrets, which SOPS encrypts where it is installed."""
        plain = self.folder / ".env"
        encrypted = plain.with_name(".env.enc")
        return encrypted if encrypted.exists() and not plain.exists() else plain

    @property
    def compose_file(self) -> Path:
        """The file that the factory's services run from."""
        return self.folder / COMPOSE_FILE


def folder_of(file: Path) -> Path:
    """Return the folder of the factory that a project file is of.

    Raises:
        FactoryError: the file is no factory's.
    """
    where = f"{file}: FILE is a project file of a factory, such as disinto/{PROJECTS}/acme.toml"
    path = file.resolve()
    if path.parent.name != PROJECTS:
        raise FactoryError(f"{where}; this one lies in no folder {PROJECTS}")
    if not path.is_file():
        raise FactoryError(f"{where}; this one is missing")
    return path.parent.parent


def read(file: Path, services: Mapping[str, Service], runtime: Runtime = "disinto") -> Factory:
    """Read a project of a factory.

    Args:
        file: the project file, `<factory>/projects/<name>.toml`.
        services: the factory's services, by name.
        runtime: "disinto" for agents that keep their image, "muster" for such as move to Muster's.

    Raises:
        FactoryError: the file is no factory's, or cannot be replaced later.
        RosterError: what the file says makes no roster; each problem has its line there.
    """
    folder, path = folder_of(file), file.resolve()
    for each in (path, folder / COMPOSE_FILE):
        if not os.access(each.parent, os.W_OK):
            raise FactoryError(f"{each} cannot be replaced by this user: run it as its owner")
    try:
        data = toml_file.read(path).data
    except toml_file.TomlFileError as error:
        where = f"{path}:{error.line}" if error.line else f"{path}"
        raise FactoryError(f"{where}: {error}") from None
    environment = dotenv.read(folder / ".env")
    agents = tuple(
        _agent(section, fields, services, environment, runtime)
        for section, fields in (data.get("agents") or {}).items()
        if section != roster.SCHEDULE and isinstance(fields, dict)
    )
    known = [*(agent.service for agent in agents), *OWN_SERVICES]
    shared = next((services[name] for name in known if name in services), NO_SERVICE)
    place, administrator = _administrator(folder, environment, services)
    found = Factory(
        file=path,
        project=str(data.get("name", "")),
        repo=str(data.get("repo", "")),
        forge_url=data.get("forge_url") or environment.get("FORGE_URL") or FORGE_URL,
        primary_branch=data.get("primary_branch"),
        network=next(filter(_can_be_joined, shared.networks), None),
        forge_internal_url=_internal(shared),
        agents=agents,
        administrator=administrator,
        secrets_from=place,
        anthropic_api_key=_anthropic_key(environment, agents, services),
        rest=_rest(data) if any(agent.kept_image for agent in agents) else {},
    )
    _check(found)
    return found


def _rest(data: Mapping[str, Any]) -> dict[str, Any]:
    found = roster.of_factory(data)
    if data.get("ops_repo"):
        found["ops_repo"] = data["ops_repo"]
    return dict(sorted(found.items(), key=lambda item: isinstance(item[1], (dict, list))))


def new_roster(factory: Factory) -> str:
    """Return a roster for the factory's project, without agents."""
    document = tomlkit.document()
    document.update({"name": factory.project, "repo": factory.repo, "forge_url": factory.forge_url})
    if factory.primary_branch is not None:
        document["primary_branch"] = factory.primary_branch
    document.update(factory.rest)
    settings = {"network": factory.network, "forge_internal_url": factory.forge_internal_url}
    table = tomlkit.table()
    table.update({key: value for key, value in settings.items() if value is not None})
    if table:
        document["muster"] = table
    return f"{roster.SCHEMA}\n{tomlkit.dumps(document)}"


def with_agents(text: str, agents: Sequence[FactoryAgent]) -> str:
    """Return a roster with the factory's agents in it, each marked `adopt`.

    A section that is there stays as it is, but for the mark.

    Raises:
        RosterEditError: the roster is written in a way that cannot be edited.
    """
    for agent in agents:
        if roster_edit.fields(text, agent.name) is None:
            text = roster_edit.with_agent(text, agent.name, {**agent.fields, "adopt": True})
        else:
            text = roster_edit.with_fields(text, agent.name, {"adopt": True})
    return text


def without_agents(text: str, sections: Collection[str], note: str) -> str:
    """Return a project file's text with agents' sections commented out.

    The generator reads TOML, so what is a comment makes no service; `# [agents.X]` is how disinto
    itself finds a section that is out of use (lib/hire-agent.sh). Nothing else changes.

    Args:
        text: the project file's text.
        sections: the agents' sections.
        note: a line that says where they went; it stands above each of them.

    Raises:
        FactoryError: an agent is written in a way that cannot be commented out.
    """
    bare = text.removeprefix(MARK)
    written = "".join(_commented(bare, set(sections), f"# {note}{line_end(text)}"))
    expected = tomllib.loads(bare)
    agents = expected.get("agents", {})
    expected["agents"] = {name: each for name, each in agents.items() if name not in sections}
    try:
        said = tomllib.loads(written)
    except tomllib.TOMLDecodeError:
        said = {}
    if {"agents": {}, **said} != expected:
        raise FactoryError(
            f"agents {', '.join(sections)} cannot be commented out in the project file as it is "
            "written: write each as a section [agents.NAME] with a field a line"
        )
    return text[: len(text) - len(bare)] + written


def without_services(text: str, services: Collection[str], note: str) -> str:
    """Return a compose file's text with services commented out; nothing else changes.

    Args:
        text: the compose file's text.
        services: the services; one that is not in the file is fine.
        note: a line that says where they went; it stands above each of them.

    Raises:
        FactoryError: a service is written in a way that cannot be commented out.
    """
    expected = _yaml(text)
    if not isinstance(expected, dict) or not isinstance(expected.get("services"), dict):
        raise FactoryError(
            "the compose file cannot be read, or has no services: remove those of "
            f"{', '.join(services)} there by hand, or move the file away"
        )
    rows = toml_file.lines(text)
    for first, end in _blocks(text, services):
        indent = rows[first][: len(rows[first]) - len(rows[first].lstrip())]
        for number in range(first, end):
            if rows[number].strip() and not rows[number].lstrip().startswith("#"):
                rows[number] = f"# {rows[number]}"
        rows[first] = f"{indent}# {note}{line_end(text)}{rows[first]}"
    written = "".join(rows)
    for name in set(services) & set(expected["services"]):
        del expected["services"][name]
    said = _yaml(written)
    if isinstance(said, dict) and said.get("services") is None:  # nothing is left of them
        said["services"] = {}
    if said != expected:
        raise FactoryError(
            f"services {', '.join(services)} cannot be commented out in the compose file as it is "
            "written: remove them there by hand"
        )
    return written


def _agent(
    section: str,
    fields: Mapping[str, Any],
    services: Mapping[str, Service],
    environment: Mapping[str, str],
    runtime: Runtime,
) -> FactoryAgent:
    name = re.sub(r"[^a-z0-9]", "-", section.lower())
    service = services.get(service_name(name), NO_SERVICE)
    own = {key: value for key, value in fields.items() if key not in roster.FACTORY_KEYS}
    for key, variable in (("base_url", "ANTHROPIC_BASE_URL"), ("model", "CLAUDE_MODEL")):
        if not own.get(key) and service.environment.get(variable):
            own[key] = service.environment[variable]
    window = service.environment.get("CLAUDE_CODE_MAX_CONTEXT_TOKENS", "")
    if window.isdecimal():
        own.setdefault("context_window", int(window))
    if runtime == "disinto":
        # A service that does not run now is made from the image of the factory's own agents.
        own = {**_kept(service.image or _own_agents(services).image), **own}
    if isinstance(own.get("roles"), str):
        own["roles"] = own["roles"].split()
    own.setdefault("forge_user", f"{section}-bot")
    written = own.get("base_url")
    moved = isinstance(written, str) and hosts.is_loopback(written)
    if moved:
        own["base_url"] = rules.from_inside(str(written))
    real_key = _real_key(own, service)
    moves = runtimes.of(own, {}) == "muster"
    variables = old_service.environment(service, "muster" if moves else "disinto")
    if variables.kept and isinstance(own.get("env", {}), dict):
        own["env"] = {**variables.kept, **own.get("env", {})}
    password = environment.get(f"FORGE_PASS_{user_upper(str(own['forge_user']))}")
    return FactoryAgent(
        section=section,
        name=name,
        fields=own,
        moved_endpoint=written if moved else None,
        service=service_name(name),
        volumes=tuple(service.volumes),
        environment=variables,
        password=password or service.environment.get("FORGE_PASS") or None,
        key=real_key,
    )


def _real_key(own: dict[str, Any], service: Service) -> str | None:
    """Return the key that an agent uses, unless it is a placeholder; the fields keep no real one.

    disinto has the key in the project file in plain text, or in the service's environment.
    """
    written = own.get("api_key", roster.Agent.model_fields["api_key"].default)
    if not own.get("base_url"):
        return service.key
    if isinstance(written, str) and rules.has_key(written):
        del own["api_key"]
        return service.key or written
    return None if service.key == written else service.key


def _kept(image: str) -> dict[str, Any]:
    """Return the fields by which an agent stays in a service's image."""
    if not image or image.partition(":")[0] == runtimes.MUSTERS_IMAGE:
        return {}
    # Compose calls images that it builds by folder and service, which implies nothing.
    return {"image": image, "runtime": "disinto"}


def _can_be_joined(network: str) -> bool:
    try:
        rules.network(network)
    except ValueError:  # the host's, say
        return False
    return True


def _internal(service: Service) -> str | None:
    url = service.environment.get("FORGE_URL")
    return None if not url or hosts.is_loopback(url) else url


def _administrator(
    folder: Path, environment: Mapping[str, str], services: Mapping[str, Service]
) -> tuple[str, dict[str, str]]:
    """Return the credentials of the forge's administrator, and where they are.

    A factory with SOPS has no `.env`, and its services get them as variables (lib/generators.sh).
    """
    places = {f"{folder}/.env": environment}
    places |= {f"the service {name}": each.environment for name, each in sorted(services.items())}
    found = ((place, _administrators(each)) for place, each in places.items())
    return next(((place, each) for place, each in found if each), ("", {}))


def _administrators(environment: Mapping[str, str]) -> dict[str, str]:
    found = {"FORGE_ADMIN_PAT": environment.get("FORGE_ADMIN_PAT", "")}
    if environment.get("FORGE_ADMIN_PASS"):
        found["FORGE_ADMIN_USER"] = environment.get("FORGE_ADMIN_USER") or ADMINISTRATOR
        found["FORGE_ADMIN_PASS"] = environment["FORGE_ADMIN_PASS"]
    return {name: value for name, value in found.items() if value}


def _anthropic_key(
    environment: Mapping[str, str],
    agents: Sequence[FactoryAgent],
    services: Mapping[str, Service],
) -> str | None:
    """Return the key of agents at the Anthropic API: the `.env` file's, or that of a service."""
    of_services = [agent.key for agent in agents if agent.endpoint is None]
    return next(
        filter(None, [keys.of_environment(environment), *of_services, _own_agents(services).key]),
        None,
    )


def _own_agents(services: Mapping[str, Service]) -> Service:
    """Return the service of the factory's own agents."""
    return services.get(OWN_SERVICES[0], NO_SERVICE)


def _check(factory: Factory) -> None:
    """Refuse what makes no roster, with the lines of the project file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "roster.toml"
        roster_edit.write(path, with_agents(new_roster(factory), factory.agents))
        try:
            roster.load(path)
        except RosterError as error:
            told = [_in_project_file(factory, problem) for problem in error.problems]
            raise RosterError(told) from None


def _in_project_file(factory: Factory, problem: Problem) -> Problem:
    sections = {agent.name: agent.section for agent in factory.agents}
    keys = tuple((problem.field or "").split("."))
    place = keys if problem.agent is None else ("agents", sections[problem.agent], *keys)
    line = toml_file.read(factory.file).line_of(place)
    return replace(problem, file=factory.file, line=line)


def _commented(text: str, sections: Collection[str], note: str) -> Iterator[str]:
    above: set[str] = set()
    for statement in toml_file.statements(text):
        agents = _agents_in(statement)
        if not agents or not agents <= set(sections):
            yield statement.text
            continue
        if agents != above:
            yield note
        yield from (f"# {line}" for line in toml_file.lines(statement.text))
        above = agents


def _agents_in(statement: Statement) -> set[str]:
    """Return the agents that a statement says something of."""
    places: tuple[Place, ...] = statement.places
    return {place[1] for place in places if place[0] == "agents" and len(place) > 1}


def _blocks(text: str, services: Collection[str]) -> Iterator[tuple[int, int]]:
    """Return where each service's lines begin and end, counted from 0."""
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    tables = {key.value: value for key, value in root.value}
    entries = tables["services"].value
    ends = [key.start_mark.line for key, _ in entries[1:]]
    ends.append(tables["services"].end_mark.line)
    for (key, _), end in zip(entries, ends, strict=True):
        if key.value in services:
            yield key.start_mark.line, end


def _yaml(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
