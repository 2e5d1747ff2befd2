"""Enter a jail and become a command: `python -I -S jail_launcher.py JAIL -- COMMAND...`.

`JAIL` is JSON from `jail.Jail.command`. This is a separate program so that the jail is complete
before the command's first instruction. It imports little, because it runs once per command.
"""

import ctypes.util
import json
import os
import sys

FAILED = 125


def main() -> int:
    """Run the command line. Returns only if that fails."""
    try:
        jail, command = json.loads(sys.argv[1]), sys.argv[3:]
        os.closerange(3, 2**31 - 1)
        sys.path += jail["imports"]
        _enter(jail["readable"], jail["writable"], jail["ports"])
        _execute(command)
    except Exception as error:  # noqa: BLE001 - whatever failed, the command must not run
        print(f"muster jail: {error}", file=sys.stderr)
    return FAILED


def _enter(readable: list[str], writable: list[str], ports: list[int] | None) -> None:
    # The libraries would find these two by running ldconfig, which takes longer than all the rest.
    ctypes.util.find_library = {"c": "libc.so.6", "seccomp": "libseccomp.so.2"}.get  # type: ignore[assignment]
    from runtime import jail_rules  # noqa: PLC0415 - not on the path until now

    # Made first, because libseccomp's own files may be out of reach afterwards.
    calls = jail_rules.calls(ports)
    jail_rules.restrict_access(readable, writable, ports)
    jail_rules.drop_capabilities()
    calls.load()


def _execute(command: list[str]) -> None:
    try:
        os.execvp(command[0], command)  # noqa: S606 - a shell is not wanted
    except OSError as error:
        raise OSError(f"cannot run {command[0]}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
