"""The jail in which sessions and a project's commands run: Landlock for files, seccomp for calls.

A command in the jail
- reads and executes the system's folders, `readable` and `writable`, and writes `writable` alone;
- connects to the TCP ports in `ports`, or to nothing if there are none. It never binds a port, so
  a project's checks cannot start a server on loopback. `ports=None` lifts all of this;
- sees no other process than those of its own jail in `/proc`, and cannot trace or signal them
  (signals: Linux 6.12 and later);
- gains no privileges, namespaces, mounts, keys or io_uring.

What Landlock has no rule for, as of Linux 6.18:
- A port rule holds for every host. Only a Unix socket with `ports=()` shuts other hosts out.
- Any Unix socket that the user may write to can be connected to (Linux 7 has a rule for it).
- Names, sizes, modes and times of files: the user's own files outside can be listed by exact name
  and their modes changed.

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
