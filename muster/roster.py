"""The roster: a project's crew, written down in one TOML file.

An unmodified disinto `projects/<name>.toml` is a valid roster: keys and tables of the factory's
are left alone, and an empty `base_url` or `model` counts as left out. Editors that know Taplo
complete and check a roster that begins with

    #:schema ../muster/roster.schema.json

`muster.schema` makes that schema.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)
from pydantic_core import ErrorDetails

from muster import hosts, problems, rules, runtimes, toml_file
from muster.accounts import EMAIL_DOMAIN
from muster.fields import (
    STRICT,
    EndpointUrl,
    ForgeUrl,
    ForgeUrlInside,
    Name,
    NotBlank,
    RepositoryName,
    RepositoryPath,
)
from muster.names import user_upper
from muster.printable import CONTROL, one_line
from muster.problems import Problem, RosterError
from muster.runtimes import Runtime
from muster.toml_file import Place
from muster.work_settings import Budgets, Endpoint, Work

__all__ = ["Agent", "Muster", "Problem", "Roster", "RosterError", "load", "parse", "problem"]

SCHEMA = "#:schema ../muster/roster.schema.json"
"""The line by which editors find the schema, in `stacks/`."""

SCHEDULE = "schedule"
"""`[agents.schedule]` is the factory's, and no agent."""

FACTORY_KEYS = {"harness"}
"""What newer disintos write for an agent beside the fields that Muster knows; left alone."""

_Finding = tuple[Place, str]

_KEY = "[key]"
"""What pydantic adds to the place of a dictionary's wrong key."""

# To disinto an empty endpoint or model is none (lib/generators.sh).
_empty_is_none = BeforeValidator(lambda value: None if value == "" else value)


class ContainerSettings(BaseModel):
    """What a container runs and may use. Agents take what they leave out from `[muster]`."""

    model_config = STRICT

    image: Annotated[str, AfterValidator(rules.image)] = Field(
        default=runtimes.MUSTERS_IMAGE,
        description="The image of the agents' containers.",
        examples=["muster-agent"],
    )
    runtime: Runtime = Field(
        default_factory=lambda data: runtimes.implied(data["image"]),
        description='What runs in the image: "muster" for Muster\'s runtime, "disinto" for '
        "disinto's agents. An image named disinto/agents implies the second.",
        examples=["muster"],
    )
    credentials: Literal["file", "env"] = Field(
        default_factory=lambda data: "file" if data["runtime"] == "muster" else "env",
        description="How credentials get into the container: as files under /run/secrets/muster, "
        "or as environment variables, which docker inspect shows. Runtime disinto takes variables "
        "only.",
        examples=["file"],
    )
    memory: Annotated[str, AfterValidator(rules.memory)] = Field(
        default="2g",
        description="The memory limit, in Docker's and compose's units.",
        examples=["2g"],
        json_schema_extra={"pattern": rules.MEMORY_PATTERN},
    )
    cpus: float = Field(
        default=2.0,
        ge=0.01,
        allow_inf_nan=False,
        description="The limit of processor time, in cores.",
        examples=[2.0],
    )
    pids: int = Field(default=512, ge=1, description="The limit of processes.", examples=[512])
    read_only: bool = Field(
        default_factory=lambda data: data["runtime"] == "muster",
        description="Mount the container's root file system read-only. Set false for images that "
        "write to it, as runtime disinto does.",
        examples=[False],
    )
    capabilities: Annotated[tuple[str, ...], AfterValidator(rules.capabilities)] = Field(
        default=(),
        strict=False,  # TOML has lists
        description="Linux capabilities that the container keeps; all others are dropped. Runtime "
        "disinto keeps those that its entrypoint needs.",
        examples=[["NET_BIND_SERVICE"]],
        json_schema_extra={"uniqueItems": True},
    )
    user: Annotated[str, AfterValidator(rules.container_user)] | None = Field(
        default=None,
        description="The user that the container starts as: a name or a number, and a group after "
        "a colon; default: the image's.",
        examples=["1000:1000"],
    )
    env: dict[str, str] = Field(
        default={},
        description="More environment variables, such as proxies and CLAUDE_* settings. An "
        "agent's table is added to that of [muster]. Secrets are refused.",
        examples=[{"HTTPS_PROXY": "http://proxy:3128"}],
        json_schema_extra={"propertyNames": {"pattern": rules.VARIABLE_PATTERN}},
    )
    ca_file: NotBlank | None = Field(
        default=None,
        description="A PEM file with the certificate of a private CA, on the machine that runs "
        "Muster and relative to the roster's folder. The agent trusts it in addition to the "
        "system's CAs: git, Python, Claude Code, and the project's commands. That of [muster] also "
        "holds for Muster's own calls to the forge.",
        examples=["ca.pem"],
    )

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return rules.memory_bytes(self.memory)


