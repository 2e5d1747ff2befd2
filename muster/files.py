"""Put a whole file in another's place, in one step."""

import contextlib
import os
import tempfile
from pathlib import Path

PRIVATE = 0o600


def replace(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write a file so that a reader sees the old content or the new one, also after a crash.

    A file that is there keeps its owner and, without `mode`, its mode; a new one is private until
    it has its mode. A symbolic link stays one.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    target = path.resolve()
    # mkstemp makes it with mode 0600, whatever the umask.
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if target.exists():
                # Root may keep somebody else's file, which has to stay theirs.
                old = target.stat()
                # In a shared folder others may write a file that is not theirs.
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, -1, old.st_gid)
                    os.fchown(descriptor, old.st_uid, -1)
                os.fchmod(descriptor, old.st_mode & 0o777 if mode is None else mode)
            elif mode is not None:
                os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
