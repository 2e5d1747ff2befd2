"""What people, the crew's reviewers, statuses and conflicts want of an open pull request."""

from collections.abc import Iterator
from dataclasses import dataclass

from muster.forge import Pull, ReviewComment
from runtime import report
from runtime.claim import Claim
from runtime.prompt import quoted
from runtime.services import Services

RED = {"failure", "error"}
ACTIONABLE = {"REQUEST_CHANGES", "COMMENT"}
VERDICT = "<!-- muster:verdict "
"""Begins the hidden line in which a review of the crew says its verdict."""


@dataclass(frozen=True)
class Remark:
    """Something that somebody wrote at a pull request.

    Attributes:
        author: Who.
        text: What.
        time: When.
        place: The file and line that it is about; empty for the whole.
        thread: The review comment to reply to; None for other remarks.
    """

    author: str
    text: str
    time: str
    place: str = ""
    thread: ReviewComment | None = None


@dataclass(frozen=True)
class Feedback:
    """What a pull request needs.

    Attributes:
        remarks: What people and reviewers wrote since the last follow-up.
        statuses: Red commit statuses of its last commit, each in words.
        conflicts: Whether it conflicts with the primary branch.
        newest: The time of the newest remark.
    """

    remarks: tuple[Remark, ...]
    statuses: tuple[str, ...]
    conflicts: bool
    newest: str | None

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.remarks or self.statuses or self.conflicts)

    def prompt(self) -> str:
        """Return it for the model, quoted."""
        texts = [(f"{each.author} {each.place}".strip(), each.text) for each in self.remarks]
        texts += [("red commit status", each) for each in self.statuses]
        return quoted(texts)


def collect(
    services: Services, claim: Claim, pull: Pull, *, answered: str | None, changed: bool
) -> Feedback:
    """Return what is new at a pull request.

    Args:
        services: The agent's tools.
        claim: The claim of its issue; `seen` is what was answered already.
        pull: The pull request.
        answered: The last commit whose statuses and conflicts were answered.
        changed: Whether it changed since it was last looked at: then remarks are asked for too.
    """
    since = claim.seen or ""
    remarks = sorted(
        (each for each in _remarks(services, pull) if each.time > since) if changed else (),
        key=lambda each: each.time,
    )
    fresh = pull.head_sha != answered
    # A forge says "not mergeable" of drafts too, and while it has not looked yet.
    conflicts = fresh and not pull.mergeable and _conflicts(services, pull)
    return Feedback(
        remarks=tuple(remarks),
        statuses=tuple(_red(services, pull)) if fresh else (),
        conflicts=conflicts,
        newest=remarks[-1].time if remarks else claim.seen,
    )


def _remarks(services: Services, pull: Pull) -> Iterator[Remark]:
    """Yield what those who may write to the repository wrote; others are not followed."""
    me = services.user.login.lower()
    for review in services.forge.reviews(pull.number):
        author = review.author
        if author.lower() == me or review.state not in ACTIONABLE or review.dismissed:
            continue
        if not services.is_writer(author):
            continue
        comments = services.forge.review_comments(pull.number, review.id)
        by_crew = VERDICT in review.body
        if review.body.strip() and (review.state == "REQUEST_CHANGES" or not by_crew or comments):
            yield Remark(author, review.body, review.submitted_at)
        for each in comments:
            if each.author.lower() == me or each.resolved:
                continue
            place = f"on {each.path}, line {each.line or each.old_line}"
            yield Remark(author, each.body, review.submitted_at, place, each)
    for comment in services.forge.comments(pull.number):
        author = comment.author.lower()
        if author != me and report.MARK not in comment.body and services.is_writer(author):
            yield Remark(comment.author, comment.body, comment.created_at)


def _conflicts(services: Services, pull: Pull) -> bool:
    services.fetch_branches()
    return not services.mirror.merges(services.primary, pull.head_sha)


def _red(services: Services, pull: Pull) -> Iterator[str]:
    for each in services.forge.statuses(pull.head_sha).statuses:
        if each.state in RED:
            yield f"{each.context}: {each.state} {each.description}".strip()
