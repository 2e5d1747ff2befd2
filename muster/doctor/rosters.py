"""The roster, and what it names."""

from collections.abc import Iterator
from contextlib import suppress

from muster import (
    docker,
    docker_engine,
    docker_host,
    keys,
    local_forge,
    preflight,
    private_ca,
)
from muster.accounts import accounts
from muster.doctor import mends
from muster.doctor.findings import Finding, NotAskedError, not_asked, warning, well, wrong
from muster.doctor.subject import Subject
from muster.roster import Muster, Roster, RosterError, load, problem
from muster.toml_file import Place


def rules(subject: Subject) -> Iterator[Finding]:
    """Read the roster, and ask for what it names: keys, images, a network, names, accounts."""
    path = subject.roster_path.get()
    try:
        roster = load(path)
    except RosterError as error:
        for each in error.problems:
            yield wrong(str(each), mends.edit(path, each.line))
        return
    subject.roster.put(roster)
    found = [
        finding
        for ask in (_keys, _authorities, _in_docker, _accounts)
        for finding in ask(subject, roster)
    ]
    yield from found
    if all(finding.ok is not False for finding in found):
        crew = ", ".join(roster.agents) or "no agents yet"
        yield well(f"{path.name} breaks no rule: {crew}")


def _keys(subject: Subject, roster: Roster) -> Iterator[Finding]:
    if all(agent.base_url for agent in roster.agents.values()):
        return
    try:
        found = keys.find(subject.environment, subject.configured)
    except NotAskedError as error:
        if keys.of_environment(subject.environment) is None:
            yield not_asked(f"is there a key for the Anthropic API: {error}")
        return
    for missing in preflight.missing_keys(roster, found):
        yield wrong(str(missing), mends.ANTHROPIC_KEY)


def _authorities(_: Subject, roster: Roster) -> Iterator[Finding]:
    for found in private_ca.problems(roster):
        yield wrong(str(found), mends.edit(roster.path, found.line))


def _in_docker(subject: Subject, roster: Roster) -> Iterator[Finding]:
    try:
        client = subject.client.get()
    except NotAskedError as error:
        yield not_asked(f"images, network and containers' names: {error}")
        return
    for image, place in _images(roster).items():
        if docker.local_image_id(client, image) is None:
            message = f"image {image} is not on this engine"
            yield wrong(str(problem(roster, place, message)), _mend_image(roster, image))
    for missing in preflight.missing_network(client, roster):
        words = ("network", "create", str(roster.muster.network))
        yield wrong(str(missing), docker_host.command(roster.muster.docker_host, *words))
    host = docker_host.resolve(roster.muster.docker_host, subject.environment)
    for each in docker_engine.warnings(host, docker_engine.describe(client), roster):
        yield warning(str(each))
    for foreign in preflight.foreign_containers(client, roster, subject.stack.get()):
        yield wrong(str(foreign), mends.edit(roster.path, subject.line_of("name")))


def _images(roster: Roster) -> dict[str, Place]:
    places: dict[str, Place] = {
        agent.image: ("agents", agent.name, "image") for agent in roster.agents.values()
    }
    if roster.muster.local_forge:
        places[local_forge.IMAGE] = ("muster", "local_forge")
    return places


def _mend_image(roster: Roster, image: str) -> str:
    ours = {Muster().image, local_forge.IMAGE}
    pull = docker_host.command(roster.muster.docker_host, "pull", image)
    return mends.SET_UP if image in ours else pull


def _accounts(subject: Subject, roster: Roster) -> Iterator[Finding]:
    with suppress(NotAskedError):  # told where the administrator is asked for
        forge = subject.as_administrator()
        names = [agent.forge_user for agent in roster.agents.values()]
        existing, by_name = accounts(forge, names)
        stack = subject.stack.get()
        for refused in preflight.refused_accounts(forge, roster, stack, existing, by_name=by_name):
            yield wrong(str(refused), mends.edit(roster.path, refused.line))
