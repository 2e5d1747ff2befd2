"""Gives the agent its rights to its own files back.

Landlock has no rule for modes (Linux 6.18): whoever knows the name of a file that the agent's user
owns can take away the rights to it, also outside of the jail.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER, FILE = 0o700, 0o400
"""What the owner needs; git keeps its objects read-only, and so are credentials."""


def restore(*paths: Path) -> None:
    """Make files readable and folders usable for their owner again, with all that is in them."""
    for path in paths:
        restore_one(path)
        for root, folders, files in os.walk(path):
            for name in (*folders, *files):
                restore_one(Path(root, name))


def restore_one(path: Path) -> None:
    """Make one file or folder usable for its owner again; a symlink is not followed."""
    with suppress(OSError):  # it is gone, or another user's
        mode = path.lstat().st_mode
        needed = FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else 0
        if mode & needed != needed:
            path.chmod(stat.S_IMODE(mode) | needed)
