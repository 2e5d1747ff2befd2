"""The role `review`: a pull request is reviewed, once for each of its last commits."""

from typing import Any, Literal

from muster.forge import ForgeError, Pull
from runtime import report
from runtime.feedback import VERDICT
from runtime.formula import Formula
from runtime.prompt import answer, quoted, visible
from runtime.services import Services
from runtime.state import Task
from runtime.work import Budget, Conversation

EVENTS: dict[str, Literal["APPROVED", "COMMENT", "REQUEST_CHANGES"]] = {
    "approve": "APPROVED",
    "comment": "COMMENT",
    "request_changes": "REQUEST_CHANGES",
}
MOST_COMMENTS = 20
AGAIN = "Your answer was not the JSON that was asked for. Answer with that JSON alone."


def is_for(services: Services, pull: Pull) -> bool:
    """Whether a pull request is this reviewer's: another bot's, or somebody's who asked for it."""
    me = services.user.login.lower()
    if pull.author.lower() == me:
        return False
    asked = me in {name.lower() for name in pull.requested_reviewers}
    return asked or pull.head_ref.startswith("muster/")


def is_reviewed(services: Services, pull: Pull) -> bool:
    """Whether this bot has reviewed the pull request's last commit."""
    me = services.user.login.lower()
    reviews = services.forge.reviews(pull.number)
    return any(each.author.lower() == me and each.commit_id == pull.head_sha for each in reviews)


def run(services: Services, formula: Formula, pull: Pull) -> None:
    """Review a pull request.

    Raises:
        StoppedError: The container is being stopped.
        ForgeError: The forge does not answer.
        GitError: The same.
        TreeError: Git failed in the jail.
    """
    name = f"#{pull.number}"
    services.reporter.enter(
        "preparing",
        f'Reviewing {name} "{visible(pull.title)}".',
        task=Task("pull", pull.number, pull.title, pull.html_url),
        pull=pull.number,
    )
    tree = services.tree("pull", pull.number)
    services.fetch_branches()
    services.mirror.fetch(f"+refs/pull/{pull.number}/head:refs/muster/pulls/{pull.number}")
    base = services.mirror.run("merge-base", services.primary, pull.head_sha).strip()
    tree.make(f"pull-{pull.number}", pull.head_sha)
    talk = Conversation(
        services, tree, Budget.of(services), lambda: _changed(services, pull), state="reviewing"
    )
    prompt = formula.prompt.replace("{base}", base).replace("{number}", str(pull.number))
    outcome = talk.say(f"{prompt}\n\n{_quoted(services, pull)}", f"Reviewing {name}.")
    verdict = answer(outcome.text)
    if outcome.kind == "done" and not _is_valid(verdict):
        outcome = talk.say(AGAIN, f"Asking again about {name}.")
        verdict = answer(outcome.text)
    tree.remove()
    if outcome.kind != "done" or verdict is None or not _is_valid(verdict):
        why = outcome.message if outcome.kind != "done" else "the model gave no verdict"
        services.reporter.finish(name, f"not reviewed: {why}")
        return
    services.reporter.enter("delivering", f"Writing the review of {name}.")
    said = _write(services, pull, verdict, base)
    services.reporter.finish(name, f"reviewed: {said}")


def _write(services: Services, pull: Pull, verdict: dict[str, Any], base: str) -> str:
    kind = str(verdict["verdict"])
    event = EVENTS[kind]
    if event == "APPROVED" and not services.settings.work.may_approve:
        event = "COMMENT"
    lines = shown_lines(
        services.mirror.run(
            "diff",
            "--unified=3",
            "--no-renames",
            "--no-textconv",
            "--no-color",
            base,
            pull.head_sha,
        )
    )
    placed, others = [], []
    for path, line, body in _comments(verdict):
        text = services.reporter.redacted(report.quoted(body).replace("> ", "", 1))
        if line in lines.get(path, set()):
            placed.append((path, line, text))
        else:  # a forge accepts a place that does not exist, and shows the comment nowhere
            others.append(f"- `{path}`: {text}")
    body = "\n\n".join(
        part
        for part in (
            f"{VERDICT}{kind} -->",
            f"**{services.settings.agent}** reviewed {pull.head_sha[:10]}: {kind}.",
            report.quoted(services.reporter.redacted(str(verdict.get("summary", "")))),
            "\n".join(others),
        )
        if part
    )
    services.forge.review(pull.number, event, body, commit_id=pull.head_sha, comments=placed)
    count = len(placed) + len(others)
    return f"{kind.replace('_', ' ')}, {count} comment{'' if count == 1 else 's'}"


def shown_lines(diff: str) -> dict[str, set[int]]:
    """Return the lines of the new files that a unified diff shows, by file."""
    found: dict[str, set[int]] = {}
    path, line = "", 0
    for text in diff.splitlines():
        if text.startswith("+++ "):
            path = text[4:].strip('"').removeprefix("b/")
        elif text.startswith("@@ "):
            line = int(text.split(" ")[2].lstrip("+").split(",")[0])
        elif text.startswith(("+", " ")) and path:
            found.setdefault(path, set()).add(line)
            line += 1
    return found


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
    return verdict is not None and verdict.get("verdict") in EVENTS


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
    texts = [(f"pull request #{pull.number}: {visible(pull.title)}", pull.body)]
    number = _closed_issue(pull.body)
    if number is not None:
        issue = services.forge.issue(number)
        texts.append((f"issue #{number}: {visible(issue.title)}", issue.body))
    return quoted(texts)


def _closed_issue(body: str) -> int | None:
    for line in body.splitlines():
        word, _, number = line.partition(" #")
        if word.lower() in {"closes", "fixes", "resolves"} and number.strip().isdecimal():
            return int(number)
    return None
