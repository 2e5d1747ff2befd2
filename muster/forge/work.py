"""The calls that an agent makes in its project's repository, each in one method.

The scopes in `muster.credentials.TOKEN_SCOPES` suffice for all of them, and those of a token that
is limited to the repository for all but `whoami`. Forgejo and Gitea answer alike unless a version
is given; measured on Gitea 1.26, read in the sources of Forgejo 7 to 10.
"""

from __future__ import annotations

import contextlib
from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from muster.forge import paths
from muster.forge.client import Forge
from muster.forge.errors import ForgeError, NotFoundError
from muster.forge.transport import PATIENCE, TIMEOUT, Transport, unless_missing
from muster.forge.work_records import (
    DRAFT_PREFIX,
    Comment,
    Issue,
    Pull,
    Review,
    ReviewComment,
    Status,
    Statuses,
    file_content,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from muster.forge.credentials import Basic, Token
    from muster.forge.records import Repository, User

T = TypeVar("T", Issue, Pull)

_WRITING = {"write", "admin", "owner"}
_NO_REPLIES = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_EXCERPT = 120  # characters of a comment that a reply quotes


class WorkForge:
    """A forge, as an agent sees it: one repository, in the name of the agent's bot user.

    All methods raise `ForgeError`, or the subclass that fits: `NotFoundError` if the issue, pull
    request or comment is gone. Calls that fail for passing reasons are repeated, and a POST only
    after a check that the lost attempt had no effect. Several threads may share one.

    Args:
        url: The forge's address; a sub-path and a trailing slash are fine.
        auth: The bot user's credentials.
        repo: `owner/name`.
        me: The bot user, for a token to which the forge does not show it.
        timeout: Seconds for connecting, and for each part of an answer.
        patience: Seconds for which a failing call is repeated.
    """

    def __init__(  # noqa: PLR0913 - one argument a fact
        self,
        url: str,
        auth: Basic | Token,
        repo: str,
        *,
        me: User | None = None,
        timeout: tuple[float, float] = TIMEOUT,
        patience: float = PATIENCE,
    ) -> None:
        self._forge = Forge(url, auth, timeout=timeout, patience=patience)
        self._http = Transport(url, auth, timeout=timeout, patience=patience)
        self._full_name = repo
        self._given_me = me
        self._repo = paths.repository(repo)
        self._known_labels: dict[str, int] = {}
        self._login = ""

    # The repository

    def whoami(self) -> User:
        """Return the bot user; as it was given, if the forge does not show it to the token."""
        if self._given_me is None:
            return self._forge.whoami()
        return self._forge.whoami_if_shown() or self._given_me

    def repository(self) -> Repository | None:
        """Return the repository; None if the bot user cannot see it."""
        return self._forge.repository(self._full_name)

    def writers(self) -> set[str]:
        """Return the logins, in lower case, of all who may push to the repository.

        That is the owner, collaborators with write access, and members of teams that may write
        code; administrators of the whole forge only if they are among these.

        The forge answers 403 if a bot user asks for the permission of anybody else
        (`/collaborators/X/permission` is for repository administrators; Forgejo 7 to 10 refuse a
        bot user's own permission too), and `/collaborators` lists readers as well. `/assignees`
        lists exactly the writers of a user's repository. In an organization it adds members of
        teams that may only read pull requests or write something other than code, and a bot user
        may not list a team's members. So if the repository has such a team, only collaborators
        count: people who write through a team are then left out, rather than readers let in.
        """
        path = f"{self._repo}/assignees"
        able = set(self._http.get(path, lambda told: [str(user["login"]).lower() for user in told]))
        if any(map(_lets_readers_in, self._teams())):
            able &= self._forge.collaborators(self._full_name)
        return able

    def branch_protected(self, branch: str) -> bool | None:
        """Tell whether a rule protects the branch; None if there is no such branch."""
        path = f"{self._repo}/branches/{paths.segment(branch)}"
        return unless_missing(lambda: self._http.get(path, lambda told: bool(told["protected"])))

    def refs(self, folder: str) -> list[tuple[str, str]]:
        """Return all refs below `refs/<folder>/` by full name, each with its SHA.

        Args:
            folder: Such as `heads` or `muster/claims`.
        """
        path = f"{self._repo}/git/refs/{_below(folder)}"
        found = unless_missing(lambda: self._http.get(path, _refs)) or []
        # The forge compares text only: `muster/claims` also finds `refs/muster/claims-of-others`.
        return [(ref, sha) for ref, sha in found if ref.startswith(f"refs/{folder}/")]

    def file(self, path: str, ref: str) -> bytes | None:
        """Return a file's content at a branch, tag or commit; None if there is no such file.

        A symbolic link is no file. `/contents` is used because `/raw` answers with the default
        branch's file if the ref does not exist (Gitea 1.26).
        """
        contents = f"{self._repo}/contents/{_below(path)}"
        return unless_missing(lambda: self._http.get(contents, file_content, ref=ref))

    def create_file(self, path: str, content: str, branch: str, message: str) -> None:
        """Create a file on a branch that does not have it, by a commit with this message.

        Raises:
            ForgeError: 422 if the branch has such a file.
        """
        written = content.encode()
        self._http.post(
            f"{self._repo}/contents/{_below(path)}",
            {"branch": branch, "content": b64encode(written).decode(), "message": message},
            _done,
            look=lambda: self.file(path, branch) == written or None,
        )

    def statuses(self, sha: str) -> Statuses:
        """Return the last status of each context of a commit."""
        path = f"{self._repo}/commits/{paths.segment(sha)}/statuses"
        return Statuses.from_history(self._http.pages(path, Status.from_json))

    # Issues

    def backlog(self, label: str) -> list[Issue]:
        """Return the open issues with this label, oldest first: one request for up to 50.

        The forge ignores a label that the repository does not have itself, such as an
        organization's, and then lists all open issues; and it lists none if the repository has
        two labels of this name.
        """
        return [issue for issue in self._issues(labels=label) if label in issue.labels]

    def open_issues(self) -> list[Issue]:
        """Return all open issues, oldest first."""
        return self._issues()

    def all_issues(self) -> list[Issue]:
        """Return all issues, open and closed, oldest first."""
        return self._issues(state="all")

    def issue(self, number: int) -> Issue:
        """Return an issue, or the issue side of a pull request."""
        return self._http.get(self._issue(number), Issue.from_json)

    def blockers(self, number: int) -> list[Issue]:
        """Return the issues that block this one, open or closed: the forge's own dependencies.

        Empty if the issue is gone or the repository has dependencies switched off.
        """
        path = f"{self._issue(number)}/dependencies"
        return unless_missing(lambda: list(self._http.pages(path, Issue.from_json))) or []

    def create_issue(self, title: str, body: str, labels: Iterable[str] = ()) -> Issue:
        """Create an issue with labels that exist.

        Raises:
            NotFoundError: The repository does not have one of the labels.
        """

        def made() -> Issue | None:
            mine = (issue for issue in self.open_issues() if issue.author == self._me())
            return next((i for i in mine if (i.title, i.body) == (title, body)), None)

        return self._http.post(
            f"{self._repo}/issues",
            {"title": title, "body": body, "labels": self._label_ids(labels)},
            Issue.from_json,
            look=made,
        )

    def close_issue(self, number: int) -> None:
        """Close an issue."""
        self._http.change("PATCH", self._issue(number), json={"state": "closed"})

    def assign(self, number: int, user: str) -> None:
        """Add an assignee. The forge only sets all of them, so a change in between is lost."""
        assignees = self.issue(number).assignees
        if user.lower() not in map(str.lower, assignees):
            self._assign(number, [*assignees, user])

    def unassign(self, number: int, user: str) -> None:
        """Remove an assignee, who may be none already; see `assign`."""
        assignees = self.issue(number).assignees
        others = [name for name in assignees if name.lower() != user.lower()]
        if len(others) < len(assignees):
            self._assign(number, others)

    # Comments on issues and pull requests

    def comments(self, number: int) -> list[Comment]:
        """Return all comments, oldest first; those of reviews are not among them."""
        return list(self._http.pages(f"{self._issue(number)}/comments", Comment.from_json))

    def comment(self, number: int, body: str) -> Comment:
        """Add a comment."""

        def made() -> Comment | None:
            mine = [comment for comment in self.comments(number) if comment.author == self._me()]
            return mine[-1] if mine and mine[-1].body == body else None

        path = f"{self._issue(number)}/comments"
        return self._http.post(path, {"body": body}, Comment.from_json, look=made)

    def edit_comment(self, comment_id: int, body: str) -> None:
        """Replace a comment's text."""
        path = f"{self._repo}/issues/comments/{comment_id}"
        self._http.change("PATCH", path, json={"body": body})

    # Labels

    def ensure_label(self, name: str, color: str, description: str) -> int:
        """Return the id of the repository's label, which is created if there is none.

        Forges accept several labels of one name, and then find no issue by it. So if another
        agent creates the same label meanwhile, the older one remains.

        An organization's labels are not seen: a bot user's token may not list them (403).

        Args:
            name: Its name; case matters.
            color: Six hexadecimal digits, such as `0e8a16`.
            description: What it means.
        """
        found = self._label_id(name)
        return self._create_label(name, color, description) if found is None else found

    def add_labels(self, number: int, names: Iterable[str]) -> None:
        """Add labels to an issue or pull request, which may have them already.

        Raises:
            NotFoundError: The repository does not have one of them.
        """
        wanted = set(names)
        if not wanted <= self._add_labels(number, wanted):  # a known label was deleted meanwhile
            self._known_labels = {}
            self._add_labels(number, wanted)

    def remove_label(self, number: int, name: str) -> None:
        """Remove a label from an issue or pull request, which may not have it."""
        labels = self._http.get(f"{self._issue(number)}/labels", _label_pairs)
        for label_id, label_name in labels:
            if label_name == name:
                with contextlib.suppress(NotFoundError):
                    self._http.change("DELETE", f"{self._issue(number)}/labels/{label_id}")

    # Pull requests

    def pulls(self) -> list[Pull]:
        """Return the open pull requests, oldest first: one request for up to 50."""
        return self._pulls("open")

    def all_pulls(self) -> list[Pull]:
        """Return all pull requests, open, closed and merged, oldest first."""
        return self._pulls("all")

    def pull(self, number: int) -> Pull:
        """Return a pull request."""
        return self._http.get(self._pull(number), Pull.from_json)

    def open_pull(
        self, title: str, body: str, *, head: str, base: str, draft: bool = False
    ) -> Pull:
        """Open a pull request, or return the open one between these branches as it is.

        Args:
            title: Its title, without the prefix of a draft.
            body: Its text.
            head: The branch of this repository to merge.
            base: The branch to merge into.
            draft: Whether to open it as a draft; `edit_pull` with a plain title ends that.
        """

        def opened() -> Pull | None:
            ours = (pull for pull in self.pulls() if not pull.from_fork)
            return next((p for p in ours if (p.head_ref, p.base_ref) == (head, base)), None)

        content = {
            "title": f"{DRAFT_PREFIX}{title}" if draft else title,
            "body": body,
            "head": head,
            "base": base,
        }
        try:
            return self._http.post(f"{self._repo}/pulls", content, Pull.from_json, look=opened)
        except ForgeError as error:
            found = opened() if error.status == HTTPStatus.CONFLICT else None
            if found is None:
                raise
            return found

    def edit_pull(
        self,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        state: Literal["open", "closed"] | None = None,
    ) -> None:
        """Change what is given of a pull request."""
        changes = {"title": title, "body": body, "state": state}
        given = {name: value for name, value in changes.items() if value is not None}
        self._http.change("PATCH", self._pull(number), json=given)

    def request_review(self, number: int, users: Iterable[str]) -> None:
        """Request reviews; users who are requested already stay so.

        Raises:
            ForgeError: 422 for the author, and for a user who cannot read the repository.
            NotFoundError: There is no such user.
        """
        names = sorted(users)

        def requested() -> bool | None:
            present = map(str.lower, self.pull(number).requested_reviewers)
            return {name.lower() for name in names} <= set(present) or None

        path = f"{self._pull(number)}/requested_reviewers"
        self._http.post(path, {"reviewers": names}, _done, look=requested)

    def merge(
        self, number: int, method: Literal["merge", "rebase", "squash"], head_sha: str
    ) -> None:
        """Merge a pull request, if its head is still this commit.

        Raises:
            ForgeError: 405 for a draft, missing approvals, a conflict or an unfinished check for
                conflicts (both "Please try again later"; the latter also soon after `mergeable`
                was true), and a merged one; 409 for another head.
            NotFoundError: It is closed.
        """
        self._http.post(
            f"{self._pull(number)}/merge",
            {"Do": method, "head_commit_id": head_sha},
            _done,
            look=lambda: self.pull(number).merged or None,
        )

    # Reviews

    def reviews(self, number: int) -> list[Review]:
        """Return the reviews of a pull request and the requests for one, oldest first."""
        listed = self._http.pages(f"{self._pull(number)}/reviews", Review.from_json)
        return sorted(listed, key=lambda review: review.id)

    def review_comments(self, number: int, review_id: int) -> list[ReviewComment]:
        """Return the comments on lines that belong to a review, replies included, oldest first."""
        path = f"{self._pull(number)}/reviews/{review_id}/comments"
        listed = self._http.get(path, lambda told: [ReviewComment.from_json(one) for one in told])
        return sorted(listed, key=lambda comment: comment.id)

    def review(
        self,
        number: int,
        event: Literal["APPROVED", "REQUEST_CHANGES", "COMMENT"],
        body: str,
        *,
        commit_id: str,
        comments: Sequence[tuple[str, int, str]] = (),
    ) -> Review:
        """Submit a review, or return the one that the bot user submitted like this before.

        A review that is not submitted, left behind by a forge that stopped half-way, is deleted
        first: its comments would become part of this one.

        Args:
            number: The pull request's number.
            event: The verdict. The author of a pull request may only `COMMENT` (422).
            body: The text; only an approval, and a comment with `comments`, may have none (422).
            commit_id: The head commit that was reviewed.
            comments: Path, line in the new file, and text of each comment on a line. The forge
                accepts paths and lines that are not part of the diff.
        """

        def submitted() -> Review | None:
            found = None
            for review in self.reviews(number):
                if review.author != self._me():
                    continue
                if review.state == "PENDING":
                    with contextlib.suppress(NotFoundError):
                        self._http.change("DELETE", f"{path}/{review.id}")
                elif not review.dismissed and _says(review) == (event, body, commit_id):
                    found = review
            return found

        path = f"{self._pull(number)}/reviews"
        content = {
            "event": event,
            "body": body,
            "commit_id": commit_id,
            "comments": [
                {"path": file, "new_position": line, "body": text} for file, line, text in comments
            ],
        }
        return submitted() or self._http.post(path, content, Review.from_json, look=submitted)

    def reply(self, number: int, to: ReviewComment, body: str) -> None:
        """Reply to a comment on a line: in its thread on Forgejo, else by an ordinary comment.

        Gitea 1.26 has no call for replies (405). The ordinary comment quotes the beginning as
        code, where the forge follows neither mentions nor words like "closes #1".
        """
        path = f"{self._pull(number)}/reviews/{to.review_id}/comments"
        content: dict[str, Any] = {"path": to.path, "body": body}
        content |= {"new_position": to.line} if to.line else {"old_position": to.old_line}

        def made() -> ReviewComment | None:
            replies = self.review_comments(number, to.review_id)
            mine = (reply for reply in replies if (reply.author, reply.body) == (self._me(), body))
            return next((reply for reply in mine if _place(reply) == _place(to)), None)

        try:
            self._http.post(path, content, ReviewComment.from_json, look=made)
        except ForgeError as error:
            if error.status not in _NO_REPLIES:
                raise
            self.comment(number, f"{_quoted(to)}\n\n{body}")

    # Details

    def _issue(self, number: int) -> str:
        return f"{self._repo}/issues/{number}"

    def _pull(self, number: int) -> str:
        return f"{self._repo}/pulls/{number}"

    def _me(self) -> str:
        if not self._login:
            self._login = self.whoami().login
        return self._login

    def _issues(self, **params: str) -> list[Issue]:
        selected = {"state": "open", "type": "issues", **params}
        return _oldest_first(self._http.pages(f"{self._repo}/issues", Issue.from_json, **selected))

    def _pulls(self, state: str) -> list[Pull]:
        return _oldest_first(self._http.pages(f"{self._repo}/pulls", Pull.from_json, state=state))

    def _assign(self, number: int, users: list[str]) -> None:
        self._http.change("PATCH", self._issue(number), json={"assignees": users})

    def _teams(self) -> list[dict[str, Any]]:
        """Return the teams with access to the repository; a user's repository has none (405)."""
        try:
            return self._http.get(f"{self._repo}/teams", list)
        except ForgeError as error:
            if error.status != HTTPStatus.METHOD_NOT_ALLOWED:
                raise
            return []

    def _label_id(self, name: str) -> int | None:
        if name not in self._known_labels:
            self._known_labels = self._oldest_labels()
        return self._known_labels.get(name)

    def _label_ids(self, names: Iterable[str]) -> list[int]:
        ids = {name: self._label_id(name) for name in sorted(names)}
        for name, label_id in ids.items():
            if label_id is None:
                path = f"{self._repo}/labels"
                raise NotFoundError(f"{self._full_name} has no label {name!r}", call=f"GET {path}")
        return [label_id for label_id in ids.values() if label_id is not None]

    def _oldest_labels(self) -> dict[str, int]:
        """Return the id of each label by name; if several have one name, that of the oldest."""
        listed = self._http.pages(f"{self._repo}/labels", _label_pair)
        return {name: label_id for label_id, name in sorted(listed, reverse=True)}

    def _create_label(self, name: str, color: str, description: str) -> int:
        created = self._http.post(
            f"{self._repo}/labels",
            {"name": name, "color": f"#{color}", "description": description},
            lambda told: int(told["id"]),
            look=lambda: self._oldest_labels().get(name),
        )
        self._known_labels = self._oldest_labels()
        oldest = self._known_labels.get(name, created)
        if oldest != created:
            with contextlib.suppress(NotFoundError):
                self._http.change("DELETE", f"{self._repo}/labels/{created}")
        return oldest

    def _add_labels(self, number: int, names: set[str]) -> set[str]:
        """Add labels by their ids; return the names of all that the issue now has.

        Forges ignore unknown ids. Ids are sent because Forgejo 7 does not accept names.
        """
        path = f"{self._issue(number)}/labels"
        content = {"labels": self._label_ids(names)}

        def added() -> set[str] | None:
            present = self._http.get(path, _label_names)
            return present if names <= present else None

        return self._http.post(path, content, _label_names, look=added)


def _lets_readers_in(team: dict[str, Any]) -> bool:
    """Tell whether `/assignees` lists a team's members although they may not write code.

    `GetRepoAssignees` in `models/repo/user_repo.go` of Gitea and Forgejo.
    """
    units: dict[str, str] = team["units_map"]
    if units.get("repo.code") in _WRITING:
        return False
    return units.get("repo.pulls") == "read" or not _WRITING.isdisjoint(units.values())


def _oldest_first(items: Iterable[T]) -> list[T]:
    """Sort by number, each once: what is created between two pages moves the rest along."""
    return sorted({item.number: item for item in items}.values(), key=lambda item: item.number)


def _below(path: str) -> str:
    return "/".join(map(paths.segment, path.split("/")))


def _refs(told: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - JSON
    return [(str(ref["ref"]), str(ref["object"]["sha"])) for ref in told]


def _label_pair(told: dict[str, Any]) -> tuple[int, str]:
    return told["id"], told["name"]


def _label_pairs(told: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [_label_pair(label) for label in told]


def _label_names(told: list[dict[str, Any]]) -> set[str]:
    return {name for _, name in _label_pairs(told)}


def _says(review: Review) -> tuple[str, str, str]:
    return review.state, review.body, review.commit_id


def _done(_: object) -> bool:
    return True


def _place(comment: ReviewComment) -> tuple[str, int, int]:
    return comment.path, comment.line, comment.old_line


def _quoted(comment: ReviewComment) -> str:
    place = _code(f"{comment.path}:{comment.line or comment.old_line}")
    return f"> {place}: {_code(comment.body)} ([review comment]({comment.html_url}))"


def _code(text: str) -> str:
    """Return a text, shortened, as code in one line of Markdown."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line[:_EXCERPT]}…`" if len(line) > _EXCERPT else f"`{line}`"
