"""The roster reference: docs/reference.md is made from the model."""

import subprocess
import sys
from pathlib import Path

from muster import reference, schema

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_published_reference_is_the_models() -> None:
    command = [sys.executable, "-m", "muster.reference"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert PAGE.read_text() == printed, "run: python -m muster.reference > docs/reference.md"


def test_the_reference_has_every_field_that_a_file_may_have() -> None:
    page = reference.page()
    published = schema.json_schema()
    tables = {"Roster": published, **published["$defs"]}
    sections = {"muster", "agents", "work", "endpoints"}
    factory = {"harness"}
    for table, model in tables.items():
        for field in model["properties"].keys() - sections - factory:
            assert f"| `{field}` |" in page, f"{table}: {field}"


def test_the_reference_shows_defaults_as_toml() -> None:
    lines = reference.page().splitlines()
    rows = {line.split(" | ")[0]: line.split(" | ")[1] for line in lines if line.startswith("| `")}
    assert rows["| `name`"] == "required"
    assert rows["| `roles`"] == '`["dev"]`'
    assert rows["| `local_forge`"] == "`false`"
    assert rows["| `forge_user`"] == "the agent's name"
    assert rows["| `tasks_per_day`"] == "none"
