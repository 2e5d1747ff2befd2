"""The jail on this kernel: real commands try to get out; real git and Claude Code work in it."""

import errno
import json
import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import landlockpy
import pyseccomp  # type: ignore[import-untyped]
import pytest
from runtime.jail import Jail, unsupported

from toolchain.agent_parts import CLAUDE as CLAUDE_FOLDER

pytestmark = pytest.mark.skipif(unsupported() is not None, reason=str(unsupported()))
scopes_signals = pytest.mark.skipif(
    landlockpy.abi_version() < 6, reason="Landlock scopes signals and sockets from Linux 6.12 on"
)

PATH = "/usr/local/bin:/usr/bin:/bin"
PYTHON = (Path(sys.base_prefix), Path(sys.prefix))
TOKEN = "0123456789abcdef"

ERRNO_OF = """
import json, sys

def errno_of(action):
    try:
        action()
    except OSError as error:
        return error.errno
    return None
"""
"""Begins probes: Python programs that print what they were refused."""

CALLS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)

def call(arguments):
    result = libc.syscall(*map(ctypes.c_long, arguments))
    return ctypes.get_errno() if result == -1 else None

calls = json.loads(sys.argv[1])
print(json.dumps({name: call(arguments) for name, arguments in calls.items()}))
"""
"""A probe that makes system calls as they are, past the checks of a library."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file outside the jail, of the user that runs the jail."""
    file = tmp_path / "data" / "token"
    file.parent.mkdir()
    file.write_text(TOKEN)
    return file


