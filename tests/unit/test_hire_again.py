"""What of an agent that is hired a second `muster hire` would change."""

from pathlib import Path
from typing import Any

import pytest

from muster.cli.commands.hire import _changed
from muster.roster import Agent, load

TOML = """\
name = "acme"
repo = "acme/site"
forge_url = "http://forge"

[agents.dev-qwen]
base_url = "http://llama:8081/v1/"
model = "qwen"
formula = "formulas/dev.toml"
roles = ["dev", "review"]
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    path = tmp_path / "acme.toml"
    path.write_text(TOML)
    return load(path).agents["dev-qwen"]


@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": "http://llama:8081/v1/"},
        {"base_url": "http://llama:8081"},
        {"base_url": "HTTP://LLAMA:8081/v1/messages"},
        {"formula": "./formulas/dev.toml"},
        {"model": "qwen", "roles": ["dev", "review"]},
    ],
)
def test_the_same_words_or_the_same_value_in_another_form_change_nothing(
    agent: Agent, fields: dict[str, Any]
) -> None:
    assert _changed(agent, fields) == {}


@pytest.mark.parametrize(
    "fields",
    [{"base_url": "http://llama:8082"}, {"roles": ["dev"]}, {"base_url": "no URL", "model": "m"}],
)
def test_another_value_changes_and_a_wrong_one_is_left_to_the_roster(
    agent: Agent, fields: dict[str, Any]
) -> None:
    assert _changed(agent, fields) == fields
