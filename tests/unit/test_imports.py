"""Imports go one way: `__main__` to `components` to `muster`, and Pulumi stays above `muster`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUSTER = sorted((ROOT / "muster").rglob("*.py"))
COMPONENTS = sorted((ROOT / "components").rglob("*.py"))
CLI = ROOT / "muster" / "cli"


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    return set(_imports(ast.parse(path.read_text())))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of(package: str, modules: set[str]) -> set[str]:
    return {module for module in modules if module.split(".")[0].split("_")[0] == package}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_look_at() -> None:
    assert len(MUSTER) > 10
    assert len(COMPONENTS) > 10


@pytest.mark.parametrize("path", MUSTER, ids=short)
def test_muster_imports_neither_components_nor_the_program(path: Path) -> None:
    modules = imported(path)
    assert of("components", modules) == set()
    assert "__main__" not in modules


@pytest.mark.parametrize("path", MUSTER, ids=short)
def test_muster_knows_no_pulumi_and_its_command_knows_the_automation_api_alone(path: Path) -> None:
    known = of("pulumi", imported(path))
    if path.is_relative_to(CLI):
        known = {module for module in known if not module.startswith("pulumi.automation")}
    assert known == set()


@pytest.mark.parametrize("path", COMPONENTS, ids=short)
def test_components_import_neither_the_program_nor_the_command(path: Path) -> None:
    modules = imported(path)
    assert "__main__" not in modules
    assert not {module for module in modules if module.startswith("muster.cli")}


def test_only_muster_below_the_command_is_imported_by_muster() -> None:
    below = [path for path in MUSTER if not path.is_relative_to(CLI)]
    upwards = {
        short(path): module
        for path in below
        for module in imported(path)
        if module.startswith("muster.cli")
    }
    assert upwards == {}


def test_the_program_imports_its_components_only() -> None:
    modules = imported(ROOT / "__main__.py")
    assert modules == {"components.program.main", "components.program.tune_sdk", "pulumi"}
