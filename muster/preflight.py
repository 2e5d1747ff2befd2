"""The look before the first change: everything that can be asked without changing anything.

An `up` without a preview interleaves checks with changes, so the program itself asks first, in
previews and in updates.
"""

import contextlib
import difflib
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import docker

from muster import local_forge, private_ca, rules
from muster.accounts import (
    accounts,
    full_name_of,
    is_mark,
    mark_of,
    project_of,
    refusal,
)
from muster.docker import (
    DockerError,
    engine,
    expect_in_registry,
    has_network,
    image_user,
    labels_by_name,
    local_image_id,
    published_ports,
    pull,
)
from muster.docker_engine import DockerEngine, describe, refuse_other_engines
from muster.errors import MusterError
from muster.forge import (
    REQUIRED_SECOND_FACTOR,
    SECOND_FACTOR,
    Administrator,
    CannotMintError,
    ForbiddenError,
    Forge,
    ForgeError,
    Repository,
    UnauthorizedError,
    User,
    may_require_second_factor,
    minting_way,
    reserves_more_names,
)
from muster.keys import Keys
from muster.names import STACK_LABEL, container_name
from muster.roster import Agent, Problem, Roster, problem
from muster.runtimes import owner

if TYPE_CHECKING:
    from muster.toml_file import Place

PATIENCE = 5.0
"""Seconds for which a forge that does not answer is asked again: somebody waits to be told."""


