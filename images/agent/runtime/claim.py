"""Claims: the refs by which one agent holds one issue.

`refs/muster/claims/N` is a commit without files whose message is JSON. It is set by a leased push,
which is compare-and-swap at the forge: of ten agents that want the same issue, one gets it.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from operator import index

from runtime.git import GitError, Mirror, PushRejectedError

PREFIX = "refs/muster/claims/"
LEASE = timedelta(minutes=15)
"""How long a claim holds without being renewed."""

RENEW = timedelta(minutes=5)
ATTEMPTS = 3


@dataclass(frozen=True)
class Claim:
    """What the ref of an issue says.

    Attributes:
        number: The issue.
        agent: The bot user that holds it.
        state: `working`, `pull` (its pull request is open) or `failed` (free again).
        attempt: Which attempt this is, from 1 on.
        since: When the attempt began.
        until: When a claim that is not renewed ends; None while the pull request is open.
        branch: The branch of its pull request.
        pull: The pull request.
        session: The last session, by its id.
        rounds: How often the pull request was followed up.
        seen: The newest feedback that was answered.
        comment: The bot's comment on the issue.
        requested: Whether a person asked for this issue, whatever its labels are.
        commit: The commit that the ref points to.
    """

    number: int
    agent: str
    state: str
    attempt: int
    since: str
    until: str | None
    branch: str | None = None
    pull: int | None = None
    session: str | None = None
    rounds: int = 0
    seen: str | None = None
    comment: int | None = None
    requested: bool = False
    commit: str = ""

    def is_free(self, now: datetime) -> bool:
        """Whether anybody may take the issue: it was given back, or its holder is gone."""
        if self.state == "failed":
            return True
        return self.until is not None and datetime.fromisoformat(self.until) < now


class Claims:
    """The claims of a repository.

    Args:
        mirror: The repository.
        agent: The bot user that claims.
        clock: Returns the present.
    """

    def __init__(
        self, mirror: Mirror, agent: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._mirror = mirror
        self._agent = agent
        self._clock = clock

    def all(self) -> dict[int, Claim]:
        """Fetch and return all claims, by issue; one that cannot be read counts as given back.

        Raises:
            GitError: The forge does not answer.
        """
        self._mirror.fetch(f"+{PREFIX}*:{PREFIX}*", prune=True)
        listed = self._mirror.run(
            "for-each-ref", "--format=%(refname)%00%(objectname)%00%(contents)%00", PREFIX
        )
        found = {}
        parts = iter(listed.split("\x00"))  # a message may hold anything else
        for ref, commit, text in zip(parts, parts, parts, strict=False):
            number = ref.strip().removeprefix(PREFIX)
            if number.isdecimal():
                found[int(number)] = _read(int(number), commit, text)
        return found

    def take(
        self, number: int, old: Claim | None, *, counts: bool = True, requested: bool = False
    ) -> Claim | None:
        """Claim an issue that is free, or is this agent's already.

        Args:
            number: The issue.
            old: Its claim as it was read, None if it had none.
            counts: Whether this is another attempt.
            requested: Whether a person asked for this issue.

        Returns:
            The claim, None if another agent was faster.

        Raises:
            GitError: The forge does not answer, or refuses the push whoever holds the issue.
        """
        now = self._clock()
        given_up = old is not None and old.state == "failed" and old.attempt >= ATTEMPTS
        before = old.attempt if old is not None and not given_up else 0
        attempt = before + (1 if counts or not before else 0)
        new = Claim(
            number,
            self._agent,
            "working",
            attempt,
            since=now.isoformat(timespec="seconds"),
            until=(now + LEASE).isoformat(timespec="seconds"),
            session=old.session if old and old.agent == self._agent else None,
            branch=old.branch if old else None,
            pull=old.pull if old else None,
            rounds=old.rounds if old else 0,
            seen=old.seen if old else None,
            comment=old.comment if old and old.agent == self._agent else None,
            requested=requested,
        )
        return self._write(new, expected=old.commit if old else "")

    def update(self, claim: Claim, **changes: object) -> Claim | None:
        """Change a claim of this agent's; None if it was taken over."""
        changed = replace(claim, **changes)  # type: ignore[arg-type]
        end = (self._clock() + LEASE).isoformat(timespec="seconds")
        until = end if changed.state == "working" else None
        return self._write(replace(changed, until=until), expected=claim.commit)

    def release(self, claim: Claim) -> bool:
        """Delete a claim; False if it was taken over meanwhile."""
        try:
            self._mirror.push("", f"{PREFIX}{claim.number}", expected=claim.commit)
        except PushRejectedError:
            return False
        return True

    def _write(self, claim: Claim, *, expected: str) -> Claim | None:
        said = {name: value for name, value in asdict(claim).items() if name != "commit"}
        commit = self._mirror.run(
            "commit-tree", self._empty_tree(), stdin=json.dumps(said, sort_keys=True)
        ).strip()
        try:
            self._mirror.push(commit, f"{PREFIX}{claim.number}", expected=expected)
        except PushRejectedError as error:
            now = self.all().get(claim.number)
            found = now.commit if now else ""
            if found == expected:
                raise GitError(f"the forge refuses the claim: {error}") from None
            if now is None or (now.agent, now.since) != (claim.agent, claim.since):
                return None
            if found != commit:  # an earlier push of this attempt, whose answer was lost
                return self._write(claim, expected=found)
        return replace(claim, commit=commit)

    def _empty_tree(self) -> str:
        return self._mirror.run("hash-object", "-t", "tree", "-w", "--stdin").strip()


def _read(number: int, commit: str, text: str) -> Claim:
    try:
        said = json.loads(text) | {"number": number, "commit": commit}
        known = {each.name for each in fields(Claim)}
        claim = Claim(**{name: value for name, value in said.items() if name in known})
        index(claim.attempt)
        claim.is_free(datetime.now(UTC))  # fails if its end is not a time with a zone
    except (ValueError, TypeError):
        return Claim(number, "", "failed", 0, since="", until=None, commit=commit)
    return claim
