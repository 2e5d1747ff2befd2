"""Building programs from the Go modules under toolchain/go."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from toolchain import stamps, versions
from toolchain.shell import ask, run


@dataclass(frozen=True)
class Program:
    """A program that one of our Go modules builds.

    Attributes:
        module: the module's folder under toolchain/go.
        package: the Go package that is the program.
        output: where the program goes.
        link: the linker's flags.
        tags: the build tags.
        cgo: whether a C compiler takes part.
        name: what its stamp and log are called, if the module builds several programs.
    """

    module: str
    package: str
    output: Path
    link: str = ""
    tags: str = ""
    cgo: bool = False
    name: str | None = None

    def is_built(self) -> bool:
        """Whether the program is there, built from what the module says now."""
        return self.output.exists() and stamps.fits(self._stamp_name, self.stamp())

    def was_built(self) -> bool:
        """Whether the program was built here, if from an older state of the module."""
        return stamps.exists(self._stamp_name)

    def stamp(self) -> str:
        """Return the hash of all that the program is built from."""
        folder = versions.GO_MODULES / self.module
        return stamps.digest(folder, self.package, self.link, self.tags)

    def missing(self) -> tuple[str, ...]:
        """Return what this machine lacks to build the program."""
        needed, found = versions.go_needed(self.module), ask("go", "env", "GOVERSION", seconds=30)
        lacks = []
        if found is None or versions.numbers(found) < versions.numbers(needed):
            have = f"this is {found}" if found else "there is none"
            lacks.append(f"Go {needed} or newer is needed, {have}: see go.dev/doc/install")
        if self.cgo and shutil.which("cc") is None:
            lacks.append("A C compiler is needed: apt-get install gcc libc6-dev")
        return tuple(lacks)

    def build(self) -> None:
        """Build the program with Go's own cache; a killed build leaves the old one in place.

        Raises:
            SetupError: Go failed.
        """
        self.output.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.output.with_name(f"{self.output.name}.new")
        run(
            *("go", "build", "-mod=readonly", "-trimpath", "-tags", self.tags),
            *("-ldflags", f"-s -w {self.link}", "-o", fresh, self.package),
            log=self._stamp_name,
            cwd=versions.GO_MODULES / self.module,
            environment={**_ENVIRONMENT, "CGO_ENABLED": str(int(self.cgo))},
        )
        fresh.replace(self.output)
        stamps.write(self._stamp_name, self.stamp())

    @property
    def _stamp_name(self) -> str:
        return f"go-{self.name or self.module}"


def source(module: str, required: str) -> Path | None:
    """Return the folder with the source of a Go module that ours requires."""
    command = ("go", "-C", versions.GO_MODULES / module, "mod", "download", "-json", required)
    printed = ask(*command, seconds=300)
    return Path(json.loads(printed)["Dir"]) if printed else None


_ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOWORK": "off"}
"""What is installed builds what is here, whatever the user's own settings say."""
