"""Read a roster's TOML, and find the lines on which its keys stand."""

import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

MARK = "\ufeff"
"""A byte order mark, which some editors leave at the begin of a file."""

Place = tuple[str, ...]
"""The keys that lead to a value: `("agents", "dev-qwen", "roles")`."""


class TomlFileError(Exception):
    """A file cannot be read, or is no TOML.

    Attributes:
        line: the line, counted from 1, where there is one to point at.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class TomlFile:
    """A TOML file's text, and what it says."""

    text: str
    data: Mapping[str, Any]

    def line_of(self, place: Place) -> int | None:
        """Return the line on which a key begins, or else the table that would hold it."""
        above = (place[:end] for end in range(len(place), 0, -1))
        return next((self._lines[place] for place in above if place in self._lines), None)

    @cached_property
    def _lines(self) -> Mapping[Place, int]:
        return _key_lines(self.text)


def read(path: Path) -> TomlFile:
    """Read a TOML file.

    Raises:
        TomlFileError: the file is missing, unreadable or not valid TOML.
    """
    return parse(_text(path))


def parse(text: str) -> TomlFile:
    """Read the text of a TOML file.

    Raises:
        TomlFileError: it is not valid TOML.
    """
    text = text.removeprefix(MARK)
    try:
        return TomlFile(text, tomllib.loads(text))
    except ValueError as error:  # a TOMLDecodeError, or a number that Python does not take
        message = str(error)
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if place is None:
        raise TomlFileError(f"this is no valid TOML: {message}")
    line = int(place[1]) if place[1] else text.rstrip("\n").count("\n") + 1
    raise TomlFileError(f"this is no valid TOML: {_plain(message[: place.start()])}", line)


def _plain(message: str) -> str:
    """Say what tomllib says of duplicates in the words of the file."""
    twice = re.fullmatch(r"Cannot declare \((.*?),?\) twice", message)
    if twice:
        section = ".".join(re.findall(r"'([^']*)'", twice[1]))
        return f"the section [{section}] stands there twice; keep one of them"
    if message == "Cannot overwrite a value":
        return "this key stands there twice; keep one of them"
    return message


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise TomlFileError(
            "there is no such roster; write one there, or name another with "
            "pulumi config set muster:roster PATH"
        ) from None
    except OSError as error:
        raise TomlFileError(f"this cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    raise TomlFileError("this is no UTF-8 text; save the file as UTF-8", line)


def _key_lines(text: str) -> dict[Place, int]:
    """Return the line on which each key and each table of a valid file begins.

    No TOML library at hand tells positions. So the file is cut into its statements, each the
    fewest lines that parse by themselves: what a table is, a dotted key, a text or list of many
    lines, the parser itself decides.
    """
    lines: dict[Place, int] = {}
    for statement in statements(text):
        for place in statement.places:
            lines.setdefault(place, statement.line)
    return lines


@dataclass(frozen=True)
class Statement:
    """The fewest lines of a file that parse by themselves.

    Attributes:
        line: the first line, counted from 1.
        text: the lines, each with its end.
        table: the table that it opens, or else stands in.
        places: the keys that begin in it, from the file's root.
        opens: whether it opens the table.
    """

    line: int
    text: str
    table: Place
    places: tuple[Place, ...]
    opens: bool


def statements(text: str) -> Iterator[Statement]:
    """Cut a valid file into its statements; blank lines and comments are statements too."""
    table: Place = ()
    for first, gathered in _cut(text):
        places = tuple(_places(tomllib.loads(gathered)))
        opens = gathered.lstrip().startswith("[")
        if opens:
            table = places[-1]
        else:
            places = tuple(table + place for place in places)
        yield Statement(first, gathered, table, places, opens)


def _cut(text: str) -> Iterator[tuple[int, str]]:
    """Return the statements of a valid file, each with its first line.

    Each character is read once: parsing after each line whether a value is complete would take
    quadratic time for a long list.
    """
    first, gathered, depth, quotes = 1, [], 0, ""
    for number, line in enumerate(lines(text), start=1):
        gathered.append(line)
        at = 0
        while found := (_IN_TEXT[quotes] if quotes else _TOKEN).search(line, at):
            at, sign = found.end(), found[0]
            if quotes:
                quotes = "" if sign.startswith(quotes) else quotes
            elif sign in _IN_TEXT:
                quotes = sign
            else:
                depth += (sign in "[{") - (sign in "]}")
        if not depth and not quotes:
            yield first, "".join(gathered)
            first, gathered = number + 1, []


_TOKEN = re.compile(
    r'"""|\'\'\''  # a text of many lines begins
    r'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''  # a text in one line
    r"|#.*"
    r"|[\[\]{}]"
)
_IN_TEXT = {'"""': re.compile(r'\\.|"{3,5}'), "'''": re.compile("'{3,5}")}
"""What matters in a text of many lines. Up to two quotes before the last three belong to it."""


def line_end(text: str) -> str:
    """Return how a text ends its lines."""
    return "\r\n" if "\r\n" in text else "\n"


def lines(text: str) -> list[str]:
    """Cut a text into lines with their ends, where TOML does: at line feeds alone."""
    return list(io.StringIO(text, newline="\n"))


def _places(value: Mapping[str, Any]) -> Iterator[Place]:
    for key, child in value.items():
        yield (key,)
        # [[table]] is a list of one table.
        table = child[0] if isinstance(child, list) and child else child
        if isinstance(table, dict):
            yield from ((key, *place) for place in _places(table))
