"""The Docker engine: the one that answers, else one that is installed and started here."""

import shutil
import subprocess
import time
from pathlib import Path

from muster import docker_host
from muster.docker_host import DockerHostError
from toolchain import golang, versions
from toolchain.paths import BIN, LOGS
from toolchain.shell import ask, can_install_packages, install_packages, run, tail
from toolchain.steps import SetupError, Step

PACKAGES = {"dockerd": "docker.io", "iptables": "iptables", "docker": "docker-cli"}
"""Debian's packages, by the program that they bring; docker-cli is part of docker.io up to 12."""

PID_FILES = (Path("/run/docker.pid"), Path("/run/docker/containerd/containerd.pid"))

START_SECONDS = 60

NO_ENGINE = """\
No Docker engine answers this user: start one (systemctl start docker), join the group docker, \
set DOCKER_HOST, or install one (docs.docker.com/engine/install; as root on Debian or Ubuntu, \
set-up does that)"""


def answers() -> bool:
    """Whether the engine that the environment names answers."""
    return bool(ask("docker", "version", "--format", "{{.Server.Version}}"))


def plan() -> list[Step]:
    """Return what is to be done for the Docker engine and `docker compose`."""
    return [*_plan_engine(), *_plan_compose()]


def _plan_engine() -> list[Step]:
    if answers():
        return []
    missing = _another_engine()
    if not missing and not can_install_packages():
        missing = (NO_ENGINE,)
    return [Step("Docker engine: install and start", _install_and_start, missing)]


def _another_engine() -> tuple[str, ...]:
    """Return why no engine on this machine's socket would be the one that `docker` uses."""
    try:
        host = docker_host.resolve(None)
    except DockerHostError as error:
        return (str(error),)
    if host.address == docker_host.LOCAL_SOCKET:
        return ()
    missing = f"No Docker engine answers at {host}: start it, or choose this machine's "
    return (f"{missing}(unset DOCKER_HOST and DOCKER_CONTEXT, docker context use default)",)


def _plan_compose() -> list[Step]:
    if _has_compose("docker", "compose") or _has_compose("docker-compose"):
        return []
    program = golang.Program(
        module="compose",
        package="github.com/docker/compose/v2/cmd",
        output=BIN / "docker-compose",
        link="-X github.com/docker/compose/v2/internal.Version=v"
        + versions.go_module("compose", "github.com/docker/compose/v2"),
    )
    if program.is_built():
        return []
    if lacks := program.missing():
        print(
            f"docker compose is not there, so crews have no compose view; to build it: {lacks[0]}"
        )
        return []
    return [Step("docker compose: build from Go modules (about a minute)", program.build)]


def _has_compose(*command: str) -> bool:
    """Whether a command is compose; its first version, in Python, is another program."""
    return versions.numbers(ask(*command, "version", "--short") or "") >= (2,)


def _install_and_start() -> None:
    for program, package in PACKAGES.items():
        if shutil.which(program) is None:
            install_packages(package)
    if Path("/run/systemd/system").exists():
        run("systemctl", "start", "docker", log="docker")
    elif not answers():
        _start()


def _start() -> None:
    """Start an engine that outlives set-up, and wait until it answers."""
    _clear_stale_pids()
    _mount_cgroups()
    _choose_iptables()
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / "dockerd.log"
    with log.open("w") as output:
        engine = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if engine.poll() is not None or time.monotonic() > deadline:
            raise SetupError(f"The Docker engine did not start, see {log}:\n{tail(log)}")
        time.sleep(0.2)


def _clear_stale_pids() -> None:
    """Remove what a killed engine left: it refuses to start while another process has its id."""
    for file in PID_FILES:
        if file.exists():
            process = Path("/proc") / file.read_text().strip() / "comm"
            if not process.exists() or process.read_text().strip() != _owner(file):
                file.unlink()


def _owner(pid_file: Path) -> str:
    return "containerd" if pid_file.stem == "containerd" else "dockerd"


def _mount_cgroups() -> None:
    """Mount control groups where nothing has, as in a bare virtual machine."""
    if "cgroup" not in Path("/proc/mounts").read_text():
        run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup", log="docker")


def _choose_iptables() -> None:
    """Fall back to the older iptables where the kernel knows no nftables."""
    if ask("iptables", "--table", "nat", "--list-rules") is None:
        legacy = "/usr/sbin/iptables-legacy"
        run("update-alternatives", "--set", "iptables", legacy, log="docker")