class Agent(ContainerSettings, Budgets):
    """One `[agents.<name>]` section.

    Its fields are disinto's, under disinto's names, and Muster's own.
    """

    name: Name
    base_url: Annotated[EndpointUrl | None, _empty_is_none] = Field(
        default=None,
        description="The endpoint's URL as seen from inside the container. Without it the agent "
        "uses the Anthropic API.",
        examples=["http://host.docker.internal:8081"],
    )
    model: Annotated[NotBlank | None, _empty_is_none] = Field(
        default=None,
        description="The model's name; required with base_url.",
        examples=["unsloth/Qwen3.5-35B-A3B"],
    )
    api_key: NotBlank = Field(
        default="sk-no-key-required",
        repr=False,
        description="A placeholder for servers that want one; a real key never goes here.",
        examples=["sk-no-key-required"],
    )
    roles: Annotated[tuple[Name, ...], AfterValidator(rules.roles)] = Field(
        default=("dev",),
        strict=False,  # TOML has lists
        min_length=1,
        description="What the agent does: dev, review, gardener, architect, planner, predictor, "
        "supervisor, or a role of your own.",
        examples=[["dev"]],
        json_schema_extra={"uniqueItems": True},
    )
    forge_user: Annotated[str, AfterValidator(rules.forge_user)] = Field(
        default_factory=lambda data: data["name"],
        description="The bot user's name; default: the agent's.",
        examples=["dev-qwen"],
        json_schema_extra={"maxLength": rules.NAME_LENGTH},
    )
    compact_pct: int = Field(
        default=60,
        ge=1,
        le=100,
        description="Compact the context when this much of it is used, in percent.",
        examples=[60],
    )
    poll_interval: int = Field(
        default=60, ge=1, description="Seconds between two polling cycles.", examples=[60]
    )
    formula: RepositoryPath | None = Field(
        default=None,
        description="The formula that the agent follows: a file in the repository's main branch, "
        "or the name of a formula that ships with Muster.",
        examples=["formulas/dev.toml"],
    )
    context_window: int | None = Field(
        default=None,
        ge=1024,
        description="The endpoint's context window in tokens; default: as the endpoint reports it. "
        "An agent needs 32768 or more to work.",
        examples=[65536],
    )
    permission: Literal["read", "write"] = Field(
        default="write",
        description="What the bot user may do in the repositories. An agent that only reads them "
        "can review and open issues; the roles dev and gardener need write.",
        examples=["read"],
    )
    repositories: Annotated[tuple[RepositoryName, ...], AfterValidator(rules.repositories)] = Field(
        default=(),
        strict=False,  # TOML has lists
        description="Further repositories of the same forge that the bot user may use, as "
        "owner/name.",
        examples=[["acme/handbook"]],
    )
    sandbox: Literal["on", "off"] = Field(
        default="on",
        description='"off": Claude Code runs without the jail, and can read the agent\'s '
        "credentials.",
        examples=["on"],
    )
    may_approve: bool = Field(
        default=False,
        description="Let the agent's reviews approve pull requests.",
        examples=[True],
    )
    rotation: int = Field(
        default=1, ge=1, description="Raise it to replace this agent's credentials.", examples=[1]
    )
    max_credential_age_days: int | None = Field(
        default=None,
        ge=1,
        description="Older credentials are replaced by the next update.",
        examples=[90],
    )
    enabled: bool = Field(
        default=True,
        description="false: the agent stays hired, but its container does not run.",
        examples=[True],
    )
    adopt: bool = Field(
        default=False,
        description="Take over a bot user that exists and that Muster did not make. Its other "
        "tokens and its SSH keys stay.",
        examples=[True],
    )


