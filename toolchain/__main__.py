"""The command line of set-up: `python3 -m toolchain --help`."""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from toolchain import docker_engine, environment, images, pulumi
from toolchain.paths import MUSTER
from toolchain.steps import SetupError, work_through

EXAMPLES = """\
examples:
  python3 -m toolchain setup        once, and after every change of a version
  python3 -m toolchain demo up      hire the demo crew, on a forge of its own
  python3 -m toolchain demo down    remove the demo crew and its forge
"""


def main() -> None:
    """Do what the command line says; a failure is said on standard error and exits with 1."""
    parser = argparse.ArgumentParser(
        prog="python3 -m toolchain",
        description="Make this machine ready for Muster.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("setup", help="install, build or start what is missing")
    verbs.add_parser("demo", help="hire or remove the demo crew").add_argument(
        "direction", choices=("up", "down")
    )
    arguments = parser.parse_args()
    try:
        if arguments.verb == "setup":
            set_up()
        else:
            run_demo(arguments.direction)
    except SetupError as error:
        sys.exit(str(error))


def set_up() -> None:
    """Bring the machine to where every command of the README works.

    Raises:
        SetupError: something is missing that set-up cannot bring, or a step failed.
    """
    # A root shell that is no login shell may lack them, and Docker's and Debian's tools are there.
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    with alone():
        work_through([*environment.plan(), *pulumi.plan(), *docker_engine.plan(), *images.plan()])
        environment.configure()


def run_demo(direction: str) -> None:
    """Hire or remove the demo crew.

    Raises:
        SetupError: a step failed.
    """
    from toolchain import demo  # noqa: PLC0415 - needs the packages that set-up installs

    if direction == "up":
        demo.up()
    else:
        demo.down()


@contextmanager
def alone() -> Iterator[None]:
    """Keep a second set-up of this checkout waiting until the first one is done."""
    MUSTER.mkdir(exist_ok=True)
    with (MUSTER / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up of this checkout is running: waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
