"""What people, the crew's reviewers, statuses and conflicts want of an open pull request.

What was answered is kept in the claim, by the forge's numbers and not by time: a review may be
begun before another remark and be submitted after it.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from muster.forge import Pull, Review, ReviewComment
from runtime import report
from runtime.claim import Claim
from runtime.prompt import one_line, quoted, visible
from runtime.services import MINUTE, Services

RED = {"failure", "error"}
ACTIONABLE = {"REQUEST_CHANGES", "COMMENT"}
VERDICT = "<!-- muster:verdict "
"""Begins the hidden line in which a review of the crew says its verdict."""

DOUBT_SECONDS = 20.0
"""How long a forge may take to find out whether a pull request can be merged."""

_VERDICT = re.compile(rf"^{VERDICT}(\w+)", re.MULTILINE)
_DAY = 24 * 60 * MINUTE


@dataclass(frozen=True)
class Remark:
    """Something that somebody wrote at a pull request, or a red commit status.

    Attributes:
        key: What the claim remembers it by.
        author: Who.
        text: What.
        time: When.
        place: The file and line that it is about; empty for the whole.
        thread: The review comment to reply to; None for other remarks.
    """

    key: str
    author: str
    text: str
    time: str
    place: str = ""
    thread: ReviewComment | None = None


@dataclass(frozen=True)
class Feedback:
    """What a pull request needs.

    Attributes:
        remarks: What was written since the last follow-up, and red commit statuses.
        conflict: What the claim remembers the conflict with the primary branch by; empty if the
            forge can merge the pull request.
    """

    remarks: tuple[Remark, ...]
    conflict: str

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.remarks or self.conflict)

    def prompt(self) -> str:
        """Return it for the model, quoted."""
        return quoted(
            (
                each.author,
                f"{one_line(each.place)}\n\n{visible(each.text)}" if each.place else each.text,
            )
            for each in self.remarks
        )

    def added_to(self, seen: str | None) -> str:
        """Return what the claim remembers once this is answered."""
        keys = [each.key for each in self.remarks] + ([self.conflict] if self.conflict else [])
        return " ".join([*(seen or "").split(), *keys])


def collect(services: Services, claim: Claim, pull: Pull, *, changed: bool) -> Feedback:
    """Return what is new at a pull request.

    Args:
        services: The agent's tools.
        claim: The claim of its issue; `seen` is what was answered already.
        pull: The pull request.
        changed: Whether it changed since it was last looked at: then remarks are asked for too.
    """
    seen = {*(claim.seen or "").split()}
    found = [*_red(services, pull), *(_remarks(services, pull) if changed else ())]
    remarks = sorted((each for each in found if each.key not in seen), key=lambda each: each.time)
    conflict = f"m{pull.head_sha[:12]}-{pull.base_sha[:12]}"
    conflicts = not pull.mergeable and conflict not in seen and _conflicts(services, pull)
    return Feedback(tuple(remarks), conflict if conflicts else "")


def _remarks(services: Services, pull: Pull) -> Iterator[Remark]:
    """Yield what those who may write to the repository wrote; others are not followed."""
    for review in services.forge.reviews(pull.number):
        if review.state in ACTIONABLE and not review.dismissed:
            yield from _of_review(services, pull, review)
    for comment in services.forge.comments(pull.number):
        if _counts(services, comment.author, comment.body):
            yield Remark(f"c{comment.id}", comment.author, comment.body, comment.created_at)


def _of_review(services: Services, pull: Pull, review: Review) -> Iterator[Remark]:
    """Yield a review's text and its comments, which others may have added replies to."""
    verdict = _VERDICT.search(review.body)
    if verdict is not None and verdict[1] not in {"comment", "request_changes"}:
        return  # the crew's reviewer asks for nothing
    comments = services.forge.review_comments(pull.number, review.id)
    asks = review.state == "REQUEST_CHANGES" or verdict is None or comments
    if asks and review.body.strip() and _may_ask(services, review.author):
        yield Remark(f"r{review.id}", review.author, review.body, review.submitted_at)
    for each in comments:
        if not each.resolved and _counts(services, each.author, each.body):
            place = f"on {each.path}, line {each.line or each.old_line}"
            yield Remark(f"l{each.id}", each.author, each.body, each.created_at, place, each)


def _counts(services: Services, author: str, text: str) -> bool:
    return not report.is_of_agent(text) and _may_ask(services, author)


def _may_ask(services: Services, author: str) -> bool:
    return author.lower() != services.user.login.lower() and services.is_writer(author)


def _conflicts(services: Services, pull: Pull) -> bool:
    """Whether the primary branch has to be merged into a pull request that is not mergeable.

    A forge calls drafts not mergeable too, and pull requests that it has not checked yet. And it
    may see a conflict where git sees none.
    """
    state = f"{pull.number} {pull.head_sha} {pull.base_sha}"

    def ask() -> tuple[bool, bool]:
        services.fetch_branches()
        mirror, primary = services.mirror, services.primary
        behind = mirror.run("merge-base", primary, pull.head_sha) != f"{mirror.resolve(primary)}\n"
        return behind, not mirror.merges(primary, pull.head_sha)

    behind, conflicts = services.cache.get(f"conflict {state}", _DAY, ask)
    since = services.cache.get(f"not mergeable {state}", _DAY, time.monotonic)
    doubtful = pull.draft or time.monotonic() - since < DOUBT_SECONDS
    return behind and (conflicts or not doubtful)


def _red(services: Services, pull: Pull) -> Iterator[Remark]:
    for each in services.forge.statuses(pull.head_sha).statuses:
        if each.state in RED:
            text = f"{each.context}: {each.state} {each.description}".strip()
            yield Remark(f"s{each.id}", "red commit status", text, "")