class Muster(ContainerSettings):
    """The `[muster]` section: what holds for the whole crew."""

    local_forge: bool = Field(
        default=False, description="Run a forge of its own for this project.", examples=[True]
    )
    keep_volumes: bool = Field(
        default=True,
        description="Keep a fired agent's volumes: they may hold work that is not pushed yet. "
        "Destroying the stack also removes a local forge's volume, with all its repositories, "
        "if this is false. A change counts after one `pulumi up` with it.",
        examples=[False],
    )
    forge_internal_url: ForgeUrlInside | None = Field(
        default=None,
        description="The forge's URL as seen from inside the containers; default: forge_url.",
        examples=["http://forgejo:3000"],
    )
    email_domain: Annotated[str, AfterValidator(rules.email_domain)] = Field(
        default=EMAIL_DOMAIN,
        description="The domain of the bot users' e-mail addresses, for a forge that refuses the "
        "default one. It counts for accounts that are made from then on.",
        examples=["bots.example.org"],
    )
    network: Annotated[str, AfterValidator(rules.network)] | None = Field(
        default=None,
        description="An existing Docker network to join; default: one made for the project.",
        examples=["disinto_disinto-net"],
    )
    network_options: dict[str, Annotated[str, BeforeValidator(rules.network_option)]] = Field(
        default={},
        description="Options of the network that is made for the project, as for docker network "
        "create --opt. A change replaces the network and the containers on it.",
        examples=[{"com.docker.network.driver.mtu": "1400"}],
    )
    docker_host: Annotated[str, AfterValidator(rules.docker_host)] | None = Field(
        default=None,
        description="The Docker Engine's address (unix://, tcp:// or ssh://), as for docker "
        "--host; default: the engine that docker ps uses (DOCKER_HOST, DOCKER_CONTEXT, the current "
        "context, else the local socket).",
        examples=["unix:///var/run/docker.sock", "ssh://me@10.0.0.5"],
    )
    env_file: NotBlank | None = Field(
        default=None,
        description="A .env file that keeps the crew's credentials too, relative to the folder of "
        "Pulumi.yaml.",
        examples=[".env"],
    )
    work: Work = Field(default=Work(), description="How the crew works.")
    endpoints: dict[EndpointUrl, Endpoint] = Field(
        default={}, description="Settings of endpoints, by URL as in base_url."
    )


class Roster(BaseModel):
    """A project and its crew."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    name: Annotated[str, AfterValidator(rules.project)] = Field(
        description="The project's name; containers, volumes and networks carry it in theirs.",
        examples=["my-project"],
        json_schema_extra={"pattern": rules.PROJECT_PATTERN, "maxLength": rules.NAME_LENGTH},
    )
    repo: Annotated[str, AfterValidator(rules.repository)] = Field(
        description="The repository at the forge, as owner/name.",
        examples=["acme/site"],
        json_schema_extra={"pattern": rules.REPOSITORY_PATTERN},
    )
    # None only where muster.local_forge is true: then the program knows it.
    forge_url: ForgeUrl | None = Field(
        default=None,
        description="The forge's URL; may be left out with local_forge = true.",
        examples=["https://forge.example.org"],
    )
    primary_branch: Annotated[str, AfterValidator(rules.branch)] = Field(
        default="main", description="The repository's main branch.", examples=["main"]
    )
    ops_repo: Annotated[Annotated[str, AfterValidator(rules.repository)] | None, _empty_is_none] = (
        Field(
            default=None,
            description="The repository of operations that disinto's agents clone; default: "
            "the name of repo with -ops.",
            examples=["acme/site-ops"],
            json_schema_extra={"pattern": f"^$|{rules.REPOSITORY_PATTERN}"},
        )
    )
    muster: Muster = Muster()
    agents: dict[str, Agent] = Field(default={}, description="The crew.")
    path: Path
    factory: dict[str, Any] = {}
    """The keys and tables that belong to a disinto factory, with `[agents.schedule]`."""
    _file: toml_file.TomlFile = PrivateAttr()

    def line_of(self, place: Place) -> int | None:
        """Return the line on which a key begins, or else the table that would hold it."""
        return self._file.line_of(place)

    @property
    def operations(self) -> str:
        """The repository of operations, which need not exist."""
        return self.ops_repo or f"{self.repo}-ops"

    @property
    def forge_url_inside(self) -> str | None:
        """The forge's URL as seen from inside the containers, None as for `forge_url`.

        disinto's project files name the forge as `http://localhost:3000`: containers find it at
        `host.docker.internal`.
        """
        inside = self.muster.forge_internal_url or self.forge_url
        return rules.from_inside(inside) if inside and hosts.is_loopback(inside) else inside

    def repositories_of(self, agent: Agent) -> list[str]:
        """Return the repositories that an agent uses, the project's first."""
        others = [each for each in agent.repositories if each.lower() != self.repo.lower()]
        return [self.repo, *others]


