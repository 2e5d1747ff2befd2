"""The page docs/reference.md: every field of the roster, from the model.

`python -m muster.reference > docs/reference.md` publishes it.
"""

import json
import sys
from collections.abc import Mapping

from pydantic.fields import FieldInfo

from muster.roster import Agent, ContainerSettings, Muster, Roster
from muster.work_settings import Budgets, Endpoint, Work

HEAD = """\
# Roster reference

<!-- Generated: python -m muster.reference > docs/reference.md -->

Every field of a roster, `stacks/<stack>.toml`, with its default. Editors that know Taplo complete
and check a roster whose first line is `#:schema ../muster/roster.schema.json`. An unknown key is an
error that names the nearest known one. Top-level keys and tables that are not listed belong to a
disinto factory and are ignored; so is `[agents.schedule]`.
"""

_NOT_LISTED = {"path", "muster", "agents", "work", "endpoints"}
"""Fields that no file has, and tables, which have sections of their own here."""

_INHERITED = {
    **dict.fromkeys(ContainerSettings.model_fields, "as in `[muster]`"),
    **dict.fromkeys(Budgets.model_fields, "as in `[muster.work]`"),
}
_CREW_DEFAULTS = {
    "runtime": "follows from `image`",
    "credentials": '`"file"`; `"env"` with runtime disinto',
    "read_only": "`true`; `false` with runtime disinto",
}
_AGENT_DEFAULTS = {**_INHERITED, "forge_user": "the agent's name"}
"""An agent's defaults that follow from other fields."""


def page() -> str:
    """Return the page as Markdown."""
    sections = [
        _section("Top level", Roster.model_fields, {}),
        _section("`[agents.<name>]`", _agent_fields(), _AGENT_DEFAULTS),
        _section("`[muster]`", Muster.model_fields, _CREW_DEFAULTS),
        _section("`[muster.work]`", Work.model_fields, {}),
        _section('`[muster.endpoints."URL"]`', Endpoint.model_fields, {}),
    ]
    return "\n".join([HEAD, *sections])


def _agent_fields() -> dict[str, FieldInfo]:
    """Return an agent's fields, its own before those that it takes from `[muster]`."""
    fields = {name: field for name, field in Agent.model_fields.items() if name != "name"}
    return dict(sorted(fields.items(), key=lambda field: field[0] in _INHERITED))


def _section(title: str, fields: Mapping[str, FieldInfo], defaults: Mapping[str, str]) -> str:
    rows = [
        f"| `{name}` | {defaults.get(name) or _default(field)} | {field.description} |"
        for name, field in fields.items()
        if name not in _NOT_LISTED
    ]
    return "\n".join([f"## {title}\n", "| key | default | |", "|---|---|---|", *rows, ""])


def _default(field: FieldInfo) -> str:
    """Return a default as TOML."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    return f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    sys.stdout.write(page())
