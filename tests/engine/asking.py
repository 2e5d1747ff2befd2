"""What tests ask of a forge in a bot user's name, and how they wait."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect
import requests
from patience import COMMAND, until


def api_status(url: str, token: str, path: str = "/user") -> int:
    """Return the status with which the forge answers a token."""
    return requests.get(
        f"{url}/api/v1{path}", headers={"Authorization": f"token {token}"}, timeout=COMMAND
    ).status_code


def password_status(url: str, user: str, password: str) -> int:
    """Return the status with which the forge answers a password."""
    return requests.get(f"{url}/api/v1/user", auth=(user, password), timeout=COMMAND).status_code


def git_works(url: str, repo: str, user: str, secret: str, folder: Path) -> bool:
    """Tell whether git reads the repository with this secret as the password.

    A barred user is refused with status 200 and an HTML page: only git's result tells.
    """
    host = url.removeprefix("http://")
    done = subprocess.run(
        ["git", "ls-remote", f"http://{user}@{host}/{repo}.git"],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(folder),
            **_answer(folder, secret),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND,
    )
    return done.returncode == 0 and "refs/heads" in done.stdout


def _answer(folder: Path, secret: str) -> dict[str, str]:
    """Return git's environment with a helper that answers with the secret."""
    helper = folder / "askpass"
    helper.write_text('#!/bin/sh\nprintf %s "$GIT_SECRET"\n')
    helper.chmod(0o700)
    return {"GIT_ASKPASS": str(helper), "GIT_SECRET": secret}


def ended(child: "pexpect.spawn[str]") -> int | None:
    """Wait until what runs in a terminal has ended; return its exit code.

    Raises:
        pexpect.TIMEOUT: it runs on.
    """
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus


def interrupted(child: "pexpect.spawn[str]") -> int | None:
    """Press Ctrl-C at a prompt until it has ended what asks; return its exit code.

    Python loses the one that comes in the instant before it reads the answer.
    """

    def ends() -> bool:
        child.sendintr()
        return child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1) == 0

    wait_until(ends)
    return ended(child)


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not hold within so many seconds of an idle machine.
    """
    until(holds, repr(holds), seconds)


@contextmanager
def process_arguments() -> Iterator[set[str]]:
    """Collect the arguments of every process that runs meanwhile, as all of a machine see them."""
    seen: set[str] = set()
    stop = threading.Event()

    def collect() -> None:
        while not stop.wait(0.05):
            for arguments in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # the process has ended
                    seen.add(arguments.read_bytes().decode(errors="replace"))

    watch = threading.Thread(target=collect)
    watch.start()
    try:
        yield seen
    finally:
        stop.set()
        watch.join()