def load(path: Path) -> Roster:
    """Read a roster.

    Raises:
        RosterError: the file is missing or unreadable, is no TOML, or breaks a rule. All that is
            wrong in a file is told at once.
    """
    return _from_file(path, lambda: toml_file.read(path))


def parse(text: str, path: Path) -> Roster:
    """Read a roster's text, which need not be in its file yet.

    Raises:
        RosterError: as for `load`.
    """
    return _from_file(path, lambda: toml_file.parse(text))


def _from_file(path: Path, read: Callable[[], toml_file.TomlFile]) -> Roster:
    try:
        file = read()
    except toml_file.TomlFileError as error:
        raise RosterError([Problem(path, error.line, None, None, str(error))]) from None
    roster, findings = _validated(path, file.data)
    unprintable = dict(_control_characters(file.data))
    findings = [each for each in findings if each[0] not in unprintable]
    findings += [
        *unprintable.items(),
        *_missing_forge(file.data),
        *_wrong_sections(file.data),
        *_twins(file.data),
        *_wrong_endpoints(file.data),
        *_real_keys(file.data),
        *_options_of_no_network(file.data),
        *_wrong_runtimes(file.data),
        *_wrong_env(file.data),
        *_secrets_of_the_factory(file.data),
    ]
    if roster is None or findings:
        told = [_problem(path, file.line_of(place), place, message) for place, message in findings]
        raise RosterError(sorted(told, key=lambda problem: problem.line or 0))
    roster._file = file  # noqa: SLF001 - the roster's own module
    return roster


def problem(roster: Roster, place: Place, message: str) -> Problem:
    """Return what is wrong at a place of a roster that was read, and breaks no rule itself."""
    return _problem(roster.path, roster.line_of(place), place, message)


def _problem(path: Path, line: int | None, place: Place, message: str) -> Problem:
    agent = place[1] if place[0] == "agents" and len(place) > 1 else None
    key = place if agent is None else place[2:]
    field = one_line(problems.dotted(key))
    return Problem(path, line, agent and one_line(agent), field or None, one_line(message))


def _validated(path: Path, data: Mapping[str, Any]) -> tuple[Roster | None, list[_Finding]]:
    try:
        return Roster.model_validate(
            {**data, "agents": _completed(data), "path": path, "factory": of_factory(data)}
        ), []
    except ValidationError as error:
        return None, [
            _finding(details)
            for details in error.errors(include_url=False)
            if not _only_follows(details)
        ]


def _only_follows(details: ErrorDetails) -> bool:
    """Tell whether a finding follows from another one, and is nothing to put right itself."""
    no_name_to_derive_from = details["type"] == "default_factory_not_called"
    only_wrong_roles = details["type"] == "too_short" and len(details["input"]) > 0
    no_url_to_be_a_section_of = (
        details["type"] == "model_type"
        and details["loc"][:2] == ("muster", "endpoints")
        and _normalised(details["loc"][2]) is None
    )
    one_variable = "env" in details["loc"][:-1]  # `_wrong_env` reports it
    return no_name_to_derive_from or only_wrong_roles or no_url_to_be_a_section_of or one_variable


