"""What is wrong in a roster, told to the person at the keyboard: where, what, what instead."""

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from muster.errors import MusterError
from muster.toml_file import Place

_LONGEST_SHOWN = 60

_WRONG = {
    "bool_type": "neither true nor false",
    "finite_number": "no number",
    "float_type": "no number",
    "greater_than_equal": "too small",
    "int_type": "no whole number",
    "less_than_equal": "too large",
    "literal_error": "no choice here",
    "string_type": "no text in quotes",
    "too_short": "no role at all",
    "tuple_type": "no list",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a roster.

    Attributes:
        file: the roster.
        line: the line, counted from 1, where there is one to point at.
        agent: the agent's name, if the problem is in its section.
        field: the key, with its table unless that is an agent's: `roles`, `muster.image`.
        message: what is wrong, and what would be right.
    """

    file: Path
    line: int | None
    agent: str | None
    field: str | None
    message: str

    def __str__(self) -> str:
        """Return the problem as one line of text."""
        place = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        agent = f'agent "{self.agent}"' if self.agent is not None else None
        where = ", ".join(part for part in (agent, self.field) if part)
        return f"{place}: {where}: {self.message}" if where else f"{place}: {self.message}"


class RosterError(MusterError):
    """A roster cannot be used. Its text has a line for each problem of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def told(details: ErrorDetails, model: type[BaseModel]) -> str:
    """Return the message for what pydantic found.

    Args:
        details: what pydantic found.
        model: the model of the table that it was found in.
    """
    kind, value = details["type"], details["input"]
    key = next(part for part in reversed(details["loc"]) if isinstance(part, str))
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "extra_forbidden":
        return unknown(key, model)
    shown = _shown(value, key)
    if kind in {"model_type", "dict_type"}:
        section = dotted(tuple(map(str, details["loc"])))
        return f"{shown} is no section; write [{section}] and its fields below it"
    wrong = "missing" if kind == "missing" else f"{shown} is {_WRONG[kind]}"
    return f"{wrong}; write {_right(details, key, model.model_fields[key])}"


def dotted(place: Place) -> str:
    """Return a place as TOML writes it: `muster.endpoints."http://llama:8081".slots`."""
    return ".".join(
        part if re.fullmatch(r"[\w-]+", part) else json.dumps(part, ensure_ascii=False)
        for part in place
    )


def unknown(key: str, model: type[BaseModel]) -> str:
    """Return the message for a key that a table does not have."""
    known = sorted(set(model.model_fields) - {"name"})
    nearest = difflib.get_close_matches(key, known, n=1)
    right = f'did you mean "{nearest[0]}"?' if nearest else f"known are {', '.join(known)}"
    return f'"{key}" is no known field; {right}'


def _right(details: ErrorDetails, key: str, field: FieldInfo) -> str:
    if details["type"] in {"greater_than_equal", "less_than_equal"}:
        return _range(field)
    if details["type"] == "literal_error":
        return str(details["ctx"]["expected"]).replace("'", '"')
    return f"{key} = {json.dumps((field.examples or [''])[0])}"


def _range(field: FieldInfo) -> str:
    least = next(rule.ge for rule in field.metadata if hasattr(rule, "ge"))
    most = next((rule.le for rule in field.metadata if hasattr(rule, "le")), None)
    return f"a number of at least {least}" if most is None else f"a number from {least} to {most}"


def _shown(value: object, key: str) -> str:
    if key == "api_key":
        return "this value"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
