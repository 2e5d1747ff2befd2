"""The role `review`: a pull request is reviewed, once for each of its last commits."""

import re
from typing import Any, Literal

from muster.forge import ForgeError, NotFoundError, Pull
from runtime import report
from runtime.feedback import VERDICT
from runtime.formula import Formula
from runtime.git import GitError
from runtime.prompt import answer, one_line, quoted, titled, visible
from runtime.services import Services
from runtime.session import Outcome
from runtime.state import Task
from runtime.work import Budget, Conversation

Event = Literal["APPROVED", "COMMENT", "REQUEST_CHANGES"]

EVENTS: dict[str, Event] = {
    "approve": "APPROVED",
    "comment": "COMMENT",
    "request_changes": "REQUEST_CHANGES",
}
MOST_COMMENTS = 20
AGAIN = (
    "Your answer was not the JSON that was asked for. Answer with that JSON alone, with the keys "
    "verdict, summary and comments."
)
LATER = {"endpoint", "cancelled"}
"""How a session may end through nobody's fault: the review is tried again."""

_CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)", re.IGNORECASE)
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def is_for(services: Services, pull: Pull) -> bool:
    """Whether a pull request is this reviewer's.

    It is another bot's, or it is somebody's who may trigger work and asked for this review. Drafts
    are reviewed only if asked for.
    """
    me = services.user.login.lower()
    if pull.author.lower() == me:
        return False
    if me in {name.lower() for name in pull.requested_reviewers}:
        return services.may_trigger(pull.author)
    # Anybody may call the branch of a fork so.
    return pull.head_ref.startswith("muster/") and not pull.from_fork and not pull.draft


def is_reviewed(services: Services, pull: Pull) -> bool:
    """Whether this bot has reviewed the pull request's last commit."""
    me = services.user.login.lower()
    return any(
        each.author.lower() == me
        and each.commit_id == pull.head_sha
        and each.state in EVENTS.values()
        for each in services.forge.reviews(pull.number)
    )


def run(services: Services, formula: Formula, pull: Pull) -> bool:
    """Review a pull request; return False if that has to be tried again.

    Raises:
        StoppedError: The container is being stopped.
        ForgeError: The forge does not answer.
        GitError: The same.
        TreeError: Git failed in the jail.
    """
    name = f"#{pull.number}"
    services.reporter.enter(
        "preparing",
        f'Reviewing {name} "{one_line(pull.title)}".',
        task=Task("pull", pull.number, pull.title, pull.html_url),
        pull=pull.number,
    )
    base = _base(services, pull)
    if base is None:
        _decline(services, pull, "it has no commit in common with its base branch")
        return True
    outcome = _session(services, formula, pull, base)
    if outcome.kind in LATER:
        services.reporter.finish(name, f"not reviewed: {outcome.message}")
        return False
    verdict = answer(outcome.text)
    if outcome.kind != "done":
        _decline(services, pull, outcome.message)
    elif verdict is None or not _is_valid(verdict):
        _decline(services, pull, "the model gave no verdict")
    else:
        services.reporter.enter("delivering", f"Writing the review of {name}.")
        said = _write(services, pull, verdict, base)
        services.reporter.finish(name, f"reviewed: {said}")
    return True


def _base(services: Services, pull: Pull) -> str | None:
    """Fetch a pull request; return the commit where it left its base branch, None if none."""
    services.fetch_branches()
    services.mirror.fetch(f"+refs/pull/{pull.number}/head:refs/muster/pulls/{pull.number}")
    try:
        base = f"refs/heads/{pull.base_ref}"
        return services.mirror.run("merge-base", base, pull.head_sha).strip()
    except GitError:
        if services.mirror.resolve(pull.head_sha) is None:
            raise  # it was replaced meanwhile
        return None


def _session(services: Services, formula: Formula, pull: Pull, base: str) -> Outcome:
    """Have the model read the change; an answer without a verdict is asked for again, once."""
    tree = services.tree("pull", pull.number)
    tree.make(f"pull-{pull.number}", pull.head_sha)
    talk = Conversation(
        services, tree, Budget.of(services), lambda: _changed(services, pull), state="reviewing"
    )
    prompt = formula.prompt.replace("{base}", base).replace("{number}", str(pull.number))
    outcome = talk.say(f"{prompt}\n\n{_quoted(services, pull)}", f"Reviewing #{pull.number}.")
    if outcome.kind == "done" and not _is_valid(answer(outcome.text)):
        outcome = talk.say(AGAIN, f"Asking again about #{pull.number}.")
    tree.remove()
    return outcome


def _decline(services: Services, pull: Pull, reason: str) -> None:
    """Say at the pull request why there is no review, so that it is not tried again."""
    text = (
        f"**{services.settings.agent}** could not review {pull.head_sha[:10]}: "
        f"{services.reporter.redacted(report.neutral(reason))}. The next commit is reviewed again."
    )
    services.forge.review(
        pull.number, "COMMENT", f"{VERDICT}none -->\n\n{text}", commit_id=pull.head_sha
    )
    services.reporter.finish(f"#{pull.number}", f"not reviewed: {reason}")