def _finding(details: ErrorDetails) -> _Finding:
    place = tuple(part for part in details["loc"] if isinstance(part, str) and part != _KEY)
    return place, problems.told(details, _model_of(place))


def _model_of(place: Place) -> type[BaseModel]:
    """Return the model of the table that a place is in."""
    match place:
        case ("agents", *_):
            return Agent
        case ("muster", "work", *_):
            return Work
        case ("muster", "endpoints", _, *_):
            return Endpoint
        case ("muster", *_):
            return Muster
        case _:
            return Roster


def _completed(data: Mapping[str, Any]) -> object:
    """Return the agents' sections, each with its name and with what it takes from `[muster]`."""
    agents = data.get("agents", {})
    if not isinstance(agents, dict):
        return agents
    try:
        muster = Muster.model_validate(data.get("muster", {}))
    except ValidationError:
        muster = Muster()  # told where the section itself is validated
    # What is left out there may follow from what an agent's own section says.
    shared = muster.model_dump(include=set(ContainerSettings.model_fields), exclude_unset=True)
    shared |= muster.work.model_dump(include=set(Budgets.model_fields))
    sections = {name: section for name, section in agents.items() if name != SCHEDULE}
    return sections | {
        name: {**shared, **_without_factory_keys(section), **_env(muster, section), "name": name}
        for name, section in _sections(data)
    }


def _env(muster: Muster, section: Mapping[str, Any]) -> dict[str, Any]:
    """Return an agent's `env` with that of the crew below it; nothing if it is not a table."""
    own = section.get("env", {})
    return {"env": {**muster.env, **own}} if isinstance(own, dict) else {}