class PreflightError(MusterError):
    """Something that an update needs is missing; each problem is a line for the user."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Inspection:
    """What was found out.

    Attributes:
        images: The id of each image in use; its name, if it is still to be pulled.
        engine: What the Docker engine is.
        operations: The repository of operations, if the forge has it and an agent clones it.
        warnings: What a person should know before the update.
    """

    images: Mapping[str, str]
    engine: DockerEngine
    operations: str | None
    warnings: tuple[str, ...]


def inspect(  # noqa: PLR0913 - one argument a fact
    roster: Roster,
    stack: str,
    *,
    forge_url: str,
    administrator: Administrator,
    keys: Keys,
    given: Collection[str] = (),
    pulling: Callable[[str], None] | None = None,
) -> Inspection:
    """Ask Docker and the forge for all that an update needs.

    Nothing is changed unless `pulling` is given: then missing images are pulled at the end.

    Args:
        roster: The roster.
        stack: The stack's name.
        forge_url: The forge, as seen from here.
        administrator: The forge administrator's credentials.
        keys: The real keys of endpoints.
        given: The agents with a token that was made by hand.
        pulling: Called with each image that is about to be pulled; None pulls nothing.

    Raises:
        PreflightError: with every problem that was found.
    """
    problems: list[str | Problem] = [*missing_keys(roster, keys), *private_ca.problems(roster)]
    if roster.muster.local_forge and administrator.basic is None:
        problems.append(
            "a local forge needs an administrator's name and password: "
            "set FORGE_ADMIN_USER and FORGE_ADMIN_PASS"
        )
    images: dict[str, str] = {}
    described: DockerEngine | None = None
    stranger: list[str] = []
    unreadable: list[Problem] = []
    try:
        with engine(roster.muster.docker_host) as client:
            refuse_other_engines(client)
            described = describe(client)
            images, missing = _images(client, roster)
            problems += missing
            unreadable += unreadable_credentials(client, roster, images)
            problems += missing_network(client, roster)
            problems += foreign_containers(client, roster, stack)
            stranger = list(_stranger_at_the_port(client, roster, forge_url))
    except DockerError as error:
        problems.append(str(error))
    minting = Minting(administrator, given, [])
    problems += stranger or forge_problems(roster, stack, forge_url, minting)
    if problems or described is None:  # without an engine there is a problem
        raise PreflightError([str(each) for each in problems])
    warnings = [*map(str, unreadable), *minting.warnings]
    operations = _operations(roster, forge_url, administrator)
    if pulling is not None:
        images = _pulled(roster, images, pulling)
    return Inspection(images, described, operations, tuple(warnings))


def missing_keys(roster: Roster, keys: Keys) -> Iterator[Problem]:
    """Tell of agents that use the Anthropic API while there is no key for it."""
    for agent in roster.agents.values():
        if keys.of(agent) is None:
            yield problem(
                roster,
                ("agents", agent.name, "base_url"),
                "without one the agent uses the Anthropic API, and there is no key for it: set "
                "ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, or keep it in the stack "
                f"(muster key {agent.name}), or give the agent a base_url",
            )


def _images(client: docker.DockerClient, roster: Roster) -> tuple[dict[str, str], list[Problem]]:
    wanted: dict[str, Place] = {
        agent.image: ("agents", agent.name, "image") for agent in roster.agents.values()
    }
    if roster.muster.local_forge:
        wanted[local_forge.IMAGE] = ("muster", "local_forge")
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for image, place in sorted(wanted.items()):
        found[image] = local_image_id(client, image) or image
        try:
            if found[image] == image:
                expect_in_registry(client, image)
        except DockerError as error:
            problems.append(problem(roster, place, str(error)))
    return found, problems


def _pulled(
    roster: Roster, images: Mapping[str, str], pulling: Callable[[str], None]
) -> dict[str, str]:
    """Pull the images that the engine does not have; return the ids of all."""
    found = dict(images)
    missing = [image for image, identity in images.items() if identity == image]
    if not missing:
        return found
    with engine(roster.muster.docker_host) as client:
        for image in missing:
            pulling(image)
            try:
                found[image] = pull(client, image)
            except DockerError as error:
                raise PreflightError([str(error)]) from None
    return found


def unreadable_credentials(
    client: docker.DockerClient, roster: Roster, images: Collection[str]
) -> Iterator[Problem]:
    """Warn of agents whose container starts as a user who cannot read their credentials.

    The files are of mode 0400, and without CAP_DAC_OVERRIDE that holds for root too.
    """
    users = {image: image_user(client, image) for image in images}
    for agent in roster.agents.values():
        started_as = agent.user or users.get(agent.image)
        if agent.credentials != "file" or started_as is None:
            continue
        name = started_as.partition(":")[0]
        uid = {"": "0", "root": "0"}.get(name, name)
        if not uid.isdecimal() or int(uid) == owner(agent.user):
            continue
        if uid == "0" and {"DAC_OVERRIDE", "DAC_READ_SEARCH"} & {*agent.capabilities}:
            continue
        who = "root" if uid == "0" else f"user {name}"
        place = ("agents", agent.name, "user" if agent.user else "image")
        yield problem(
            roster,
            place,
            f"the container starts as {who}, and the credentials are files that only user "
            f"{owner(agent.user)} can read: set user to the number of the user that the image "
            'works as, such as "1000"; or credentials = "env"'
            + ('; or capabilities = ["DAC_OVERRIDE"]' if uid == "0" else ""),
        )


def missing_network(client: docker.DockerClient, roster: Roster) -> Iterator[Problem]:
    """Tell of a network that the roster names and Docker does not have."""
    name = roster.muster.network
    if name is not None and not has_network(client, name):
        yield problem(
            roster,
            ("muster", "network"),
            f"there is no Docker network {name}: create it, or leave network out to have one made",
        )


def foreign_containers(
    client: docker.DockerClient, roster: Roster, stack: str
) -> Iterator[Problem]:
    """Tell of containers under the crew's names that are not this stack's."""
    places: dict[str, Place] = {
        container_name(roster.name, agent): ("agents", agent) for agent in roster.agents
    }
    if roster.muster.local_forge:
        places[local_forge.container_name(roster.name)] = ("muster", "local_forge")
    found = labels_by_name(client)
    for name, place in places.items():
        labels = found.get(name)
        if labels is not None and labels.get(STACK_LABEL) != stack:
            yield problem(
                roster,
                place,
                f"a container named {name} exists and is not this stack's: "
                "give the project another name, or remove the container",
            )


def _stranger_at_the_port(client: docker.DockerClient, roster: Roster, url: str) -> Iterator[str]:
    """Tell of whoever answers at the local forge's port before that forge has it.

    It may be a forge too, and must not be shown our administrator's password.
    """
    name = local_forge.container_name(roster.name)
    address = urlsplit(url)
    if not roster.muster.local_forge or address.port in published_ports(client, name):
        return
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address.hostname or "", address.port or 0), timeout=1),
    ):
        yield (
            f"port {address.port} of this machine is in use, and not by this stack's forge: "
            "choose another with pulumi config set forgePort PORT"
        )


@dataclass(frozen=True)
class Minting:
    """How the crew gets tokens.

    Attributes:
        administrator: The forge administrator's credentials.
        given: The agents with a token that was made by hand.
        warnings: What a person should know; added to.
    """

    administrator: Administrator
    given: Collection[str]
    warnings: list[str]

    def problems(self, roster: Roster, new: Collection[Agent], url: str) -> Iterator[Problem]:
        """Tell of new agents whose token nobody can mint: else their account would be left."""
        if not new and not self.given:
            return
        try:
            minting_way(url, self.administrator)
        except CannotMintError as caught:
            error = caught
        else:
            if len(new) == len(roster.agents) and not roster.muster.local_forge:
                self._first(roster, url)
            return
        if self.given:
            self.warnings.append(
                f"{error}. So Muster cannot revoke the tokens that it replaces: do that by hand"
            )
        for agent in new:
            if agent.name not in self.given:
                yield problem(
                    roster,
                    ("agents", agent.name, "forge_user"),
                    f"{error}. Set another FORGE_ADMIN_PAT; or create user {agent.forge_user} and "
                    "an access token for it at the forge, set adopt = true, and give the token "
                    f"with muster rotate {agent.name} --token-from-stdin",
                )

    def _first(self, roster: Roster, url: str) -> None:
        if may_require_second_factor(url, self.administrator, roster.repo):
            self.warnings.append(f"Not checked: {SECOND_FACTOR}")


def forge_problems(
    roster: Roster,
    stack: str,
    url: str,
    minting: Minting,
) -> Iterator[str | Problem]:
    """Ask the forge for what an update needs of it; `minting` gets the warnings."""
    if roster.muster.local_forge and not Forge(url, None).answers():
        return  # it does not exist yet: what cannot be asked yet is not asked
    forge = Forge(url, minting.administrator.api, patience=PATIENCE)
    try:
        forge.may_administer(roster.repo)
        yield from _repositories(forge, roster, url)
        names = [agent.forge_user for agent in roster.agents.values()]
        existing, by_name = accounts(forge, names)
        yield from refused_accounts(forge, roster, stack, existing, by_name=by_name)
        new = [
            agent
            for agent in roster.agents.values()
            if not _is_hired(roster, stack, agent, existing)
        ]
        yield from reserved_names(forge, new, roster)
        yield from minting.problems(roster, new, url)
    except (UnauthorizedError, ForbiddenError) as error:
        if roster.muster.local_forge and isinstance(error, UnauthorizedError):
            return  # its administrator is still to be made, or to be given this password
        yield _not_allowed(url, error)
    except ForgeError as error:
        yield problem(roster, ("forge_url",), str(error))


def refused(url: str, administrator: Administrator, repo: str) -> str | None:
    """Return why the forge does not let the administrator do what an update needs.

    Raises:
        ForgeError: the forge cannot be reached.
    """
    try:
        Forge(url, administrator.api, patience=PATIENCE).may_administer(repo)
    except (UnauthorizedError, ForbiddenError) as error:
        return _not_allowed(url, error)
    return None


def _not_allowed(url: str, error: ForgeError) -> str:
    return (
        f"forge {url} does not let the administrator's credentials do what an update needs: "
        f"{error}. Check FORGE_ADMIN_USER and FORGE_ADMIN_PASS, or FORGE_ADMIN_PAT"
    )


def _operations(roster: Roster, url: str, administrator: Administrator) -> str | None:
    """Return the repository of operations, if the forge has it and an agent clones it."""
    if all(agent.runtime != "disinto" for agent in roster.agents.values()):
        return None
    forge = Forge(url, administrator.api, patience=PATIENCE)
    with contextlib.suppress(ForgeError):  # a local forge that does not run yet
        if forge.repository(roster.operations) is not None:
            return roster.operations
    return None


def _is_hired(roster: Roster, stack: str, agent: Agent, existing: Mapping[str, User]) -> bool:
    user = existing.get(agent.forge_user.lower())
    return user is not None and user.login_name == mark_of(stack, roster.name, agent.name)


def _repositories(forge: Forge, roster: Roster, url: str) -> Iterator[Problem]:
    found = forge.repository(roster.repo)
    if found is not None:
        yield from unusable(forge, roster, found)
        yield from unknown_roles(forge, roster, found)
    elif forge.lists_repository(roster.repo):
        yield problem(roster, ("repo",), f"not visible: {REQUIRED_SECOND_FACTOR}")
    elif not roster.muster.local_forge:
        yield problem(
            roster,
            ("repo",),
            f"the forge at {url} has no repository {roster.repo}: create it, or correct repo",
        )
    asked: dict[str, Repository | None] = {}
    for agent in roster.agents.values():
        for repository in roster.repositories_of(agent)[1:]:
            if repository not in asked:
                asked[repository] = forge.repository(repository)
                if asked[repository] is not None:
                    forge.may_share(repository)
            other = asked[repository]
            place = ("agents", agent.name, "repositories")
            if other is None:
                yield problem(
                    roster,
                    place,
                    f"the forge at {url} has no repository {repository}: create it, or remove it "
                    "from the list",
                )
            elif other.full_name.lower() != repository.lower():
                yield problem(roster, place, _renamed(repository, other))


def unusable(forge: Forge, roster: Roster, found: Repository) -> Iterator[Problem]:
    """Tell of what keeps agents from delivering work to the repository."""
    branch = roster.primary_branch
    if found.full_name.lower() != roster.repo.lower():
        yield problem(roster, ("repo",), _renamed(roster.repo, found))
    elif found.archived:
        yield problem(
            roster,
            ("repo",),
            f"{found.full_name} is archived, so the forge refuses every push: unarchive it, or "
            "correct repo",
        )
    elif found.empty:
        yield problem(
            roster,
            ("repo",),
            f"{found.full_name} is empty: push a first commit to its branch {branch}",
        )
    elif branch != found.default_branch and not forge.has_branch(roster.repo, branch):
        yield problem(
            roster,
            ("primary_branch",),
            f"{found.full_name} has no branch {branch}: write primary_branch = "
            f'"{found.default_branch}", its default branch, or create the branch',
        )


def unknown_roles(forge: Forge, roster: Roster, found: Repository) -> Iterator[Problem]:
    """Report roles without a formula: an agent would fail in every cycle."""
    if found.empty:
        return
    missing: dict[str, bool] = {}
    for agent in roster.agents.values():
        if agent.runtime != "muster" or agent.formula:
            continue
        for role in agent.roles:
            file = f"{rules.FORMULAS}/{role}.toml"
            if role not in rules.ROLES and role not in missing:
                missing[role] = not forge.has_file(roster.repo, file, roster.primary_branch)
            if missing.get(role):
                near = difflib.get_close_matches(role, rules.ROLES, n=1)
                hint = (
                    f'did you mean "{near[0]}"?' if near else f"known are {', '.join(rules.ROLES)}."
                )
                yield problem(
                    roster,
                    ("agents", agent.name, "roles"),
                    f'the role "{role}" has no formula; {hint} For a role of your own, add {file} '
                    f"to branch {roster.primary_branch} of {roster.repo}",
                )


def _renamed(repository: str, found: Repository) -> str:
    """Say that a repository, or its owner, has another name: the forge redirects from the old."""
    return (
        f"{repository} was renamed to {found.full_name} at the forge: write {found.full_name}, or "
        "take the old name back there"
    )


def refused_accounts(
    forge: Forge, roster: Roster, stack: str, existing: Mapping[str, User], *, by_name: bool
) -> Iterator[Problem]:
    """Tell of accounts that exist and must not become the crew's bot users.

    Args:
        forge: The forge, spoken to by an administrator.
        roster: The roster.
        stack: The stack's name.
        existing: The accounts of the crew's names, by name in lower case.
        by_name: Whether organizations are among them.
    """
    organizations: set[str] | None = None
    other_project: str | None = None
    for agent in roster.agents.values():
        user = existing.get(agent.forge_user.lower())
        mark = mark_of(stack, roster.name, agent.name)
        place: Place = ("agents", agent.name, "forge_user")
        if user and (user.login_name == mark or _lost_its_mark(user, roster, agent)):
            continue
        if user is None and (name := _new_name(forge, agent, mark, existing)):
            yield problem(
                roster,
                place,
                f"bot user {agent.forge_user} was renamed to {name} at the forge: write "
                f'forge_user = "{name}", or take the old name back there',
            )
            continue
        if user and (project := project_of(user.login_name, stack, agent.name)):
            if other_project is None:
                other_project = project
                yield problem(
                    roster,
                    ("name",),
                    f'the crew was hired with name = "{project}", which its accounts, containers '
                    f'and volumes carry: write name = "{project}" again; or to give it another '
                    "name, fire it first (muster down) with the old one",
                )
            continue
        # A forge lists organizations apart from users, and a hired crew needs none of it.
        if organizations is None and (user or not by_name):
            organizations = {name.lower() for name in forge.organizations()}
        reason = user and refusal(user, mark=mark, adopt=agent.adopt)
        if agent.forge_user.lower() in (organizations or ()):
            reason = (
                f"{agent.forge_user} is an organization of the forge: choose another forge_user"
            )
        if reason:
            yield problem(roster, ("agents", agent.name, "forge_user"), reason)


def _lost_its_mark(user: User, roster: Roster, agent: Agent) -> bool:
    """Tell whether an account may be the agent's, with its mark overwritten, e.g. by a script.

    Its full name says so, and anybody can write that. So `BotUser` decides: it knows the account
    of an agent that is hired by id and birth, and refuses any other.
    """
    ours = full_name_of(roster.name, agent.name)
    return not is_mark(user.login_name) and not user.is_admin and user.full_name == ours


def _new_name(forge: Forge, agent: Agent, mark: str, existing: Mapping[str, User]) -> str | None:
    """Return the name that an agent's account was renamed to: the forge redirects from the old one.

    An account that has the mark and no redirect is that of an earlier `forge_user`.
    """
    if not any(user.login_name == mark for user in existing.values()):
        return None
    found = forge.user(agent.forge_user)
    return found.login if found is not None and found.login_name == mark else None


def reserved_names(forge: Forge, agents: Iterable[Agent], roster: Roster) -> Iterator[Problem]:
    """Tell of names that this forge's version reserves, and newer ones do not."""
    named = [agent for agent in agents if agent.forge_user.lower() in rules.RESERVED_BEFORE]
    version = forge.version() if named else ""
    if named and reserves_more_names(version):
        for agent in named:
            yield problem(
                roster,
                ("agents", agent.name, "forge_user"),
                f"{agent.forge_user} is reserved by the forge (version {version}): set forge_user "
                f'to another name, such as "{agent.forge_user}-bot"',
            )
