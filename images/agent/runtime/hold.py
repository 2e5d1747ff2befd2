"""A held issue: its claim is kept alive, and a person's change ends the work on it."""

import time
from typing import Any

from muster.forge import ForgeError, Issue
from runtime.claim import RENEW, Claim
from runtime.git import GitError
from runtime.services import Services

EDITED = "the issue was edited"
_LEAST_LOOK = 5.0


class LostError(Exception):
    """Another agent has taken the claim over."""


class Hold:
    """An issue that this agent holds.

    Args:
        services: The agent's tools.
        issue: The issue as it was read.
        claim: The agent's claim.
        requested: Whether a person asked for this issue, whatever its labels are.
    """

    def __init__(
        self, services: Services, issue: Issue, claim: Claim, *, requested: bool = False
    ) -> None:
        self.services = services
        self.issue = issue
        self.claim = claim
        self.requested = requested
        self._renewed = self._looked = time.monotonic()

    def update(self, **changes: Any) -> None:  # noqa: ANN401 - a claim's fields
        """Change the claim.

        Raises:
            LostError: Another agent has it.
        """
        claim = self.services.claims.update(self.claim, **changes)
        if claim is None:
            raise LostError
        self.claim = claim
        self._renewed = time.monotonic()

    def interrupted(self) -> str | None:
        """Return why the work must end now, None to go on; cheap enough to call every second."""
        present = time.monotonic()
        try:
            if present - self._renewed > RENEW.total_seconds():
                self.update()
            if present - self._looked > max(self.services.settings.poll_interval, _LEAST_LOOK):
                self._looked = present
                return self._changed_by_a_person()
        except LostError:
            return "another agent has taken the issue over"
        except (ForgeError, GitError):
            self._renewed = present  # the forge is down: the session can go on without it
        return None

    def _changed_by_a_person(self) -> str | None:
        now = self.services.forge.issue(self.issue.number)
        if now.state != "open":
            return "the issue was closed"
        label = self.services.settings.work.label
        if not self.requested and label in self.issue.labels and label not in now.labels:
            return f"the label {label} was removed"
        if (now.title, now.body) != (self.issue.title, self.issue.body):
            self.issue = now
            return EDITED
        return None
