"""Gives the agent its rights to its own files back.

Landlock has no rule for modes (Linux 6.18): whoever knows the name of a file that the agent's user
owns can take away the rights to it, also outside of the jail.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOLDER, FILE, READ_ONLY = 0o700, 0o600, 0o400


@dataclass(frozen=True)
class Places:
    """Where the agent keeps its own files, besides the folders of its tasks.

    Attributes:
        data: The folder for the state and the transcripts.
        repos: The folder for the mirror and the tasks.
        mirror: The mirror.
        endpoints: The folder with the queues of the endpoints.
    """

    data: Path
    repos: Path
    mirror: Path
    endpoints: Path

    def restore(self) -> None:
        """Undo what a session may have done to their modes."""
        restore_one(self.repos)
        restore_one(self.repos / "tasks")
        restore(self.data, self.endpoints)
        restore(self.mirror, file=READ_ONLY)


def restore(*paths: Path, file: int = FILE) -> None:
    """Make files and folders usable for their owner again, with all that is in them.

    Args:
        paths: The files and folders.
        file: What the owner needs of a file; git keeps its objects read-only.
    """
    for path in paths:
        restore_one(path, file)
        for root, folders, files in os.walk(path):
            for name in (*folders, *files):
                restore_one(Path(root, name), file)


def restore_one(path: Path, file: int = FILE) -> None:
    """Make one file or folder usable for its owner again; a symlink is not followed."""
    with suppress(OSError):  # it is gone, or another user's
        mode = path.lstat().st_mode
        needed = FOLDER if stat.S_ISDIR(mode) else file if stat.S_ISREG(mode) else 0
        if mode & needed != needed:
            path.chmod(stat.S_IMODE(mode) | needed)
