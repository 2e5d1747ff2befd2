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

_AGENT_PATTERN = rules.NAME_PATTERN.replace(
    "^", f"^(?!{SCHEDULE}$)(?=.{{1,{rules.NAME_LENGTH}}}$)", 1
)

_LOCAL_FORGE = {
    "required": ["muster"],
    "properties": {
        "muster": {
            "required": ["local_forge"],
            "properties": {"local_forge": {"const": True}},
        }
    },
}

_READS_ONLY = {"required": ["permission"], "properties": {"permission": {"const": "read"}}}
_NO_WRITING_ROLE = {
    "required": ["roles"],  # the default is dev
    "properties": {"roles": {"items": {"not": {"enum": list(rules.WRITING_ROLES)}}}},
}


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
    _refuse_real_keys(schema)
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
        "definitions": {"RealKey": {"pattern": rules.KEY_PATTERN}},
        "required": ["name", "repo"],
        "if": _LOCAL_FORGE,
        "else": {"required": ["forge_url"]},
    }


def _shape_agent(agent: dict[str, Any]) -> None:
    """Say of a section what the model, which sees it completed, does not."""
    del agent["properties"]["name"], agent["required"]
    for model, table in ((ContainerSettings, "muster"), (Budgets, "muster.work")):
        for key in model.model_fields:
            agent["properties"][key].pop("default", None)
            agent["properties"][key]["description"] += f" Default: as in [{table}]."
    agent["properties"] |= dict.fromkeys(sorted(FACTORY_KEYS), _FACTORY)
    agent["properties"]["roles"]["uniqueItems"] = True
    agent |= {"dependencies": {"base_url": ["model"]}, "if": _READS_ONLY, "then": _NO_WRITING_ROLE}


def _refuse_real_keys(schema: Any) -> None:  # noqa: ANN401 - JSON
    """Say of every text that it is not a provider's real key."""
    if isinstance(schema, list):
        for each in schema:
            _refuse_real_keys(each)
    if not isinstance(schema, dict):
        return
    for each in list(schema.values()):
        _refuse_real_keys(each)
    if schema.get("type") == "string" and "enum" not in schema:
        schema["not"] = {"$ref": "#/definitions/RealKey"}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