def _write(services: Services, pull: Pull, verdict: dict[str, Any], base: str) -> str:
    kind = str(verdict["verdict"])
    event = EVENTS[kind]
    if event == "APPROVED" and not services.settings.work.may_approve:
        event = "COMMENT"
    options = ("--unified=3", "--no-renames", "--no-textconv", "--no-ext-diff", "--no-color")
    lines = shown_lines(services.mirror.run("diff", *options, base, pull.head_sha))
    redacted = services.reporter.redacted  # last: removing hidden characters may complete a secret
    placed, others = [], []
    for path, line, body in _comments(verdict):
        if line in lines.get(path, set()):
            placed.append((path, line, redacted(report.neutral(body))))
        else:  # a forge accepts a place that does not exist, and shows the comment nowhere
            place = f"{path}:{line}" if line else path
            others.append(report.quoted(f"{place}: {body}" if place else body))
    words = kind.replace("_", " ")
    parts = [
        f"{VERDICT}{kind} -->",
        f"**{services.settings.agent}** reviewed {pull.head_sha[:10]}: {words}.",
        report.quoted(str(verdict.get("summary") or "")),
        *others,
    ]
    body = redacted("\n\n".join(part for part in parts if part))
    services.forge.review(pull.number, event, body, commit_id=pull.head_sha, comments=placed)
    count = len(placed) + len(others)
    return f"{words}, {count} comment{'' if count == 1 else 's'}"


def shown_lines(diff: str) -> dict[str, set[int]]:
    """Return the lines of the new files that a unified diff shows, by file."""
    found: dict[str, set[int]] = {}
    path, line, old_left, new_left = "", 0, 0, 0
    for text in diff.split("\n"):
        if old_left > 0 or new_left > 0:  # within a hunk, a line may look like a header
            kind = text[:1]
            old_left -= kind in {" ", "-"}
            if kind in {" ", "+"}:
                found.setdefault(path, set()).add(line)
                new_left -= 1
                line += 1
        elif text.startswith("+++ "):
            path = _path(text[4:])
        elif hunk := _HUNK.match(text):
            line = int(hunk[2])
            old_left, new_left = int(hunk[1] or 1), int(hunk[3] or 1)
    return found


def _path(written: str) -> str:
    """Return the path that a diff's header names; git quotes what is unusual in it, like C."""
    path = written.rstrip("\t")  # ends a name with spaces
    if path.startswith('"'):
        escaped = path[1:-1].encode()
        path = escaped.decode("unicode_escape").encode("latin-1").decode(errors="replace")
    return path.removeprefix("b/")


def _comments(verdict: dict[str, Any]) -> list[tuple[str, int, str]]:
    found = []
    listed = verdict.get("comments")
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and each.get("body"):
            line = each.get("line")
            number = line if isinstance(line, int) and not isinstance(line, bool) else 0
            found.append((str(each.get("path", "")), number, str(each["body"])))
    return found[:MOST_COMMENTS]


def _is_valid(verdict: dict[str, Any] | None) -> bool:
    return verdict is not None and str(verdict.get("verdict")) in EVENTS


def _changed(services: Services, pull: Pull) -> str | None:
    """Return why a review has become pointless; asks the forge at most once per cycle."""

    def ask() -> str | None:
        try:
            now = services.forge.pull(pull.number)
        except ForgeError:
            return None
        if now.state != "open":
            return "the pull request was closed"
        return "there is a newer commit" if now.head_sha != pull.head_sha else None

    interval = max(5.0, float(services.settings.poll_interval))
    return services.cache.get(f"pull {pull.number} {pull.head_sha}", interval, ask)


def _quoted(services: Services, pull: Pull) -> str:
    """Return the scope, the pull request's text, and what this bot said of earlier commits."""
    texts = [(f"pull request #{pull.number}", titled(pull.title, pull.body))]
    number = _closed_issue(pull.body)
    if number is not None:
        try:
            issue = services.forge.issue(number)
        except NotFoundError:
            pass
        else:
            texts.insert(0, (f"issue #{number}", titled(issue.title, issue.body)))
    me = services.user.login.lower()
    for review in services.forge.reviews(pull.number):
        if review.author.lower() == me and review.state in EVENTS.values():
            said = [review.body]
            said += [
                f"{each.path}: {each.body}"
                for each in services.forge.review_comments(pull.number, review.id)
            ]
            texts.append((f"your review of {review.commit_id[:10]}", "\n".join(said)))
    return quoted(texts)


def _closed_issue(body: str) -> int | None:
    found = _CLOSES.search(visible(body))
    return int(found[1]) if found else None
