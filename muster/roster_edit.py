"""Change a roster's text: an agent's section comes, changes or goes, and nothing else moves.

Comments, order and formatting stay byte for byte outside the changed lines. Every edit is held
against what the file then says: one that changed anything else is refused.
"""

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit

from muster import files
from muster.errors import MusterError
from muster.toml_file import MARK, Place, Statement, line_end, lines, statements

Fields = Mapping[str, object]


class RosterEditError(MusterError):
    """A roster is written in a way that cannot be edited; its text says what to do by hand."""


def read(path: Path) -> str:
    """Return a roster's text as it is, line ends and byte order mark included.

    Raises:
        RosterEditError: there is no such file, or it is no UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise RosterEditError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RosterEditError(f"{path}: this is no UTF-8 text; save the file as UTF-8") from None


def write(path: Path, text: str) -> None:
    """Put a text in a roster's place, in one step.

    Raises:
        RosterEditError: the file cannot be written.
    """
    try:
        files.replace(path, text.encode(), mode=None if path.exists() else 0o644)
    except OSError as error:
        raise RosterEditError(f"{path}: {error.strerror}") from None


def fields(text: str, agent: str) -> dict[str, Any] | None:
    """Return what an agent's section says, None where there is no such section."""
    agents = _data(text).get("agents", {})
    section = agents.get(agent) if isinstance(agents, dict) else None
    return section if isinstance(section, dict) else None


def with_agent(text: str, agent: str, values: Fields) -> str:
    """Return the roster with a section more, at its end.

    Raises:
        RosterEditError: the roster's agents are no sections.
    """
    newline = line_end(text)
    document = tomlkit.document()
    agents = tomlkit.table(is_super_table=True)
    section = tomlkit.table()
    for key, value in values.items():
        section[key] = _inline(value)
    agents[agent] = section
    document["agents"] = agents
    added = tomlkit.dumps(document).replace("\n", newline)
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return _checked(text, f"{text}{gap}{added}", agent, dict(values))


def _inline(value: object) -> object:
    """Write a table on one line: a section of its own could not be edited with its agent's."""
    if not isinstance(value, Mapping):
        return value
    table = tomlkit.inline_table()
    table.update(value)
    return table


def with_fields(text: str, agent: str, values: Fields) -> str:
    """Return the roster with other values in an agent's section; None takes a field out.

    A field that has its value already stays as it is written.

    Raises:
        RosterEditError: the agent is no section of its own.
    """
    before, section, after = _cut(text, agent)
    now = fields(text, agent) or {}
    expected = {**now, **values}
    for key, value in values.items():
        if key in now and now[key] == value and type(now[key]) is type(value):
            continue
        section = list(_with_field(section, key, value, line_end(text)))
    return _checked(
        text,
        before + "".join(section) + after,
        agent,
        {key: value for key, value in expected.items() if value is not None},
    )


def without_agent(text: str, agent: str) -> str:
    """Return the roster without an agent's section, and without the blank line before it.

    Comments below the section's last field stay: they may speak of what follows.

    Raises:
        RosterEditError: the agent is no section of its own.
    """
    before, section, after = _cut(text, agent)
    kept = section[_end_of_fields(section) :]
    above = lines(before)
    if above and not above[-1].strip():
        before = "".join(above[:-1])
    return _checked(text, before + "".join(kept) + after, agent, None)


def _cut(text: str, agent: str) -> tuple[str, list[str], str]:
    """Return what stands before an agent's section, the section's statements, what follows."""
    place: Place = ("agents", agent)
    found = [*_statements(text)]
    starts = [i for i, each in enumerate(found) if each.opens and each.table == place]
    nested = any(each.table[:2] == place and each.table != place for each in found)
    if len(starts) != 1 or nested:
        raise RosterEditError(
            f"agent {agent} is no section of its own in the roster: write it as "
            f"[agents.{agent}] with a field a line, or edit the file by hand"
        )
    rest = found[starts[0] + 1 :]
    length = 1 + sum(1 for _ in itertools.takewhile(lambda each: not each.opens, rest))
    texts = [each.text for each in found]
    start, end = starts[0], starts[0] + length
    mark = MARK if text.startswith(MARK) else ""
    return mark + "".join(texts[:start]), texts[start:end], "".join(texts[end:])


def _statements(text: str) -> Iterator[Statement]:
    return statements(text.removeprefix(MARK))


def _with_field(section: list[str], key: str, value: object, newline: str) -> Iterator[str]:
    end = _end_of_fields(section)
    written = False
    for index, statement in enumerate(section):
        if index == end and not written and value is not None:
            yield _line(section[end - 1], key, value, newline)
            written = True
        if index == 0 or key not in tomllib.loads(statement):
            yield statement
        elif value is not None:
            yield _replaced(statement, key, value)
            written = True
    if value is not None and not written:
        last = section[-1]
        yield ("" if last.endswith("\n") else newline) + _line(last, key, value, newline)


def _end_of_fields(section: list[str]) -> int:
    """Return where the statements end that are header or field; comments may follow."""
    return 1 + max(
        (index for index, text in enumerate(section) if index and tomllib.loads(text)), default=0
    )


def _line(above: str, key: str, value: object, newline: str) -> str:
    """Return a field's line, indented as the one above it."""
    indent = above[: len(above) - len(above.lstrip(" \t"))]
    return f"{indent}{key} = {tomlkit.item(value).as_string()}{newline}"


def _replaced(statement: str, key: str, value: object) -> str:
    """Return a field's statement with another value, its comment kept."""
    document = tomlkit.parse(statement)
    document[key] = value
    return tomlkit.dumps(document)


def _data(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix(MARK))
    except tomllib.TOMLDecodeError as error:
        raise RosterEditError(f"the roster is no valid TOML: {error}") from None


def _checked(old: str, new: str, agent: str, section: Fields | None) -> str:
    """Return the edited text, where it says what it should and nothing else changed."""
    expected = _data(old)
    before = expected.get("agents", {})
    if not isinstance(before, dict):
        raise RosterEditError("the roster's agents are no sections: write each as [agents.NAME]")
    agents = {**before, agent: section}
    expected["agents"] = {name: each for name, each in agents.items() if each is not None}
    try:
        said = tomllib.loads(new.removeprefix(MARK))
    except tomllib.TOMLDecodeError:
        said = {}
    if {"agents": {}, **said} != expected:
        raise RosterEditError(
            f"agent {agent} cannot be edited in this roster as it is written: write each agent "
            "as a section [agents.NAME] with a field a line, or edit the file by hand"
        )
    return new
