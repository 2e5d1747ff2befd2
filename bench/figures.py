"""What was measured, beside the mark that it should keep."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import docker


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        agents: the crew's size.
        what: what was measured.
        value: how much of `unit`.
        unit: `s`, `MiB`, `calls`, or `times` for a ratio within the run.
        mark: the most that it may be; with `least` the least. None where it only informs.
        least: whether more is better.
    """

    agents: int
    what: str
    value: float
    unit: str
    mark: float | None = None
    least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the mark is kept; None where there is none."""
        if self.mark is None:
            return None
        return self.value >= self.mark if self.least else self.value <= self.mark

    def as_json(self) -> dict[str, Any]:
        """Return the figure for `--json`."""
        return {**asdict(self), "met": self.met}

    def row(self) -> str:
        """Return the figure as a row of a Markdown table."""
        met = {None: "", True: "met", False: "**missed**"}[self.met]
        mark = "" if self.mark is None else f"{'≥' if self.least else '≤'} {self.mark:g}"
        return f"| {self.agents} | {self.what} | {self.value:.3g} {self.unit} | {mark} | {met} |"


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    head = ["| agents | figure | value | mark | |", "|---:|---|---:|---:|---|"]
    return "\n".join([*head, *(figure.row() for figure in figures)])


def machine(client: docker.DockerClient, forge_version: str) -> dict[str, str]:
    """Return what the figures depend on: the machine, what else it does, versions."""
    pulumi = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=True)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "Pulumi": pulumi.stdout.strip(),
        "pulumi-docker": importlib.metadata.version("pulumi-docker"),
        "Docker": str(client.version()["Version"]),
        "forge": forge_version,
    }