def run(
    jail: Jail, *argv: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        jail.command([str(each) for each in argv]),
        cwd=cwd,
        env={"PATH": PATH} | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def jailed(tree: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    return run(Jail((), (tree,), ()), *argv, cwd=tree)


def probe(tree: Path, code: str, *arguments: object, ports: tuple[int, ...] | None = ()) -> object:
    """Run a probe in a jail and return what it printed."""
    argv = (sys.executable, "-c", ERRNO_OF + code, *map(str, arguments))
    done = run(Jail(PYTHON, (tree,), ports), *argv, cwd=tree)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def syscall(name: str) -> int:
    number: int = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    return number


def made(
    tree: Path, calls: Mapping[str, tuple[int, ...]], ports: tuple[int, ...] | None = ()
) -> dict[str, int | None]:
    """Make system calls in a jail and return the error of each, None for success."""
    errors = probe(tree, CALLS, json.dumps(calls), ports=ports)
    assert isinstance(errors, dict)
    return errors


@contextmanager
def listening(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            server.listen()
        yield server


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process of the same user outside the jail, with a secret in its environment."""
    with subprocess.Popen(["sleep", "60"], env={"PATH": PATH, "TOKEN": TOKEN}) as process:
        yield process.pid
        process.kill()


# Files


def test_a_file_outside_cannot_be_read(tree: Path, token: Path) -> None:
    done = jailed(tree, "cat", token)
    assert (done.stdout, done.returncode) == ("", 1)
    assert "Permission denied" in done.stderr


def test_a_file_outside_cannot_be_read_through_a_symlink_in_the_tree(
    tree: Path, token: Path
) -> None:
    (tree / "link").symlink_to(token)
    assert TOKEN not in jailed(tree, "cat", "link").stdout


def test_a_file_outside_cannot_be_read_through_a_symlink_to_its_folder(
    tree: Path, token: Path
) -> None:
    (tree / "link").symlink_to(token.parent)
    assert TOKEN not in jailed(tree, "cat", "link/token").stdout


def test_a_file_outside_cannot_be_linked_into_the_tree(tree: Path, token: Path) -> None:
    assert jailed(tree, "ln", token, "stolen").returncode != 0
    assert not (tree / "stolen").exists()


def test_a_file_outside_cannot_be_moved_into_the_tree(tree: Path, token: Path) -> None:
    assert jailed(tree, "mv", token, "stolen").returncode != 0
    assert token.read_text() == TOKEN


@pytest.mark.parametrize(
    "attack",
    ["echo x > '{0}'", "echo x >> '{0}'", "truncate -s 0 '{0}'", "rm -f '{0}'", "touch '{0}.new'"],
)
def test_a_folder_outside_cannot_be_changed(tree: Path, token: Path, attack: str) -> None:
    jailed(tree, "sh", "-c", attack.format(token))
    assert token.read_text() == TOKEN
    assert list(token.parent.iterdir()) == [token]


def test_a_folder_outside_cannot_be_listed(tree: Path, token: Path) -> None:
    done = jailed(tree, "ls", token.parent)
    assert "token" not in done.stdout
    assert "Permission denied" in done.stderr


def test_the_tree_can_be_written_and_its_files_executed(tree: Path) -> None:
    script = (
        "printf '#!/bin/sh\\necho works' > a && chmod +x a && mkdir b && mv a b && b/a && rm b/a"
    )
    assert jailed(tree, "sh", "-c", script).stdout == "works\n"


def test_a_file_can_be_linked_from_one_writable_folder_into_another(
    tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    (tree / "a").touch()
    jail = Jail((), (tree, tmp_path / "tmp"), ())
    assert run(jail, "ln", tree / "a", tmp_path / "tmp").returncode == 0


def test_a_readable_folder_cannot_be_written(tree: Path, token: Path) -> None:
    done = run(Jail((token.parent,), (tree,), ()), "sh", "-c", f"cat '{token}'; echo x > '{token}'")
    assert done.stdout == TOKEN
    assert token.read_text() == TOKEN


def test_a_single_file_can_be_readable_and_another_writable(tree: Path, token: Path) -> None:
    log = token.with_name("log")
    log.touch()
    done = run(Jail((token,), (log,), ()), "sh", "-c", f"cat '{token}' > '{log}'", cwd=tree)
    assert (done.returncode, log.read_text()) == (0, TOKEN)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/urandom"])
def test_devices_without_state_work(tree: Path, device: str) -> None:
    assert jailed(tree, "sh", "-c", f"head -c 1 {device} > /dev/null").returncode == 0


# Processes


def test_another_processs_files_cannot_be_read(tree: Path, bystander: int) -> None:
    files = ["environ", "mem", "maps", "fd/0", "root/etc/passwd", "cwd/."]
    code = """
import os
print(json.dumps([errno_of(lambda: os.open(path, os.O_RDONLY)) for path in sys.argv[1:]]))
"""
    refusals = probe(tree, code, *(f"/proc/{bystander}/{file}" for file in files))
    assert refusals == [errno.EACCES] * len(files)


def test_the_environment_of_process_1_cannot_be_read(tree: Path) -> None:
    assert "Permission denied" in jailed(tree, "cat", "/proc/1/environ").stderr


def test_a_processs_own_environment_can_be_read(tree: Path) -> None:
    assert f"PATH={PATH}" in jailed(tree, "cat", "/proc/self/environ").stdout


@scopes_signals
@pytest.mark.parametrize("number", [0, signal.SIGSTOP, signal.SIGKILL])
def test_a_process_outside_cannot_be_signalled(tree: Path, bystander: int, number: int) -> None:
    done = jailed(tree, "sh", "-c", f"kill -{int(number)} {bystander}")
    assert "Operation not permitted" in done.stderr
    assert os.waitpid(bystander, os.WNOHANG | os.WUNTRACED) == (0, 0)


def test_a_process_of_the_jail_can_be_signalled(tree: Path) -> None:
    assert jailed(tree, "sh", "-c", "sleep 60 & kill -9 $!; wait $!").returncode == 128 + 9


def test_the_limits_of_a_process_outside_cannot_be_changed(tree: Path, bystander: int) -> None:
    code = """
import resource
print(json.dumps([errno_of(lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (9, 9)))
                  for pid in (int(sys.argv[1]), 0)]))
"""
    assert probe(tree, code, bystander) == [errno.EPERM, None]


def test_inherited_descriptors_are_closed(tree: Path, token: Path) -> None:
    launch = Jail((), (tree,), ()).command(["sh", "-c", "cat <&9"])
    command = ["sh", "-c", f"exec \"$@\" 9< '{token}'", "sh", *launch]
    done = subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert "ad file descriptor" in done.stderr or "ad fd number" in done.stderr


def test_there_are_no_privileges_and_none_can_be_gained(tree: Path) -> None:
    status = jailed(tree, "cat", "/proc/self/status").stdout
    assert "CapEff:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status


def test_the_process_group_stays_the_callers(tree: Path) -> None:
    stat = jailed(tree, "cat", "/proc/self/stat").stdout
    assert stat.rpartition(")")[2].split()[2] == str(os.getpgrp())


# Network

CONNECT = """
import socket
print(json.dumps([errno_of(lambda: socket.create_connection(("127.0.0.1", int(port)), 5))
                  for port in sys.argv[1:]]))
"""


def test_the_permitted_port_answers_and_another_does_not(tree: Path) -> None:
    with listening() as permitted, listening() as other:
        numbers = [server.getsockname()[1] for server in (permitted, other)]
        assert probe(tree, CONNECT, *numbers, ports=(numbers[0],)) == [None, errno.EACCES]


def test_without_ports_there_are_no_internet_sockets(tree: Path) -> None:
    with listening() as server:
        assert probe(tree, CONNECT, server.getsockname()[1]) == [errno.EPERM]


def test_with_an_open_network_any_port_answers(tree: Path) -> None:
    with listening() as server:
        assert probe(tree, CONNECT, server.getsockname()[1], ports=None) == [None]


@pytest.mark.parametrize("port", [0, 45678])
def test_no_port_can_be_bound(tree: Path, port: int) -> None:
    code = """
import socket
server = socket.socket()
print(json.dumps(errno_of(lambda: server.bind(("127.0.0.1", int(sys.argv[1]))))))
"""
    assert probe(tree, code, port, ports=(9,)) == errno.EACCES


DATAGRAM = """
import socket
def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", int(sys.argv[1])))
print(json.dumps(errno_of(send)))
"""


def test_no_datagram_leaves_the_jail_so_names_cannot_be_resolved(tree: Path) -> None:
    with listening(socket.SOCK_DGRAM) as server:
        port = server.getsockname()[1]
        assert probe(tree, DATAGRAM, port, ports=(port,)) == errno.EPERM
        assert not select.select([server], [], [], 0)[0]


def test_with_an_open_network_datagrams_leave_the_jail(tree: Path) -> None:
    with listening(socket.SOCK_DGRAM) as server:
        assert probe(tree, DATAGRAM, server.getsockname()[1], ports=None) is None
        assert select.select([server], [], [], 5)[0]


INET, INET6, STREAM, DATAGRAMS, RAW = 2, 10, 1, 2, 3
MPTCP, SCTP, HIGH = 262, 132, 1 << 32
SOCKETS = {
    "UDP over IPv6": (INET6, DATAGRAMS, 0),
    "UDP, closed on exec": (INET, DATAGRAMS | 0o2000000, 0),
    "UDP, with the registers' upper halves": (INET | HIGH, DATAGRAMS | HIGH, 0),
    "MPTCP": (INET, STREAM, MPTCP),
    "MPTCP over IPv6": (INET6, STREAM, MPTCP | HIGH),
    "SCTP": (INET, STREAM, SCTP),
    "raw": (INET, RAW, 1),
    "netlink": (16, RAW, 0),
    "packet": (17, RAW, 0),
    "TIPC": (30, STREAM, 0),
    "Bluetooth": (31, STREAM, 3),
    "kernel crypto": (38, 5, 0),
    "virtual machine": (40, STREAM, 0),
    "SMC": (43, STREAM, 0),
}


def test_no_other_kind_of_socket_exists(tree: Path) -> None:
    calls = {name: (syscall("socket"), *arguments) for name, arguments in SOCKETS.items()}
    assert made(tree, calls, ports=(9,)) == dict.fromkeys(calls, errno.EPERM)


def test_a_fast_open_reaches_no_port(tree: Path) -> None:
    """Landlock does not see this way to connect (seen on Linux 6.18)."""
    code = """
import socket
client = socket.socket()
server = ("127.0.0.1", int(sys.argv[1]))
print(json.dumps([errno_of(lambda: client.sendto(b"x", socket.MSG_FASTOPEN, server)),
                  errno_of(lambda: client.sendmsg([b"x"], [], socket.MSG_FASTOPEN, server))]))
"""
    with listening() as server:
        port = server.getsockname()[1]
        assert probe(tree, code, port, ports=(9,)) == [errno.EPERM, errno.EPERM]
        assert not select.select([server], [], [], 0)[0]


def test_a_socket_cannot_be_turned_into_one_that_is_not_tcp(tree: Path) -> None:
    code = """
import socket
print(json.dumps(errno_of(lambda: socket.socket().setsockopt(socket.IPPROTO_TCP, 31, b"smc"))))
"""
    assert probe(tree, code, ports=(9,)) == errno.EPERM


UNIX = """
import socket
client = socket.socket(socket.AF_UNIX)
print(json.dumps(errno_of(lambda: client.connect(sys.argv[1].replace("@", chr(0))))))
"""


def test_a_unix_socket_in_a_readable_folder_answers(tree: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/socket")
        server.listen()
        jail = Jail((*PYTHON, Path(folder)), (tree,), ())
        done = run(jail, sys.executable, "-c", ERRNO_OF + UNIX, f"{folder}/socket")
    assert json.loads(done.stdout) is None


@scopes_signals
def test_an_abstract_unix_socket_outside_does_not_answer(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0muster-test-{os.getpid()}")
        server.listen()
        assert probe(tree, UNIX, f"@muster-test-{os.getpid()}") == errno.EPERM


# System calls


@pytest.mark.parametrize("ports", [(), None], ids=["no network", "open network"])
def test_calls_that_lead_out_of_the_jail_are_refused(
    tree: Path, ports: tuple[int, ...] | None
) -> None:
    names = (
        *("io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace", "process_vm_readv"),
        *("process_vm_writev", "pidfd_getfd", "keyctl", "add_key", "request_key", "mount"),
        *("umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsmount", "unshare"),
        *("setns", "bpf", "perf_event_open", "userfaultfd", "open_by_handle_at"),
    )
    calls = {name: (syscall(name), 0, 0, 0, 0, 0, 0) for name in names}
    assert made(tree, calls, ports) == dict.fromkeys(calls, errno.EPERM)


def test_no_namespace_can_be_made(tree: Path) -> None:
    new_user, end_signal = 0x10000000, 17
    calls = {
        "clone": (syscall("clone"), new_user | end_signal, 0, 0, 0, 0),
        "clone3, whose flags cannot be checked": (syscall("clone3"), 0, 0),
    }
    assert list(made(tree, calls).values()) == [errno.EPERM, errno.ENOSYS]


def test_nothing_can_be_typed_into_the_callers_terminal(tree: Path) -> None:
    tiocsti = 0x5412
    calls = {str(high): (syscall("ioctl"), 0, tiocsti | high, 0) for high in (0, HIGH)}
    assert made(tree, calls) == dict.fromkeys(calls, errno.EPERM)


def test_threads_and_processes_can_be_started(tree: Path) -> None:
    code = """
import subprocess, threading
threading.Thread(target=lambda: subprocess.run(["echo", "1"], check=True)).start()
"""
    assert probe(tree, code) == 1


# The command


def test_the_environment_and_the_working_folder_are_passed_on(tree: Path) -> None:
    done = run(Jail((), (tree,), ()), "sh", "-c", "env; pwd", cwd=tree, env={"KEY": "a b"})
    assert {"KEY=a b", f"PATH={PATH}", str(tree)} <= set(done.stdout.splitlines())


def test_arguments_and_the_exit_code_are_passed_on(tree: Path) -> None:
    done = jailed(tree, "sh", "-c", 'printf "%s\\n" "$@"; exit 7', "--", "a b", "--", "ü")
    assert (done.stdout, done.returncode) == ("a b\n--\nü\n", 7)


def test_the_launcher_imports_nothing_from_the_commands_pythonpath(tree: Path) -> None:
    for name in ("json", "ctypes", "landlockpy", "runtime"):
        (tree / f"{name}.py").write_text("raise SystemExit('imported')")
    jail = Jail((), (tree,), ())
    assert run(jail, "true", cwd=tree, env={"PYTHONPATH": str(tree)}).returncode == 0


@pytest.mark.parametrize(
    ("jail", "command", "words"),
    [
        (Jail((Path("/nowhere"),), (), ()), "true", "/nowhere"),
        (Jail((), (), (70000,)), "true", "70000"),
        (Jail((), (), ()), "no-such-command", "cannot run no-such-command"),
    ],
)
def test_a_jail_that_cannot_be_entered_exits_with_125_and_one_line(
    jail: Jail, command: str, words: str
) -> None:
    done = run(jail, command)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("muster jail: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_jail_that_is_off_restricts_nothing(token: Path) -> None:
    assert run(Jail((), (), (), off=True), "cat", token).stdout == TOKEN


def test_asking_whether_a_jail_is_supported_restricts_nothing() -> None:
    assert unsupported() is None
    assert "NoNewPrivs:\t0" in Path("/proc/self/status").read_text()


WITHOUT_LANDLOCK = """
import os, sys
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(int(sys.argv[1])), "landlock_create_ruleset")
rules.load()
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Runs a command as on a kernel, or under a container engine, that refuses Landlock."""


def without_landlock(error: int, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_LANDLOCK, str(error), *command],
        env={"PATH": PATH, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("error", "remedy"), [(errno.ENOSYS, "use Linux 6.7 or later"), (errno.EPERM, "update Docker")]
)
def test_a_machine_without_landlock_is_reported_with_a_remedy(error: int, remedy: str) -> None:
    code = "from runtime.jail import unsupported; print(unsupported())"
    answer = without_landlock(error, sys.executable, "-c", code).stdout
    assert "Landlock" in answer
    assert remedy in answer
    assert 'sandbox = "off"' in answer


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
def test_without_landlock_no_command_runs(error: int) -> None:
    done = without_landlock(error, *Jail((), (), ()).command(["echo", "ran"]))
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.count("\n") == 1


# What works in it


def git(*arguments: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_git_commits_in_a_tree_that_borrows_its_history(tmp_path: Path, tree: Path) -> None:
    mirror, home = tmp_path / "mirror.git", tmp_path / "home"
    home.mkdir()
    git("init", "--quiet", "--bare", "--initial-branch=main", mirror)
    git("clone", "--quiet", "--shared", mirror, tree)
    git("commit", "--quiet", "--allow-empty", "--message=first", cwd=tree)
    git("push", "--quiet", "origin", "HEAD:main", cwd=tree)
    names = {
        f"GIT_{role}_{key}": "dev@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for key in ("NAME", "EMAIL")
    }
    script = (
        "echo x > file && git add --all && git commit --quiet --message=second && git gc --quiet"
    )
    jail = Jail((mirror,), (tree, home), ())
    done = run(jail, "sh", "-c", script, cwd=tree, env=names | {"HOME": str(home)})
    assert done.returncode == 0, done.stderr
    assert git("log", "--format=%s", cwd=tree) == "second\nfirst\n"
    assert run(jail, "git", "push", "origin", "HEAD:main", cwd=tree, env=names).returncode != 0


def streamed(model: str, block: dict[str, object]) -> bytes:
    """Return a message of one block as the Messages API streams it."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message: dict[str, object] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
    }
    message |= {"model": model, "stop_reason": None, "stop_sequence": None, "usage": usage}
    if block["type"] == "text":
        start, reason = block | {"text": ""}, "end_turn"
        delta = {"type": "text_delta", "text": block["text"]}
    else:
        start, reason = block | {"input": {}}, "tool_use"
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    stop = {"stop_reason": reason, "stop_sequence": None}
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": usage},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