def of_factory(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a roster has that belongs to a disinto factory."""
    found = {key: value for key, value in data.items() if key not in Roster.model_fields}
    agents = data.get("agents")
    if isinstance(agents, dict) and SCHEDULE in agents:
        found["agents"] = {SCHEDULE: agents[SCHEDULE]}
    return found


def _without_factory_keys(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in FACTORY_KEYS}


def _sections(data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    agents = data.get("agents")
    for name, section in agents.items() if isinstance(agents, dict) else ():
        if name != SCHEDULE and isinstance(section, dict):
            yield name, section


def _control_characters(data: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find control characters, which would reach terminals, headers, files and shells.

    Commands may have several lines.
    """
    for key in Roster.model_fields.keys() & data.keys():
        for place, text in _texts((key,), data[key]):
            is_command = place in {("muster", "work", "setup"), ("muster", "work", "check")}
            found = CONTROL.search(text) or (not is_command and re.search(r"[\t\n]", text))
            if found:
                kind = f"U+{ord(found[0]):04X}"
                yield place, f"there is a control character ({kind}) in this text; remove it"


def _texts(place: Place, value: object) -> Iterator[tuple[Place, str]]:
    """Return the texts in a value, keys included, and the keys that lead to each."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield (*place, key), key
            yield from _texts((*place, key), child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(place, child)


def _missing_forge(data: Mapping[str, Any]) -> Iterator[_Finding]:
    muster = data.get("muster")
    local = isinstance(muster, dict) and muster.get("local_forge") is True
    if "forge_url" not in data and not local:
        message = (
            'missing; write forge_url = "https://forge.example.org", '
            "or local_forge = true under [muster]"
        )
        yield ("forge_url",), message


def _wrong_sections(data: Mapping[str, Any]) -> Iterator[_Finding]:
    for name, section in _sections(data):
        if "name" in section:
            yield ("agents", name, "name"), problems.unknown("name", Agent)
        if section.get("base_url") and not section.get("model"):
            message = (
                "missing, and required with base_url; write the name of the model that is "
                'served there, such as model = "unsloth/Qwen3.5-35B-A3B"'
            )
            yield ("agents", name, "model"), message
        yield from _wrong_permission(name, section)


def _wrong_permission(name: str, section: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find an agent that may only read, and has a role that writes."""
    roles = section.get("roles", ["dev"])
    if section.get("permission") != "read" or not isinstance(roles, list):
        return
    writing = [role for role in rules.WRITING_ROLES if role in roles]
    if writing:
        yield (
            ("agents", name, "permission"),
            (
                f'the role "{writing[0]}" writes to the repository; write permission = "write", or '
                'give the agent roles that only read, such as ["review"]'
            ),
        )


def _twins(data: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find bot users that are one to the forge, or that variables' names cannot tell apart."""
    seen: dict[str, tuple[str, str]] = {}
    for name, section in _sections(data):
        user = section.get("forge_user", name)
        if not isinstance(user, str):
            continue
        twin, other = seen.setdefault(user_upper(user), (name, user))
        if twin != name:
            message = f'agent "{twin}" has this bot user already; give each agent its own'
            if user.lower() != other.lower():
                message = (
                    f'"{user}" is the same as agent "{twin}"\'s "{other}" in variables\' names, '
                    "where every sign is a _; give one of them another name"
                )
            yield ("agents", name, "forge_user"), message


def _real_keys(data: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find strings, wherever in the file, that look like a provider's real key."""
    for place, text in _texts((), data):
        if rules.has_key(text):
            yield place, rules.REAL_KEY


def _wrong_endpoints(data: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find endpoints with two sections.

    A section that no agent uses is valid: firing the last agent of an endpoint must not fail.
    """
    muster = data.get("muster")
    endpoints = muster.get("endpoints") if isinstance(muster, dict) else None
    seen: dict[str, str] = {}
    for written in endpoints if isinstance(endpoints, dict) else ():
        url = _normalised(written)
        if url is None:  # the model reports it
            continue
        place = ("muster", "endpoints", written)
        if (twin := seen.setdefault(url, written)) != written:
            yield place, f'this is the same endpoint as "{twin}"; keep one of the two sections'


def _wrong_runtimes(data: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find settings with which an agent's runtime does not work; one of `[muster]` once."""
    found: dict[Place, str] = {}
    for name, section in _sections(data):
        for (table, field), message in runtimes.refusals(name, section, _table(data, "muster")):
            place = ("muster", field) if table == "muster" else ("agents", name, field)
            found.setdefault(place, message)
    yield from found.items()


def _wrong_env(data: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find variables that must not stand in a roster, or that Muster sets."""
    tables: dict[Place, object] = {
        ("agents", name): section.get("env") for name, section in _sections(data)
    }
    tables["muster",] = _table(data, "muster").get("env")
    for place, table in tables.items():
        for name, value in table.items() if isinstance(table, dict) else ():
            if (message := rules.wrong_variable(name, value)) is not None:
                yield (*place, "env", name), message


def _secrets_of_the_factory(data: Mapping[str, Any]) -> Iterator[_Finding]:
    """Find what looks like a secret in tables that agents of runtime disinto get to read."""
    crew = _table(data, "muster")
    disintos = [
        name for name, section in _sections(data) if runtimes.of(section, crew) == "disinto"
    ]
    for place, value in _texts((), of_factory(data)) if disintos else ():
        if place and rules.is_secret(place[-1], value):
            yield (
                place,
                (
                    f'this looks like a secret, and the container of agent "{disintos[0]}" gets '
                    "this table in plain text; move it to where the factory keeps its secrets"
                ),
            )


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = data.get(name)
    return table if isinstance(table, dict) else {}


def _normalised(url: object) -> str | None:
    """Return an endpoint's URL as the model has it, None if it is not valid."""
    try:
        return rules.endpoint_url(url) if isinstance(url, str) else None
    except ValueError:
        return None


def _options_of_no_network(data: Mapping[str, Any]) -> Iterator[_Finding]:
    muster = data.get("muster")
    message = (
        "these are for a network that Muster makes, and network names one that exists; remove one "
        "of the two, or set the options with docker network create --opt"
    )
    if isinstance(muster, dict) and muster.get("network") and muster.get("network_options"):
        yield (
            ("muster", "network_options"),
            message,
        )
