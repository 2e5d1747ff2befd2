"""Pulumi's engine and plugins: from the PATH, downloaded, or built from Go modules.

The engine and Python's language host go to the virtual environment's bin/. The resource plugins go
to the plugin folder of PULUMI_HOME, because the engine warns of every plugin that it finds on the
PATH.
"""

import functools
import shutil
import urllib.request
from pathlib import Path

from toolchain import golang, versions
from toolchain.golang import Program
from toolchain.paths import BIN, MUSTER, PULUMI_HOME
from toolchain.shell import ask, run, within
from toolchain.steps import SetupError, Step

SDK = "github.com/pulumi/pulumi/sdk/v3"
DOWNLOADS = "https://get.pulumi.com/install.sh"
"""Where the installer behind `PulumiCommand.install` begins."""

PROBE_SECONDS = 5.0

_INSTALL = """
import sys
from pulumi.automation import PulumiCommand
PulumiCommand.install(sys.argv[1])
"""

PLUGINS = ("docker", "command")

VERSION = versions.requirement("pulumi")


def plan() -> list[Step]:
    """Return what is to be done for the engine and its plugins."""
    return [*_plan_engine(), *(step for name in PLUGINS for step in _plan_plugin(name))]


@functools.cache
def can_download(url: str = DOWNLOADS, seconds: float = PROBE_SECONDS) -> bool:
    """Find out in seconds whether Pulumi's downloads can be reached."""

    def reach() -> bool:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the URL is ours
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
                return bool(answer.status == 200)  # noqa: PLR2004
        except OSError:
            return False

    return within(seconds, reach)


def _plan_engine() -> list[Step]:
    engine, host = _engine(), _language_host()
    if (engine.is_built() and host.is_built()) or _is_linked() or _is_on_path():
        return []
    if can_download():
        return [Step(f"Pulumi {VERSION}: download", _download_engine)]
    title = f"Pulumi {VERSION}: build from Go modules (about 4 minutes on 2 cores)"
    return [Step(title, _build_engine, (*engine.missing(), *host.missing()))]


def _is_linked() -> bool:
    """Whether bin/ leads to a downloaded engine that fits."""
    return (BIN / "pulumi").is_symlink() and _fits(BIN / "pulumi")


def _is_on_path() -> bool:
    """Whether the user's own PATH has an engine that fits."""
    found = shutil.which("pulumi")
    return found is not None and Path(found).parent != BIN and _fits(Path(found))


def _fits(engine: Path) -> bool:
    """Whether an engine is of a version that the program works with, and runs Python."""
    version = ask(engine, "version") or ""
    runs_python = (engine.resolve().parent / "pulumi-language-python").exists()
    return (
        runs_python
        and versions.numbers(VERSION) <= versions.numbers(version) < versions.PULUMI_NEWEST
    )


def _engine() -> Program:
    return Program(
        module="pulumi",
        package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        output=BIN / "pulumi",
        # Without it `pulumi version` prints nothing, and the Automation API refuses the engine.
        link=f"-X {SDK}/go/common/version.Version=v{VERSION}",
    )


def _language_host() -> Program:
    return Program(
        module="language-python",
        package=f"{SDK}/python/cmd/pulumi-language-python",
        output=BIN / "pulumi-language-python",
        link=f"-X {SDK}/go/common/version.Version=v{VERSION}",
    )


def _build_engine() -> None:
    _engine().build()
    _language_host().build()
    source = golang.source("pulumi", SDK)
    if source is None:
        raise SetupError(f"The Go module {SDK} cannot be fetched; the language host needs it.")
    for script in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
        copy = BIN / Path(script).name
        copy.unlink(missing_ok=True)
        shutil.copyfile(source / "python" / script, copy)
        copy.chmod(0o755)


def _download_engine() -> None:
    """Have Pulumi's SDK install the engine, and link all of it into bin/."""
    root = MUSTER / "pulumi-engine"
    run(BIN / "python", "-c", _INSTALL, root, log="pulumi-download")
    for file in (root / "bin").iterdir():
        link = BIN / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)


def _plan_plugin(name: str) -> list[Step]:
    program = _plugin(name)
    downloaded = program.output.exists() and not program.was_built()
    # Where downloads work, the engine fetches a plugin that it misses.
    if program.is_built() or downloaded or can_download():
        return []
    title = f"Pulumi's {name} plugin: build from Go modules"
    return [Step(title, program.build, program.missing())]


def _plugin(name: str) -> Program:
    version = versions.requirement(f"pulumi-{name}")
    folder = PULUMI_HOME / "plugins" / f"resource-{name}-v{version}"
    return Program(
        module=f"resource-{name}",
        package=".",
        output=folder / f"pulumi-resource-{name}",
        link=f"-X main.version={version}",
    )
