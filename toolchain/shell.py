"""Running other programs: quietly, with a log, with an end."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from toolchain.paths import LOGS
from toolchain.steps import SetupError

TAIL = 15
"""So many of a log's last lines stand in an error."""


def run(
    *command: str | Path,
    log: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: Path = Path(os.devnull),
) -> None:
    """Run a command; its output goes to a log.

    Args:
        command: the program and its arguments.
        log: the log's name.
        cwd: the working directory.
        environment: variables to add.
        stdin: the file that the command reads.

    Raises:
        SetupError: it failed; the message ends with the log's last lines.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    file = LOGS / f"{log}.log"
    with file.open("w") as output, stdin.open() as source:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=source,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise SetupError(f"{Path(command[0]).name} failed, see {file}:\n{tail(file)}")


def tail(file: Path) -> str:
    """Return a log's last lines."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-TAIL:])


def ask(*command: str | Path, seconds: float = 10) -> str | None:
    """Return what a command prints, None where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def within(seconds: float, question: Callable[[], bool]) -> bool:
    """Return a question's answer, False where it does not come in time.

    For questions whose own time-outs leave something out, as name resolution in urllib.
    """
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(question()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers == [True]


def can_install_packages() -> bool:
    """Whether we are root on a Debian-like system."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_packages(*names: str) -> None:
    """Install Debian packages.

    Raises:
        SetupError: apt failed.
    """
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "--quiet", log="apt-update", environment=quiet)
    options = ("--yes", "--quiet", "--no-install-recommends")
    run("apt-get", "install", *options, *names, log="apt-install", environment=quiet)
