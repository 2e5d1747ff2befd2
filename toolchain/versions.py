"""Every version that set-up needs, each read from the one file where it stands.

Python packages: requirements.txt. What is built from Go: the go.mod files. The rest: here.
"""

import re
from pathlib import Path

from toolchain.paths import ROOT

GO_MODULES = ROOT / "toolchain" / "go"

PULUMI_NEWEST = (4,)
"""The first engine version that is too new."""

DEBIAN_SUITE = "bookworm"

BASE_IMAGE = "debian:bookworm-20260824-slim"

FORGE_IMAGE = "codeberg.org/forgejo/forgejo:15.0.3-rootless"
"""Forgejo 15 has long-term support."""


def requirement(package: str) -> str:
    """Return the version of a Python package."""
    return _find(ROOT / "requirements.txt", rf"^{re.escape(package)}==(\S+)$")


def go_module(name: str, required: str) -> str:
    """Return the version, without its `v`, at which our Go module requires another one."""
    return _find(GO_MODULES / name / "go.mod", rf"^(?:require)?\s*{re.escape(required)} v(\S+)")


def go_needed(module: str) -> str:
    """Return the oldest Go that builds one of our Go modules and those beside it."""
    modules = (GO_MODULES / module).parent.glob("*/go.mod")
    return max((_find(file, r"^go (\S+)$") for file in modules), key=numbers)


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, in their order: `v3.256.0` is (3, 256, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0])[:3])


def _find(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    if not found:
        raise LookupError(f"{file} has no line like {pattern}")
    return found[1]
