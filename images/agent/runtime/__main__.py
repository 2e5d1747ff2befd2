"""The agent's loop: poll, do a task, poll again; a pause of `POLL_INTERVAL` if there is none.

Exit codes: 0 after SIGTERM or SIGINT, 2 if the container is set up wrongly (one line on standard
error says how), 1 for a fault of the runtime itself.
"""

import errno
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from muster.forge import (
    ForbiddenError,
    ForgeError,
    ForgeUnreachableError,
    NotFoundError,
    Token,
    UnauthorizedError,
    User,
    WorkForge,
)
from muster.forge.masking import SHORTEST
from runtime import jail, modes, processes, request, settings, state, work
from runtime.claim import Claims
from runtime.formula import FormulaError
from runtime.git import GitError, Mirror
from runtime.poll import Cycle, Memory
from runtime.services import Services, StoppedError
from runtime.settings import CredentialError, Settings
from runtime.tree import TreeError

REPOS = Path("/home/agent/repos")
ENDPOINTS = Path("/run/muster/endpoints")
LEAST_FREE = 200 << 20
"""Bytes that the volumes must have free before a task begins."""

DISK_FULL = "no space left for the task: free some on the volumes' disk"
SANDBOX_OFF = (
    'The sandbox is off (sandbox = "off" in the roster): sessions can read this agent\'s '
    "credentials and reach the network."
)

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
PATIENCE = 10.0
"""Seconds for which a call to the forge is repeated; then the agent waits as a state."""

LAST_SECONDS = 7.0
"""From a stop to the end, however long a forge does not answer: Docker kills after 10 s."""


class Loop:
    """The agent, from its first cycle to its stop."""

    def __init__(self, config: Settings, reporter: state.Reporter) -> None:
        self._config = config
        self._reporter = reporter
        self._stopped = threading.Event()
        self._memory = Memory.empty(killed=reporter.was_killed)
        self._token = ""
        self._services: Services | None = None
        self._failures = 0

    def stop(self) -> None:
        """End the loop soon: what runs is ended, what is held is released."""
        self._stopped.set()

    def run(self) -> None:
        """Go through cycles until the container is stopped."""
        threading.Thread(
            target=self._reporter.beat, args=(self._stopped,), daemon=True, name="heartbeat"
        ).start()
        if self._config.work.sandbox == "off":
            self._reporter.say("warning", SANDBOX_OFF)
        _clean(REPOS)
        try:
            while not self._stopped.is_set():
                if not self._cycle():
                    self._pause()
        except StoppedError:
            pass
        self._reporter.enter("stopped", "Stopped.")

    def _cycle(self) -> bool:
        """Do one cycle; return whether there was a task, so that the next one begins at once."""
        self._reporter.state.cycle += 1
        try:
            found = self._task()
        except StoppedError:
            raise
        except CredentialError as error:
            self._failed("token", "forge", str(error))
        except (ForgeError, GitError) as error:
            self._forge_failed(error)
        except work.EndpointNotReadyError as error:
            self._failed(error.waiting_for, "endpoint", str(error))
        except (LookupError, TreeError) as error:
            self._services = None  # made again, the repository is looked at again
            self._failed("forge", "repository", str(error))
        except OSError as error:
            self._failed("disk", "disk", _disk_reason(error))
        else:
            return found
        return False

    def _forge_failed(self, error: ForgeError | GitError) -> None:
        if os.strerror(errno.ENOSPC) in str(error):
            self._failed("disk", "disk", DISK_FULL)
            return
        self._services = None  # made again: the token and the repository are looked at again
        self._reporter.state.forge = {"status": getattr(error, "status", None)}
        if isinstance(error, UnauthorizedError | ForbiddenError):
            self._failed("token", "forge", f"the forge refuses the token: {error}")
        else:
            self._failed("forge", "forge", _forge_reason(error))

    def _task(self) -> bool:
        services = self._connected()
        self._reporter.state.forge = {"status": 200}
        if self._config.work.sandbox == "on" and (reason := jail.unsupported()):
            self._failed("sandbox", "sandbox", reason)
            return False
        if shutil.disk_usage(REPOS).free < LEAST_FREE:
            raise OSError(errno.ENOSPC, "")
        cycle = Cycle(services, self._memory)
        try:
            work.probe(services)
        except (work.EndpointNotReadyError, CredentialError):
            cycle.settle()
            raise
        self._reporter.state.result, self._reporter.state.error = "ok", None
        requested = request.take(services.data)
        try:
            found = cycle.run(requested)
        except FormulaError as error:  # the agent's other roles have nothing to do
            self._without_formula(str(error))
            return False
        if found:
            self._failures = 0
            return True
        if not cycle.is_limited:
            self._idle()
        return False

    def _idle(self) -> None:
        self._failures = 0
        self._reporter.enter("idle", "Nothing to do.", result="ok", error=None, task=None)

    def _without_formula(self, message: str) -> None:
        self._failures = 0
        error = {"formula": message}
        self._reporter.enter("idle", message, result="failed", error=error, task=None)

    def _failed(self, waiting_for: str, part: str, message: str) -> None:
        self._failures += 1
        _places(self._config).restore()
        text = self._reporter.redacted(message)
        self._reporter.enter(
            "waiting", text, waiting_for=waiting_for, result="failed", error={part: text}
        )

    def _pause(self) -> None:
        """Wait for the next cycle, for a request, or for the stop; failures are retried sooner."""
        seconds = float(self._config.poll_interval)
        if self._failures:
            doublings = min(self._failures - 1, 10)
            seconds = min(FIRST_PAUSE * 2**doublings, max(seconds, LONGEST_PAUSE))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stopped.is_set():
            if request.waits(state.DATA) and not self._failures:
                return
            self._stopped.wait(min(1.0, max(0.0, deadline - time.monotonic())))

    def _connected(self) -> Services:
        """Return the agent's tools, made again if the token was replaced.

        Raises:
            CredentialError: The token cannot be read.
            ForgeError: The forge does not answer, or refuses the token.
        """
        token = self._config.forge_token.read()
        if self._services is not None and token == self._token:
            return self._services
        config = self._config
        self._token = token
        me = User.named(config.bot_user, config.bot_email) if config.bot_user else None
        forge = WorkForge(config.forge_url, Token(token), config.repo, me=me, patience=PATIENCE)
        user = forge.whoami()
        _check_repository(forge, config)
        mirror = self._mirror(user)
        self._services = Services(
            settings=config,
            forge=forge,
            mirror=mirror,
            claims=Claims(mirror, user.login),
            reporter=self._reporter,
            user=user,
            stopped=self._stopped,
            repos=REPOS,
            data=state.DATA,
            endpoints=ENDPOINTS,
        )
        return self._services

    def _mirror(self, user: User) -> Mirror:
        config = self._config
        folder = _mirror_folder(config)
        url = f"{config.forge_url}/{config.repo}.git"
        folder.mkdir(parents=True, exist_ok=True)
        return Mirror(folder, url, lambda: (user.login, config.forge_token.read()))


