"""What the agent image takes from PyPI: Claude Code's binary and the runtime's libraries.

The host's pip fetches both for the image's platform and checks their hashes, so the image needs no
pip, and a registry that is set up on this machine is used as it is.
"""

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolchain import stamps
from toolchain.paths import BIN, BUILD, ROOT
from toolchain.shell import ask, run
from toolchain.steps import SetupError

LOCKS = ROOT / "images" / "agent"
CLAUDE = BUILD / "claude"
"""The folder that holds Claude Code's binary, `claude`."""
LIBRARIES = BUILD / "agent-libraries"

_MEMBER = "claude_agent_sdk/_bundled/claude"
_PYTHON = "3.11"  # Debian bookworm's
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC = ("2_17", "2_28")


def are_made() -> bool:
    """Return whether both are there in the right version.

    Raises:
        SetupError: Claude Code is not available for the Docker engine's processor.
    """
    platforms = _platforms()
    return all(part.is_made(platforms) for part in _parts())


def make() -> None:
    """Fetch what is missing or has another version.

    Raises:
        SetupError: pip failed, or Claude Code is not available for the Docker engine's processor.
    """
    platforms = _platforms()
    for part in _parts():
        if not part.is_made(platforms):
            part.make(platforms)
            stamps.write(part.name, part.stamp(platforms))


@dataclass(frozen=True)
class _Part:
    """A folder in the build folder, made from what a lock file pins."""

    name: str
    lock: str
    make: Callable[[list[str]], None]

    def stamp(self, platforms: list[str]) -> str:
        return stamps.digest(*platforms, LOCKS / self.lock)

    def is_made(self, platforms: list[str]) -> bool:
        return stamps.fits(self.name, self.stamp(platforms)) and (BUILD / self.name).exists()


def _parts() -> list[_Part]:
    return [
        _Part("claude", "claude.txt", _make_claude),
        _Part("agent-libraries", "requirements.txt", _make_libraries),
    ]


def _make_claude(platforms: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir=_build()) as folder:
        _pip("download", "--dest", folder, lock="claude.txt", platforms=platforms)
        [wheel] = Path(folder).glob("*.whl")
        shutil.rmtree(CLAUDE, ignore_errors=True)
        CLAUDE.mkdir()
        binary = CLAUDE / "claude"
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(_MEMBER) as source,
            binary.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
        binary.chmod(0o755)


def _make_libraries(platforms: list[str]) -> None:
    _build()
    shutil.rmtree(LIBRARIES, ignore_errors=True)
    _pip("install", "--target", str(LIBRARIES), lock="requirements.txt", platforms=platforms)


def _build() -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    return BUILD


def _pip(verb: str, *options: str, lock: str, platforms: list[str]) -> None:
    python = BIN / "python" if (BIN / "python").exists() else Path(sys.executable)
    run(
        *(str(python), "-m", "pip", verb, "--disable-pip-version-check", "--no-deps", *options),
        *("--require-hashes", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", _PYTHON, "--requirement", str(LOCKS / lock)),
        *(f"--platform={platform}" for platform in platforms),
        log=f"pip-{lock.removesuffix('.txt')}",
    )


def _platforms() -> list[str]:
    architecture = ask("docker", "version", "--format", "{{.Server.Arch}}") or "amd64"
    machine = _MACHINES.get(architecture)
    if machine is None:
        raise SetupError(
            f"Claude Code is not available for {architecture}: use an engine on x86-64 or ARM64"
        )
    return [f"manylinux_{glibc}_{machine}" for glibc in _GLIBC] + [f"manylinux2014_{machine}"]
