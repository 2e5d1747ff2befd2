"""The jail in which sessions and a project's commands run: Landlock for access, seccomp for calls.

A command in the jail
- reads and executes the system's folders and `readable`, and changes nothing but `writable`;
- connects to the TCP `ports`, and has no other sockets but Unix ones: no UDP, so no DNS. It cannot
  bind a port: a server that a project's checks start could not be connected to anyway. Without
  ports there are no internet sockets at all; `ports=None` opens the network;
- reads no memory, environment or files of processes outside, and cannot trace them, change their
  limits, or signal them (signals: Linux 6.12 and later). Their command lines are visible;
- has no capabilities and gains none, nor namespaces, mounts, keys or io_uring.

What Linux 6.18 does not let a jail forbid:
- A port is permitted on every host. Only a Unix socket and `ports=()` keep out other hosts.
- Any Unix socket outside can be connected to if its mode permits (until Landlock's 9th version).
- The modes and times of the user's own files outside can be changed, for example to 000, and
  whether a name exists can be seen.

Landlock: https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import landlockpy

MINIMUM_ABI = 4
"""The first Landlock version with TCP rules: Linux 6.7."""

LAUNCHER = Path(__file__).with_name("jail_launcher.py")


@dataclass(frozen=True)
class Jail:
    """What a command may use.

    Attributes:
        readable: Files and folders to read and execute, beyond the system's.
        writable: Files and folders to read, execute and change. All of them must exist.
        ports: TCP ports to connect to; None opens the network.
        off: Restrict nothing.
    """

    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    ports: tuple[int, ...] | None
    off: bool = False

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` in this jail.

        It depends on neither the working folder nor the environment, and passes both on. If the
        jail or `argv` cannot be started it exits with 125 and one line on standard error.
        """
        if self.off:
            return list(argv)
        jail = {
            "readable": [str(path) for path in self.readable],
            "writable": [str(path) for path in self.writable],
            "ports": self.ports,
            # The launcher reads no PYTHONPATH; an empty entry would be the working folder.
            "imports": [folder for folder in sys.path if folder],
        }
        return [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(jail), "--", *argv]


def unsupported() -> str | None:
    """Return why this machine cannot run a jail and how to fix it, or None if it can."""
    remedy = 'or set sandbox = "off" in the roster.'
    try:
        abi = landlockpy.abi_version()
    except landlockpy.LandlockError as error:
        return (
            f"Docker's seccomp profile blocks Landlock ({error.strerror}): update Docker {remedy}"
        )
    if abi == 0:
        return (
            f"Landlock is not enabled in this kernel ({platform.release()}): use Linux 6.7 or later"
            f' with "landlock" in its "lsm" boot parameter, {remedy}'
        )
    if abi < MINIMUM_ABI:
        return (
            f"Landlock cannot restrict TCP ports in this kernel ({platform.release()}):"
            f" use Linux 6.7 or later {remedy}"
        )
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return f"libseccomp.so.2 not found: install libseccomp2 in the image {remedy}"
    return None