class Model(BaseHTTPRequestHandler):
    """Runs the last line of the prompt in Bash, and then says what came out."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = request["messages"][-1]["content"]
        last = content[-1] if isinstance(content, list) else {"type": "text", "text": content}
        if last["type"] == "tool_result":
            body = streamed(request["model"], {"type": "text", "text": str(last["content"])})
        else:
            command = {"command": last["text"].splitlines()[-1], "description": "Look"}
            tool: dict[str, object] = {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "Bash",
                "input": command,
            }
            body = streamed(request["model"], tool)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
        pass


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, str]:
    """Claude Code's folders, by the variables that name them."""
    names = ("HOME", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_TMPDIR")
    folders = {name: tmp_path / name.lower() for name in names}
    for folder in folders.values():
        folder.mkdir()
    return {name: str(folder) for name, folder in folders.items()}


def session(
    tree: Path, homes: dict[str, str], prompt: str, jail: Jail, **env: str
) -> dict[str, object]:
    """Run Claude Code on a prompt and return its result."""
    command = [CLAUDE_FOLDER / "claude", "--print", "--bare", "--output-format", "json"]
    command += ["--model", "script", "--allowedTools", "Bash", "--setting-sources", "user"]
    env |= homes | {"ANTHROPIC_API_KEY": "placeholder", "CLAUDE_CODE_MAX_RETRIES": "0"}
    env |= {"PATH": PATH, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    done = subprocess.run(
        jail.command([str(each) for each in command]),
        cwd=tree,
        env=env,
        input=prompt,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_claude_code_starts(tree: Path, homes: dict[str, str]) -> None:
    folders = tuple(map(Path, homes.values()))
    jail = Jail((CLAUDE_FOLDER,), (tree, *folders), ())
    done = run(jail, CLAUDE_FOLDER / "claude", "--version", cwd=tree, env=homes)
    assert "Claude Code" in done.stdout


def test_claude_code_works_through_one_port(tree: Path, homes: dict[str, str]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    folders = tuple(map(Path, homes.values()))
    jail = Jail((CLAUDE_FOLDER,), (tree, *folders), (server.server_port,))
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        result = session(tree, homes, "echo $((6 * 7)) | tee file", jail, ANTHROPIC_BASE_URL=url)
    assert (result["is_error"], result["result"]) == (False, "42")
    assert (tree / "file").read_text() == "42\n"


def test_claude_code_works_through_a_unix_socket(tree: Path, homes: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/socket"
        server = socketserver.ThreadingUnixStreamServer(address, Model)
        folders = tuple(map(Path, homes.values()))
        jail = Jail((CLAUDE_FOLDER, Path(folder)), (tree, *folders), ())
        variables = {"ANTHROPIC_BASE_URL": "http://gateway", "ANTHROPIC_UNIX_SOCKET": address}
        with serving(server):
            result = session(tree, homes, "echo $((6 * 7))", jail, **variables)
    assert (result["is_error"], result["result"]) == (False, "42")


def test_what_claude_code_starts_is_in_the_jail_too(
    tree: Path, token: Path, homes: dict[str, str]
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    folders = tuple(map(Path, homes.values()))
    jail = Jail((CLAUDE_FOLDER,), (tree, *folders), (server.server_port,))
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        result = session(tree, homes, f"cat '{token}' || true", jail, ANTHROPIC_BASE_URL=url)
    assert result["result"] == f"cat: {token}: Permission denied"
