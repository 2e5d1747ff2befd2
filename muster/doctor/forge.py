"""The forge, its administrator, and the time there."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from muster import administrator, docker, local_forge, preflight, private_ca
from muster.doctor import mends
from muster.doctor.findings import Finding, NotAskedError, not_asked, well, wrong
from muster.doctor.subject import Subject
from muster.forge import (
    SECOND_FACTOR,
    Administrator,
    CannotMintError,
    ForbiddenError,
    Forge,
    ForgeError,
    UnauthorizedError,
    may_require_second_factor,
    minting_way,
)

CLOCKS_MATTER = 60.0
"""Seconds from which clocks that differ are told.

A TLS certificate is refused before its time, and private CAs date a fresh one back by a minute.
Credential ages and the order of what two logs tell are off by as much.
"""


def answers(subject: Subject) -> Iterator[Finding]:
    """Ask whether there is a forge at the address that the roster names."""
    subject.roster_path.get()
    try:
        url = subject.written_forge_url
    except preflight.PreflightError as error:  # of the local forge's port
        yield wrong(str(error), mends.another_port(subject.stack.get(), local_forge.PORT))
        return
    if url is None:
        raise NotAskedError("no forge_url can be read in the roster")
    if subject.has_local_forge and not _has_its_port(subject, url):
        yield wrong(*_elsewhere(subject, url))
        return
    private_ca.trust_for_forge(url, subject.written_ca_file)
    try:
        forge = Forge(url, None, patience=preflight.PATIENCE)
        version = _version(forge)
    except ForgeError as error:
        yield wrong(*_unreachable(subject, error))
        return
    subject.forge_url.put(forge.url)
    yield well(f"{forge.url} answers{version}")


def _has_its_port(subject: Subject, url: str) -> bool:
    """Tell whether the local forge has its port; nobody else is shown the administrator."""
    name = local_forge.container_name(subject.written_name)
    return urlsplit(url).port in docker.published_ports(subject.client.get(), name)


def _elsewhere(subject: Subject, url: str) -> tuple[str, str]:
    port = urlsplit(url).port or local_forge.PORT
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        message = f"port {port} of this machine is in use, and not by this stack's forge"
        return message, mends.another_port(subject.stack.get(), port + 1)
    return f"the local forge is not there: nothing listens at {url}", subject.muster("up")


def _version(forge: Forge) -> str:
    try:
        return f", version {forge.version()}"
    except (UnauthorizedError, ForbiddenError):  # it wants everybody to sign in
        return ""


def _unreachable(subject: Subject, error: ForgeError) -> tuple[str, str]:
    if subject.has_local_forge:
        return f"the local forge does not answer: {error}", subject.muster("up")
    line = subject.line_of("forge_url")
    place = f"{subject.roster_path.get()}:{line}: forge_url"
    return (
        f"{place}: {error}. Start it, or correct the address",
        mends.edit(subject.roster_path.get(), line),
    )


def administration(subject: Subject) -> Iterator[Finding]:
    """Ask for the administrator's rights, and for the way in which tokens are minted."""
    url = subject.forge_url.get()
    try:
        who = administrator.find(subject.environment, subject.configured)
        forge = Forge(url, who.api, patience=preflight.PATIENCE)
        forge.may_administer(subject.written_repo)
        way = minting_way(url, who)
    except CannotMintError as error:
        way = ""
        rotate = subject.muster("rotate", "NAME", "--token-from-stdin")
        yield wrong(f"{error}. Or give each agent a token that you make there", rotate)
    except (administrator.AdministratorMissingError, ForgeError) as error:
        yield wrong(*_refused(subject, error))
        return
    subject.forge.put(forge)
    subject.administrator.put(who)
    rights = f"{forge.whoami().login} has all rights by {_kind(who)}"
    yield well(f"{rights}; tokens are minted by {way}" if way else rights)
    repo = subject.written_repo
    if way and repo and not _has_hired(subject) and may_require_second_factor(url, who, repo):
        yield not_asked(SECOND_FACTOR)


def _has_hired(subject: Subject) -> bool:
    with suppress(NotAskedError):
        return any(hired.token for hired in subject.state.get().hired.values())
    return False


def _kind(who: Administrator) -> str:
    return "a PAT" if who.pat else "name and password"


def _refused(subject: Subject, error: Exception) -> tuple[str, str]:
    """Say what is wrong with the credentials; a local forge's are set by an update."""
    if isinstance(error, UnauthorizedError) and subject.has_local_forge:
        return f"the local forge does not have this administrator yet: {error}", subject.muster(
            "up"
        )
    if isinstance(error, (UnauthorizedError, ForbiddenError)):
        message = (
            f"the forge does not let the administrator's credentials do what an update needs: "
            f"{error}. A PAT needs the scopes write:admin, write:repository and write:user, and "
            "an administrator as its owner: make another one at "
            f"{subject.forge_url.get()}/user/settings/applications"
        )
        return message, mends.ANOTHER_PAT
    return str(error), mends.ANOTHER_PAT


def clocks(subject: Subject) -> Iterator[Finding]:
    """Compare this machine's clock with the forge's and the containers'."""
    for whose, ahead in (("forge's", _forge_ahead), ("containers'", _containers_ahead)):
        try:
            yield _compared(whose, ahead(subject))
        except NotAskedError as error:
            yield not_asked(f"the {whose} clock: {error}")


def _forge_ahead(subject: Subject) -> float:
    forge = Forge(subject.forge_url.get(), None, patience=preflight.PATIENCE)
    began = time.time()
    return _beyond(forge.clock().timestamp(), began, time.time())


def _containers_ahead(subject: Subject) -> float:
    return subject.clock_ahead.get()


def _beyond(told: float, began: float, ended: float) -> float:
    """Return by how much a time lies outside of the span in which it was told.

    HTTP tells whole seconds.
    """
    return told - min(max(told, began - 1), ended)


def _compared(whose: str, ahead: float) -> Finding:
    where = "ahead of" if ahead > 0 else "behind"
    if abs(ahead) < CLOCKS_MATTER:
        return well(f"the {whose} clock and this machine's agree to {max(abs(ahead), 1):.0f} s")
    return wrong(
        f"the {whose} clock is {abs(ahead):.0f} s {where} this machine's. TLS certificates, ages "
        "of credentials and the order of logs depend on them: set the one that is wrong, there",
        mends.SET_THE_CLOCK,
    )
