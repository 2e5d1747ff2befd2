"""Keep keys in a `.env` file, in place, beside whatever else stands there."""

import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

from dotenv.parser import Binding, parse_stream
from filelock import FileLock, Timeout

from muster import files
from muster.errors import MusterError

_LOCK_SECONDS = 30

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
# What a quoted value must not hold, if python-dotenv (which fills in `${X}` even between single
# quotes, and reads `\\` and `\'` there as escapes), `docker compose --env-file` and `sh` are to
# read back the same.
_NOT_IN_SINGLE_QUOTES = re.compile(r"['\x00-\x1f\x7f]|\\\\|\\$|\$\{")
_NOT_IN_DOUBLE_QUOTES = re.compile(r'["$`\\\x00-\x1f\x7f]')
# A binding as python-dotenv reads it: without quotes, a # needs a space before it.
_COMMENT = re.compile(
    r"""\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)[^\S\r\n]*=[^\S\r\n]*
    (?:
        (?:'(?:\\'|[^'])*'|"(?:\\"|[^"])*")(?P<after>[^\S\r\n]*\#[^\r\n]*)?
        |(?!['"])[^\r\n]*?(?P<behind>[^\S\r\n]+\#[^\r\n]*)
    )""",
    re.VERBOSE,
)

_Edit = Callable[[list[Binding]], Iterator[str]]


class EnvFileError(MusterError):
    """A `.env` file cannot be read or written. Its message holds no value."""


def read(path: Path) -> dict[str, str]:
    """Return the keys of a `.env` file, or none where there is no file.

    Of a key that stands there twice the last value counts, as for compose.

    Raises:
        EnvFileError: the file cannot be read.
    """
    return {
        binding.key: binding.value
        for binding in _bindings(_text(path))
        if binding.key is not None and binding.value is not None
    }


def write(path: Path, values: Mapping[str, str]) -> set[str]:
    """Set keys in a `.env` file, which is made if it is missing and has mode 0600 afterwards.

    A key that stands there keeps its place; one that stands there twice keeps its last. Every
    other line stays as it is, byte for byte. The file is replaced in one step, also behind a
    symbolic link.

    Returns:
        The keys that did not have their value before.

    Raises:
        EnvFileError: the file cannot be written, or a value cannot be written so that
            python-dotenv, compose and `sh` read the same.
    """
    lines = {key: f"{_checked(key)}={_quoted(key, value)}" for key, value in values.items()}
    changed: set[str] = set()

    def edit(bindings: list[Binding]) -> Iterator[str]:
        found = {binding.key: binding.value for binding in bindings}
        changed.update(key for key, value in values.items() if found.get(key) != value)
        return _with(bindings, lines)

    _edit(path, edit)
    return changed


def remove(path: Path, keys: AbstractSet[str]) -> None:
    """Remove keys from a `.env` file; a key or a file that is missing is fine.

    Raises:
        EnvFileError: the file cannot be written.
    """
    _edit(path, lambda bindings: _without(bindings, keys))


def _with(bindings: list[Binding], lines: Mapping[str, str]) -> Iterator[str]:
    newline = "\r\n" if any("\r\n" in binding.original.string for binding in bindings) else "\n"
    last = {binding.key: index for index, binding in enumerate(bindings)}
    for index, binding in enumerate(bindings):
        if binding.key is None or binding.key not in lines:
            yield binding.original.string
        elif last[binding.key] == index:
            yield _lead(binding) + lines[binding.key] + _comment(binding) + newline
        else:
            yield _blank_lines(binding)
    new = [key for key in lines if key not in last]
    if new and bindings and _is_open(bindings[-1], lines):
        yield newline
    yield from (lines[key] + newline for key in new)


def _is_open(last: Binding, lines: Mapping[str, str]) -> bool:
    """Tell whether the file's last line has no end and is not replaced by one that has."""
    return last.key not in lines and not last.original.string.endswith(("\n", "\r"))


def _without(bindings: list[Binding], keys: AbstractSet[str]) -> Iterator[str]:
    for binding in bindings:
        yield _blank_lines(binding) if binding.key in keys else binding.original.string


def _lead(binding: Binding) -> str:
    """Return what stands before the key: blank lines, indentation, `export`."""
    match = re.match(r"\s*(export[^\S\r\n]+)?", binding.original.string)
    return match[0] if match else ""


def _comment(binding: Binding) -> str:
    """Return the comment behind the value, with the spaces before it.

    Without a space before the #, which only quoted values allow, it would become part of the new
    value.
    """
    match = _COMMENT.match(binding.original.string)
    comment = (match["after"] or match["behind"]) if match else None
    return "" if not comment else comment if comment[0].isspace() else f" {comment}"


def _blank_lines(binding: Binding) -> str:
    """Return the blank lines before the key, which the parser counts as the key's own."""
    match = re.match(r"(\s*[\r\n])?", binding.original.string)
    return match[0] if match else ""


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise EnvFileError(f"{key!r} cannot be a key of a .env file; use letters, digits and _")
    return key


def _quoted(key: str, value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    if not _NOT_IN_SINGLE_QUOTES.search(value):
        return f"'{value}'"
    if not _NOT_IN_DOUBLE_QUOTES.search(value):
        return f'"{value}"'
    raise EnvFileError(
        f"the value of {key} holds characters that python-dotenv, docker compose and sh read "
        "differently (quotes, backslashes, ${ or line breaks); use a value without them"
    )


def _bindings(text: str) -> list[Binding]:
    return list(parse_stream(io.StringIO(text, newline="")))


def _text(path: Path) -> str:
    with _explained(path):
        try:
            # Bytes that are no UTF-8 come back as they were.
            return path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""


def _edit(path: Path, edit: _Edit) -> None:
    with _explained(path):
        target = path.resolve()
        with _lock(target):
            text = _text(target)
            # The parser drops a byte order mark.
            mark = "\ufeff" if text.startswith("\ufeff") else ""
            edited = mark + "".join(edit(_bindings(text)))
            if edited != text:
                files.replace(target, edited.encode("utf-8", "surrogateescape"), mode=files.PRIVATE)
            elif target.exists():
                target.chmod(files.PRIVATE)


def _lock(target: Path) -> FileLock:
    """Return the lock of a file.

    It lies with the temporary files: beside the `.env` file it would stay, and turn up in git.
    """
    digest = hashlib.sha256(bytes(target)).hexdigest()[:16]
    name = f"muster-{os.getuid()}-{digest}.lock"
    return FileLock(Path(tempfile.gettempdir()) / name, timeout=_LOCK_SECONDS)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except Timeout:
        raise EnvFileError(f"{path}: another process has been writing for too long") from None
    except OSError as error:
        raise EnvFileError(f"{path}: {error.strerror}") from None
