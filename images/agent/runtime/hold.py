"""A held issue: its claim is kept alive, and a person's change ends the work on it."""

import threading
import time
from typing import Any

from muster.forge import ForgeError, Issue, NotFoundError
from runtime.claim import RENEW, Claim
from runtime.git import GitError
from runtime.report import BLOCKED, NEEDS_HUMAN
from runtime.services import Services

EDITED = "the issue was edited"
TAKEN_OVER = "another agent has taken the issue over"
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

    Attributes:
        edited: Whether a person edited the issue; who has dealt with it sets it to false.
    """

    def __init__(
        self, services: Services, issue: Issue, claim: Claim, *, requested: bool = False
    ) -> None:
        self.services = services
        self.issue = issue
        self.claim = claim
        self.requested = requested or claim.requested
        self.edited = False
        self._reason: str | None = None
        self._renewed = self._looked = time.monotonic()
        self._look: threading.Thread | None = None
        self._lock = threading.RLock()
        """Held while the claim changes: a look renews it in a thread of its own."""

    def update(self, **changes: Any) -> None:  # noqa: ANN401 - a claim's fields
        """Change the claim; without changes, renew it.

        Raises:
            LostError: Another agent has it.
            GitError: The forge does not answer.
        """
        with self._lock:
            claim = self.services.claims.update(self.claim, **changes)
            if claim is None:
                raise LostError
            self.claim = claim
            self._renewed = time.monotonic()

    def release(self) -> None:
        """Give the issue back, if this agent still has it; the attempt does not count.

        Raises:
            GitError: The forge does not answer.
        """
        with self._lock:
            self._reason = "the issue was given back"  # a look that still runs renews nothing
            claims, claim = self.services.claims, self.claim
            if claim.attempt > 1:
                claims.update(claim, state="failed", attempt=claim.attempt - 1, session=None)
            else:
                claims.release(claim)

    def interrupted(self) -> str | None:
        """Return why the work must end now, None to go on.

        It never waits for the forge, so that a stop is noticed at once: the forge is asked in a
        thread, now and then, and its answer is returned by a later call.
        """
        interval = max(self.services.settings.poll_interval, _LEAST_LOOK)
        looks = self._look is not None and self._look.is_alive()
        if not looks and time.monotonic() - self._looked > interval:
            self._looked = time.monotonic()
            self._look = threading.Thread(target=self.look, daemon=True, name="look")
            self._look.start()
        return self._reason or (EDITED if self.edited else None)

    def look(self) -> None:
        """Ask the forge whether a person changed the issue, and renew the claim in time.

        While the forge is down, the work goes on without it.
        """
        try:
            with self._lock:
                if self._reason is not None:
                    return
                if time.monotonic() - self._renewed > RENEW.total_seconds():
                    self.update()
            self._reason = self._changed_by_a_person()
        except LostError:
            self._reason = TAKEN_OVER
        except NotFoundError:
            self._reason = "the issue was deleted"
        except (ForgeError, GitError):
            pass

    def _changed_by_a_person(self) -> str | None:
        now = self.services.forge.issue(self.issue.number)
        if now.state != "open":
            return "the issue was closed"
        label = self.services.settings.work.label
        if not self.requested and label in self.issue.labels and label not in now.labels:
            return f"the label {label} was removed"
        for name in (BLOCKED, NEEDS_HUMAN):
            if name in now.labels and name not in self.issue.labels:
                return f"the label {name} was added"
        if (now.title, now.body) != (self.issue.title, self.issue.body):
            self.issue = now
            # The pull request is the work's result: an edit after it is for its reviewers.
            self.edited = self.claim.state == "working"
        return None
