"""Stamps: the hash of what a thing was made from, kept to see that nothing is to be done."""

import hashlib
from pathlib import Path

from toolchain.paths import STAMPS


def digest(*parts: str | Path) -> str:
    """Return a hash of texts, files, and folders with all that tools did not leave in them."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            whole.update(part.encode() + b"\0")
            continue
        for file in [part] if part.is_file() else _files(part):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            whole.update(f"{file.relative_to(part)} {content}\0".encode())
    return whole.hexdigest()[:12]


def fits(name: str, value: str) -> bool:
    """Whether a thing's stamp says that it was made from this."""
    stamp = STAMPS / name
    return stamp.is_file() and stamp.read_text() == value


def exists(name: str) -> bool:
    """Whether a thing has a stamp at all."""
    return (STAMPS / name).exists()


def write(name: str, value: str) -> None:
    """Say what a thing was made from."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / name).write_text(value)


def _files(folder: Path) -> list[Path]:
    """Return a folder's files, but for what tools leave in it (.mypy_cache, __pycache__)."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not _is_left(path.relative_to(folder)))


def _is_left(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts[:-1])
