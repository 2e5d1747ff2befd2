"""What a jail forbids: Landlock's rules for files and ports, seccomp's for system calls."""

import ctypes
import errno
import os
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

import pyseccomp  # type: ignore[import-untyped]
from landlockpy import AccessFS, AccessNet, Ruleset, abi_version, fs_for_abi, scope_for_abi
from pyseccomp import GT, MASKED_EQ, NE, Arg

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt", "/proc")
"""What every command may read and execute. /opt holds Claude Code and an image's toolchains."""

LIMITS = ("/sys/devices/system/cpu", "/sys/fs/cgroup")
"""Where language runtimes read how many processors and how much memory they may use."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")

READ = AccessFS.EXECUTE | AccessFS.READ_FILE | AccessFS.READ_DIR
ON_FILES = (
    AccessFS.EXECUTE
    | AccessFS.READ_FILE
    | AccessFS.WRITE_FILE
    | AccessFS.TRUNCATE
    | AccessFS.IOCTL_DEV
    | AccessFS.RESOLVE_UNIX
)
"""The rights that exist for a path that is not a folder."""

NEVER = AccessFS.MAKE_CHAR | AccessFS.MAKE_BLOCK | AccessFS.IOCTL_DEV

FORBIDDEN = (
    # seccomp does not see what io_uring does.
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"),
    *("add_key", "request_key", "keyctl"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "mount_setattr", "open_tree"),
    *("move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "open_by_handle_at"),
    *("bpf", "perf_event_open", "userfaultfd"),
)

NAMESPACES = (1 << 17, *(1 << bit for bit in range(25, 31)))
"""clone's CLONE_NEWNS, and CLONE_NEW with CGROUP, UTS, IPC, USER, PID and NET."""

TERMINAL_INPUT = (0x5412, 0x541C)
"""ioctl's TIOCSTI and TIOCLINUX: they type into the terminal of whoever started the jail."""

INT = 0xFFFFFFFF
"""The kernel takes an int from the lower half of a register; seccomp compares the whole."""

TYPE = 0xF
"""The part of socket's second argument that is a type; the rest are flags."""

MSG_FASTOPEN = 0x20000000
TCP_ULP = 31


def restrict_access(
    readable: Iterable[str], writable: Iterable[str], ports: Collection[int] | None
) -> None:
    """Restrict this process and all that it starts to these paths and TCP ports.

    Raises:
        OSError: The kernel refuses, or a path does not exist.
    """
    abi = abi_version()
    with Ruleset(
        handled_fs=fs_for_abi(abi),
        handled_net=AccessNet.NONE if ports is None else AccessNet.CONNECT_TCP | AccessNet.BIND_TCP,
        scoped=scope_for_abi(abi),
        best_effort=False,
    ) as ruleset:
        _allow(ruleset, _existing((*SYSTEM, *LIMITS)), READ)
        _allow(ruleset, _existing(DEVICES), ON_FILES)
        _allow(ruleset, readable, READ | AccessFS.RESOLVE_UNIX)
        _allow(ruleset, writable, fs_for_abi(abi) & ~NEVER)
        for port in ports or ():
            ruleset.allow_port(port, AccessNet.CONNECT_TCP)
        ruleset.restrict()


def drop_capabilities() -> None:
    """Give up every capability, which root has and an ordinary user may have been given.

    With CAP_PERFMON, for example, Landlock does not keep /proc/PID/environ secret (Linux 6.18).

    Raises:
        OSError: The kernel refuses.
    """
    version_3, this_process = 0x20080522, 0
    header = (ctypes.c_uint32 * 2)(version_3, this_process)
    none = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, none) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _existing(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _allow(ruleset: Ruleset, paths: Iterable[str], rights: AccessFS) -> None:
    for path in paths:
        ruleset.allow_path(path, rights if Path(path).is_dir() else rights & ON_FILES)


def calls(ports: Collection[int] | None) -> pyseccomp.SyscallFilter:
    """Return the filter of system calls; `load()` restricts this process and all that it starts."""
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for call in FORBIDDEN:
        _deny(rules, call)
    for flag in NAMESPACES:
        _deny(rules, "clone", _has(0, flag))
    # Its flags are in memory, where seccomp cannot look. Libraries fall back to clone.
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    # With another process's number it changes the limits of the runtime.
    _deny(rules, "prlimit64", Arg(0, NE, 0))
    for request in TERMINAL_INPUT:
        _deny(rules, "ioctl", _is(1, request))
    families = _families(ports)
    _deny(rules, "socket", Arg(0, GT, max(families)))
    for family in set(range(max(families))) - families:
        _deny(rules, "socket", _is(0, family))
    if ports:
        _deny_all_but_tcp(rules)
    return rules


def _families(ports: Collection[int] | None) -> set[int]:
    """Return the socket families that a jail has, by what it may connect to."""
    if ports is None:
        return {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    if ports:
        return {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}
    return {socket.AF_UNIX}


def _deny_all_but_tcp(rules: pyseccomp.SyscallFilter) -> None:
    """Deny what connects or sends without asking Landlock, whose rules know TCP's connect alone."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in set(range(TYPE + 1)) - {socket.SOCK_STREAM}:
            _deny(rules, "socket", _is(0, family), Arg(1, MASKED_EQ, TYPE, kind))
        # Streams too, but not TCP for Landlock: MPTCP reached any port (Linux 6.18), and SCTP.
        for protocol in range(1, socket.IPPROTO_TCP):
            _deny(rules, "socket", _is(0, family), _is(2, protocol))
        _deny(rules, "socket", _is(0, family), Arg(2, GT, socket.IPPROTO_TCP))
    # TCP's fast open connects without connect: it reached any port as well.
    _deny(rules, "sendto", _has(3, MSG_FASTOPEN))
    _deny(rules, "sendmsg", _has(2, MSG_FASTOPEN))
    _deny(rules, "sendmmsg", _has(3, MSG_FASTOPEN))
    # An "upper layer protocol" may replace the socket by one that is not TCP: SMC.
    _deny(rules, "setsockopt", _is(1, socket.IPPROTO_TCP), _is(2, TCP_ULP))


def _deny(rules: pyseccomp.SyscallFilter, call: str, *when: Arg) -> None:
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), call, *when)


def _is(argument: int, value: int) -> Arg:
    return Arg(argument, MASKED_EQ, INT, value)


def _has(argument: int, flag: int) -> Arg:
    return Arg(argument, MASKED_EQ, flag, flag)
