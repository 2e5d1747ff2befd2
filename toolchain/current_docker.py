"""`make test-current-docker`: tests against a current Docker engine, which is built here.

Debian's engine, on which the tests otherwise run, is older than those that most people have. The
current one runs in namespaces of its own, beside the first: its network has other firewall chains,
and when its process namespace ends, no process of it is left. The tests run in there too, because
containers' ports are published on that network's loopback.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolchain import images, versions
from toolchain.golang import Program
from toolchain.paths import BUILD, LOGS, ROOT
from toolchain.shell import ask, can_install_packages, install_packages, run, tail
from toolchain.steps import SetupError, Step, work_through

TESTS = (
    "test_agent_container.py",
    "test_cli_logs.py",
    "test_cli_running.py",
    "test_compose_view.py",
    "test_docker_host.py",
    "test_drift.py",
    "test_fire.py",
    "test_handover.py",
    "test_hire.py",
    "test_killed.py",
    "test_local_forge.py",
    "test_rotate.py",
    "test_work_dev.py",
    "test_work_untrusted.py",
)
"""Those that Docker can fail: what it creates, reports, restarts and removes, and the jail."""

INSIDE = "--inside"
"""Tells the process in the new namespaces from the one that makes them."""

START_SECONDS = 60

_FOLDER = BUILD / "current-docker"
"""The engine's programs, which find each other there."""

_MOBY = "github.com/moby/moby/v2"
_CONTAINERD = "github.com/containerd/containerd/v2"
_RUNC = "github.com/opencontainers/runc"

_NAMESPACES = ("unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")


def main(options: list[str]) -> int:
    """Build the engine, start it, run the tests, and return their exit code.

    Args:
        options: words for pytest in place of `TESTS`.

    Raises:
        SetupError: something is missing, or a step failed.
    """
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    work_through(_plan())
    with tempfile.TemporaryDirectory(prefix="muster-docker-") as folder:
        archive = Path(folder) / "images.tar"
        named = (images.AGENT, images.BASE, images.FORGE, images.ENDPOINT)
        run("docker", "save", "--output", archive, *named, log="docker-save")
        inside = (sys.executable, "-m", "toolchain.current_docker", INSIDE, folder, *options)
        code = subprocess.run([*_NAMESPACES, *inside], cwd=ROOT, check=False).returncode
    print(_coverage())
    return code


def _coverage() -> str:
    others = {file.name for file in (ROOT / "tests" / "engine").glob("test_*.py")} - set(TESTS)
    return (
        f"Docker Engine, moby v{_version()}, with the containerd image store:\n"
        f"  covered: {', '.join(TESTS)}\n"
        f"  not covered: {', '.join(sorted(others))};\n"
        "    the docker command and compose, which are this machine's; building and pulling images"
    )


def _version() -> str:
    return versions.go_module("current/dockerd", _MOBY)


def _plan() -> list[Step]:
    missing = []
    if os.geteuid() != 0:
        missing.append("Namespaces and a Docker engine need root")
    missing += [
        f"{program} is missing: apt-get install {package}"
        for program, package in (("unshare", "util-linux"), ("ip", "iproute2"))
        if shutil.which(program) is None
    ]
    steps = [Step("Current Docker engine: check this machine", lambda: None, tuple(missing))]
    if not _has_seccomp():
        lacks = () if can_install_packages() else ("libseccomp's headers are missing",)
        steps.append(Step("libseccomp: install", _install_seccomp, lacks))
    for program in _programs():
        if not program.is_built():
            title = f"{program.output.name}: build from Go modules"
            steps.append(Step(title, program.build, program.missing()))
    return steps


def _programs() -> list[Program]:
    return [
        Program(
            module="current/dockerd",
            package=f"{_MOBY}/cmd/dockerd",
            output=_FOLDER / "dockerd",
            name="dockerd",
            link=f"-X {_MOBY}/dockerversion.Version={_version()}",
        ),
        Program(
            module="current/dockerd",
            package=f"{_MOBY}/cmd/docker-proxy",
            output=_FOLDER / "docker-proxy",
            name="docker-proxy",
        ),
        Program(
            module="current/containerd",
            package=f"{_CONTAINERD}/cmd/containerd",
            output=_FOLDER / "containerd",
            name="containerd",
            link=f"-X {_CONTAINERD}/version.Version="
            + versions.go_module("current/containerd", _CONTAINERD),
        ),
        Program(
            module="current/containerd",
            package=f"{_CONTAINERD}/cmd/containerd-shim-runc-v2",
            output=_FOLDER / "containerd-shim-runc-v2",
            name="containerd-shim-runc-v2",
        ),
        Program(
            module="current/runc",
            package=_RUNC,
            output=_FOLDER / "runc",
            name="runc",
            link=f"-X main.version={versions.go_module('current/runc', _RUNC)}",
            tags="seccomp",
            cgo=True,
        ),
    ]


def _has_seccomp() -> bool:
    return ask("pkg-config", "--exists", "libseccomp") is not None


def _install_seccomp() -> None:
    install_packages("libseccomp-dev", "pkg-config")


def _inside(folder: Path, options: list[str]) -> int:
    """Start the engine in these namespaces, run the tests, and return their exit code."""
    run("ip", "link", "set", "lo", "up", log="current-docker-network")
    socket = folder / "docker.sock"
    os.environ["PATH"] = f"{_FOLDER}{os.pathsep}{os.environ['PATH']}"
    os.environ["DOCKER_HOST"] = f"unix://{socket}"
    for variable in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        os.environ.pop(variable, None)
    with _engine(folder, socket):
        run("docker", "load", "--input", folder / "images.tar", log="docker-load")
        tests = [f"tests/engine/{name}" for name in TESTS]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *(options or tests)],
            cwd=ROOT,
            check=False,
        ).returncode


@contextmanager
def _engine(folder: Path, socket: Path) -> Iterator[None]:
    """Start the engine, which starts its containerd; both end with the context."""
    settings = folder / "daemon.json"
    settings.write_text("{}")  # not those of the machine's engine
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / "current-dockerd.log"
    command = [
        "dockerd",
        f"--host=unix://{socket}",
        f"--config-file={settings}",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'docker.pid'}",
        "--cgroup-parent=/muster-current-docker",
    ]
    with log.open("w") as output:
        engine = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ask("docker", "version", "--format", "{{.Server.Version}}"):
            if engine.poll() is not None or time.monotonic() > deadline:
                raise SetupError(f"The engine did not start, see {log}:\n{tail(log)}")
            time.sleep(0.2)
        yield
    finally:
        engine.terminate()
        engine.wait()


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == [INSIDE]:
            sys.exit(_inside(Path(sys.argv[2]), sys.argv[3:]))
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        sys.exit(str(error))
