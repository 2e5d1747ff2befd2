"""Formulas: a role as data, in a TOML file.

    description = "what the role is for"
    selects = "backlog" | "pulls" | "unlabelled" | "schedule"
    delivers = "branch" | "review" | "triage" | "issue"
    hours = 24        # schedule: the time between two runs
    prompt = '''…'''  # what the model is to do; the runtime adds the issue or pull request

A formula comes from the project's repository (primary branch), or is one that ships.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

KEYS = ("description", "selects", "delivers", "hours", "prompt")
SELECTS = ("backlog", "pulls", "unlabelled", "schedule")
DELIVERS = {"backlog": "branch", "pulls": "review", "unlabelled": "triage", "schedule": "issue"}
"""What a role delivers follows from what it selects; a formula says both, for its reader."""

FOLDER = ".muster/formulas"
"""Where a repository keeps the formulas of its own roles."""


class FormulaError(Exception):
    """There is no such formula, or it is not valid; the message says what is expected."""


@dataclass(frozen=True)
class Formula:
    """A role.

    Attributes:
        role: Its name.
        selects: Which tasks it takes.
        delivers: What comes of a task.
        prompt: What the model is to do.
        hours: For `schedule`, the time between two runs.
    """

    role: str
    selects: str
    delivers: str
    prompt: str
    hours: float


def load(role: str, name: str | None, in_repository: Callable[[str], str | None]) -> Formula:
    """Return the formula of a role.

    Args:
        role: The role.
        name: What the roster's `formula` says, None for the role's own.
        in_repository: Returns a file of the primary branch.

    Raises:
        FormulaError: There is none, or it is not valid.
    """
    is_file = name is not None and ("/" in name or name.endswith(".toml"))
    place = str(name) if is_file else f"{FOLDER}/{name or role}.toml"
    text = in_repository(place)
    if text is not None:
        return parse(role, text, place)
    shipped = resources.files("runtime") / "formulas" / f"{name or role}.toml"
    if not is_file and shipped.is_file():
        return parse(role, shipped.read_text("utf-8"), f"{name or role}.toml")
    raise FormulaError(f"role {role} has no formula: add {place} to the primary branch")


def parse(role: str, text: str, place: str) -> Formula:
    """Read a formula's text.

    Raises:
        FormulaError: It is not valid.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormulaError(f"{place} is not valid TOML: {error}") from None
    if unknown := values.keys() - KEYS:
        raise FormulaError(f"{place}: unknown key {min(unknown)}; known keys are {', '.join(KEYS)}")
    selects = values.get("selects")
    if selects not in SELECTS:
        raise FormulaError(f"{place}: selects must be one of {', '.join(SELECTS)}")
    if values.get("delivers") != DELIVERS[selects]:
        raise FormulaError(f'{place}: delivers must be "{DELIVERS[selects]}" with "{selects}"')
    return Formula(role, selects, DELIVERS[selects], _prompt(values, place), _hours(values, place))


def _prompt(values: dict[str, Any], place: str) -> str:
    prompt = values.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise FormulaError(f"{place}: prompt is missing")
    return prompt.strip()


def _hours(values: dict[str, Any], place: str) -> float:
    hours = values.get("hours", 24)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not hours > 0:
        raise FormulaError(f"{place}: hours must be a number above 0")
    return float(hours)