def _check_repository(forge: WorkForge, config: Settings) -> None:
    """Make sure that work can be delivered.

    Raises:
        LookupError: The repository cannot be used; the message says why and what to do.
    """
    found = forge.repository()
    if found is None:
        raise LookupError(f"the forge shows this bot user no repository {config.repo}: muster up")
    if found.archived:
        raise LookupError(f"{config.repo} is archived: unarchive it, or stop the agent")
    if config.may_write and not found.may_push:
        raise LookupError(f"the bot user may not write to {config.repo}: muster up")
    if forge.branch_protected(config.primary_branch) is None:
        raise LookupError(
            f"{config.repo} has no branch {config.primary_branch}: correct primary_branch in the "
            "roster, then muster up"
        )


def _forge_reason(error: ForgeError | GitError) -> str:
    if isinstance(error, ForgeUnreachableError):
        return f"the forge does not answer: {error.message}"
    if isinstance(error, GitError) and "unable to access" in str(error):
        return f"the forge does not answer git: {error}"
    if isinstance(error, NotFoundError):
        return f"the forge does not show what the agent needs: {error}"
    return str(error)


def _disk_reason(error: OSError) -> str:
    """Return why the volumes cannot be used; raise the error again if it is another one."""
    if isinstance(error, PermissionError):
        return f"cannot use {error.filename}: trying again"
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        raise error
    return DISK_FULL


def _places(config: Settings) -> modes.Places:
    return modes.Places(state.DATA, REPOS, _mirror_folder(config), ENDPOINTS)


def _mirror_folder(config: Settings) -> Path:
    return REPOS / f"{config.repo.replace('/', '+')}.git"


def _secrets(config: Settings) -> Iterator[str]:
    for credential in (config.forge_token, config.api_key):
        try:
            secret = credential.read() if credential.is_given else ""
        except CredentialError:
            continue
        if len(secret) >= SHORTEST and not secret.startswith("sk-no-key"):
            yield secret


def main() -> int:
    """Run the loop until a signal ends it."""
    try:
        config = settings.load(os.environ)
        _places(config).restore()
        reporter = state.Reporter(
            config.agent, state.DATA, lambda: _secrets(config), lambda line: print(line, flush=True)
        )
        reporter.clear()
    except settings.SettingsError as error:
        return _wrong(str(error))
    except OSError as error:
        return _wrong(f"cannot write {state.DATA}: {error.strerror}")
    loop = Loop(config, reporter)
    _on_signal(loop, reporter)
    processes.become_subreaper()
    loop.run()
    return 0


def _clean(repos: Path) -> None:
    """Remove the locks of a git that was killed with the container before this one."""
    for mirror in repos.glob("*.git"):
        for lock in mirror.rglob("*.lock"):
            lock.unlink()


def _on_signal(loop: Loop, reporter: state.Reporter) -> None:
    """Stop the loop on SIGTERM and SIGINT, and end the process if the loop takes too long.

    This is done in a thread: a handler would run in the main thread, which may wait for a forge or
    hold a lock at that time. What is still held in the end is settled by the next container.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(reader, 1)
        loop.stop()
        time.sleep(LAST_SECONDS)
        reporter.enter("stopped", "Stopped while waiting for an answer.")
        os._exit(0)

    threading.Thread(target=wait, daemon=True, name="stop").start()


def _wrong(message: str) -> int:
    print(f"muster agent: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
