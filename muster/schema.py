"""The roster's JSON Schema, by which editors complete and check rosters.

`python -m muster.schema > muster/roster.schema.json` publishes it.
"""

import json
import sys
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from muster import rules
from muster.roster import FACTORY_KEYS, SCHEDULE, ContainerSettings, Roster
from muster.work_settings import Budgets

_FACTORY = {"description": "The factory's; Muster leaves it alone."}

_AGENT_PATTERN = rules.NAME_PATTERN.replace("^", f"^(?!{SCHEDULE}$)", 1)

_FORGE_URL_OR_LOCAL_FORGE = [
    {"required": ["forge_url"]},
    {
        "required": ["muster"],
        "properties": {
            "muster": {
                "required": ["local_forge"],
                "properties": {"local_forge": {"const": True}},
            }
        },
    },
]


class _WithoutNull(GenerateJsonSchema):
    """TOML has no null: what is None in the model is left out in the file."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        value = super().default_schema(schema)
        if value.get("default", ...) is None:
            del value["default"]
        return value


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of rosters, as they stand in the file."""
    schema = Roster.model_json_schema(schema_generator=_WithoutNull)
    properties, agent = schema["properties"], schema["$defs"]["Agent"]
    del properties["path"], properties["muster"]["default"]
    properties["agents"] = {
        "title": "Agents",
        "description": "The crew: a section for each agent.",
        "type": "object",
        "properties": {SCHEDULE: {"type": "object", **_FACTORY}},
        "patternProperties": {_AGENT_PATTERN: {"$ref": "#/$defs/Agent"}},
        "additionalProperties": False,
    }
    _shape_agent(agent)
    for table in ("work", "endpoints"):
        del schema["$defs"]["Muster"]["properties"][table]["default"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **schema,
        "required": ["name", "repo"],
        "anyOf": _FORGE_URL_OR_LOCAL_FORGE,
    }


def _shape_agent(agent: dict[str, Any]) -> None:
    """Say of a section what the model, which sees it completed, does not."""
    del agent["properties"]["name"], agent["required"]
    for model, table in ((ContainerSettings, "muster"), (Budgets, "muster.work")):
        for key in model.model_fields:
            agent["properties"][key].pop("default", None)
            agent["properties"][key]["description"] += f" Default: as in [{table}]."
    agent["properties"] |= dict.fromkeys(sorted(FACTORY_KEYS), _FACTORY)
    agent["dependencies"] = {"base_url": ["model"]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
