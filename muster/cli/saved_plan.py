"""A preview that was saved: an update does exactly that, or is refused."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from muster import files
from muster.errors import MusterError


@dataclass(frozen=True)
class SavedPlan:
    """What was previewed, and of what.

    Attributes:
        stack: the stack.
        roster: a digest of the roster's text.
        state: a digest of the stack's resources.
        engine: Pulumi's plan; its secrets are encrypted as in the stack's state.
    """

    stack: str
    roster: str
    state: str
    engine: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the plan to a file that only its owner can read.

        Raises:
            MusterError: the file cannot be written.
        """
        try:
            files.replace(path, json.dumps(asdict(self)).encode(), mode=files.PRIVATE)
        except OSError as error:
            raise MusterError(f"{path}: {error.strerror}") from None

    def expect(self, stack: str, roster: str, deployment: Mapping[str, Any]) -> None:
        """Check that the plan is about what there is now.

        Args:
            stack: the stack's name.
            roster: the roster's text.
            deployment: the stack's exported state.

        Raises:
            MusterError: it is not; nothing was changed.
        """
        changed = {
            f"it is for stack {self.stack}": self.stack != stack,
            "the roster was changed since": self.roster != digest(roster),
            "the stack was updated since": self.state != state_digest(deployment),
        }
        if reasons := [reason for reason, holds in changed.items() if holds]:
            raise MusterError(
                f"the plan does not fit: {' and '.join(reasons)}. Nothing was changed; save "
                "another one with muster preview --save"
            )


def read(path: Path) -> SavedPlan:
    """Read a plan.

    Raises:
        MusterError: the file cannot be read, or is not a plan of `muster preview --save`.
    """
    try:
        return SavedPlan(**json.loads(path.read_bytes()))
    except OSError as error:
        raise MusterError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise MusterError(f"{path} is not a plan of muster preview --save") from None


def digest(text: str) -> str:
    """Return a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


def state_digest(deployment: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a stack's resources, which every update changes that changes one."""
    return digest(json.dumps(deployment.get("resources") or [], sort_keys=True))
