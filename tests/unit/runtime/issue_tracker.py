"""Plays the forge's issue tracker in memory: issues, pull requests, comments, labels, reviews."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from muster.forge import (
    Comment,
    ForgeUnreachableError,
    Issue,
    NotFoundError,
    Pull,
    Review,
    ReviewComment,
    Status,
    Statuses,
    WorkForge,
)

BOT = "dev-bot"
ANN = "ann"
TIME = "2026-11-25T01:00:00+00:00"


def issue(number: int, *labels: str, **changes: Any) -> Issue:  # noqa: ANN401 - its fields
    plain = Issue(
        number=number,
        title=f"Issue {number}",
        body="",
        author=ANN,
        labels=frozenset(labels),
        assignees=(),
        state="open",
        created_at=f"2026-11-01T00:00:{number:02}+00:00",
        updated_at=TIME,
        html_url=f"http://forge/issues/{number}",
        is_pull=False,
    )
    return replace(plain, **changes)


def pull(number: int, **changes: Any) -> Pull:  # noqa: ANN401 - its fields
    plain = Pull(
        number=number,
        title=f"Pull request {number}",
        body="",
        author=BOT,
        labels=frozenset(),
        requested_reviewers=(),
        state="open",
        merged=False,
        draft=False,
        mergeable=True,
        head_ref=f"muster/issue-{number}",
        head_sha=f"{number:040}",
        base_ref="main",
        base_sha="0" * 40,
        from_fork=False,
        created_at=TIME,
        updated_at=TIME,
        html_url=f"http://forge/pulls/{number}",
    )
    return replace(plain, **changes)


def review(number: int, author: str, state: str, body: str = "", **changes: Any) -> Review:  # noqa: ANN401
    plain = Review(
        id=number,
        author=author,
        state=state,
        body=body,
        commit_id=f"{number:040}",
        submitted_at=TIME,
        dismissed=False,
        stale=False,
        official=True,
        html_url="",
    )
    return replace(plain, **changes)


def line_comment(number: int, author: str, body: str, **changes: Any) -> ReviewComment:  # noqa: ANN401
    plain = ReviewComment(
        id=number,
        review_id=1,
        author=author,
        body=body,
        path="greet.py",
        line=3,
        old_line=0,
        diff_hunk="",
        commit_id="",
        resolved=False,
        created_at=TIME,
        html_url="",
    )
    return replace(plain, **changes)


@dataclass
class Written:
    """A review that was submitted."""

    number: int
    event: str
    body: str
    comments: list[tuple[str, int, str]]


class IssueTracker(WorkForge):
    """The calls that the runtime makes, answered from what a test filed.

    Overriding the client's own methods has mypy compare their signatures.
    """

    def __init__(self, *filed: Issue | Pull) -> None:
        self.issues = {each.number: each for each in filed if isinstance(each, Issue)}
        self.pull_requests = {each.number: each for each in filed if isinstance(each, Pull)}
        self.people = {ANN, BOT}
        self.blocked_by: dict[int, list[int]] = {}
        self.files: dict[str, str] = {}
        self.said: dict[int, list[Comment]] = {}
        self.reviewed: dict[int, list[Review]] = {}
        self.lines: dict[int, list[ReviewComment]] = {}
        self.states: list[Status] = []
        self.written: list[Written] = []
        self.asked: list[str] = []
        self.is_down = False

    def _answers(self, call: str) -> None:
        self.asked.append(call)
        if self.is_down:
            raise ForgeUnreachableError("connection refused", call="GET /")

    def writers(self) -> set[str]:
        self._answers("writers")
        return self.people

    def file(self, path: str, ref: str) -> bytes | None:
        self._answers(f"file {path} {ref}")
        text = self.files.get(path)
        return None if text is None else text.encode()

    def backlog(self, label: str) -> list[Issue]:
        self._answers("backlog")
        return [each for each in self.open_issues() if label in each.labels]

    def open_issues(self) -> list[Issue]:
        return [each for each in self.issues.values() if each.state == "open"]

    def issue(self, number: int) -> Issue:
        self._answers(f"issue {number}")
        if number not in self.issues:
            raise NotFoundError("not found", call=f"GET /issues/{number}", status=404)
        return self.issues[number]

    def blockers(self, number: int) -> list[Issue]:
        return [self.issues[each] for each in self.blocked_by.get(number, [])]

    def create_issue(self, title: str, body: str, labels: Iterable[str] = ()) -> Issue:
        number = max(self.issues, default=0) + 1
        self.issues[number] = issue(number, *labels, title=title, body=body, author=BOT)
        return self.issues[number]

    def comments(self, number: int) -> list[Comment]:
        return self.said.get(number, [])

    def comment(self, number: int, body: str) -> Comment:
        return self.says(number, BOT, body)

    def says(self, number: int, author: str, body: str, time: str = TIME) -> Comment:
        made = Comment(len(self.said) + 1, author, body, time, time, "")
        self.said.setdefault(number, []).append(made)
        return made

    def ensure_label(self, name: str, color: str, description: str) -> int:
        assert color, description
        return hash(name)

    def add_labels(self, number: int, names: Iterable[str]) -> None:
        old = self.issues[number]
        self.issues[number] = replace(old, labels=old.labels | {*names})

    def remove_label(self, number: int, name: str) -> None:
        old = self.issues[number]
        self.issues[number] = replace(old, labels=old.labels - {name})

    def unassign(self, number: int, user: str) -> None:
        old = self.issues[number]
        kept = tuple(name for name in old.assignees if name.lower() != user.lower())
        self.issues[number] = replace(old, assignees=kept)

    def pulls(self) -> list[Pull]:
        self._answers("pulls")
        return [each for each in self.pull_requests.values() if each.state == "open"]

    def pull(self, number: int) -> Pull:
        self._answers(f"pull {number}")
        return self.pull_requests[number]

    def statuses(self, sha: str) -> Statuses:
        self._answers(f"statuses {sha}")
        return Statuses.from_history(self.states)

    def reviews(self, number: int) -> list[Review]:
        self._answers(f"reviews {number}")
        return self.reviewed.get(number, [])

    def review_comments(self, number: int, review_id: int) -> list[ReviewComment]:
        self._answers(f"review {review_id} of {number}")
        return self.lines.get(review_id, [])

    def review(
        self,
        number: int,
        event: Literal["APPROVED", "COMMENT", "REQUEST_CHANGES"],
        body: str,
        *,
        commit_id: str,
        comments: Sequence[tuple[str, int, str]] = (),
    ) -> Review:
        self.written.append(Written(number, event, body, [*comments]))
        made = review(number, BOT, event, body, commit_id=commit_id)
        self.reviewed.setdefault(number, []).append(made)
        return made
