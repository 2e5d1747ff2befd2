"""Roles that write issues: `triage` looks after one that exists, `propose` files a new one."""

import json
import time
from pathlib import Path
from typing import Any

from muster.forge import Issue
from runtime import report
from runtime.dev import label
from runtime.formula import Formula
from runtime.prompt import answer, one_line, quoted, titled, visible
from runtime.services import Services
from runtime.session import Outcome
from runtime.state import Task
from runtime.work import Budget, Conversation

HOUR = 3600.0
AGAIN = "Your answer was not the JSON that was asked for. Answer with that JSON alone."
LATER = {"endpoint", "cancelled"}
"""How a session may end through nobody's fault: it is tried again."""

TITLE_LENGTH = 200
BODY_LENGTH = 20_000


def triage(services: Services, formula: Formula, issue: Issue) -> None:
    """Give an issue the labels that it needs, and say what is missing.

    Raises:
        StoppedError: The container is being stopped.
        ForgeError: The forge does not answer.
        GitError: The same.
    """
    name = f"#{issue.number}"
    task = Task("issue", issue.number, issue.title, issue.html_url)
    services.reporter.enter("preparing", f"Triaging {name}.", task=task)
    others = [each for each in _open_issues(services) if each.number != issue.number]
    texts = [(f"issue {name}", titled(issue.title, issue.body)), _listed(others)]
    outcome, said = _ask(services, formula, f"triage-{issue.number}", quoted(texts))
    if outcome.kind in LATER:
        services.reporter.finish(name, f"not triaged: {outcome.message}")
        return
    now = services.forge.issue(issue.number)
    if now.state != "open" or now.labels:
        services.reporter.finish(name, "not triaged: a person did so meanwhile")
        return
    labels = _labels(services, said)
    words = services.reporter.redacted(report.quoted(str(said.get("comment") or "")))
    if not said:
        words = f"A person has to decide: {services.settings.agent} could not triage this issue."
    twin = said.get("duplicate_of")
    known = {each.number for each in others}
    if isinstance(twin, int) and twin is not True and twin in known:
        labels = [report.NEEDS_HUMAN]  # two agents must not do the same
        words = f"{words}\n\nThis may be the same as #{twin}.".strip()
    if words:
        services.forge.comment(issue.number, report.note(words))
    label(services, issue.number, add=labels)
    services.reporter.finish(name, f"labelled {', '.join(labels)}")


def _labels(services: Services, said: dict[str, Any]) -> list[str]:
    """Return the labels that an issue gets: only the crew's own, whatever the model says."""
    work = services.settings.work.label
    listed = said.get("labels")
    wanted = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    if work not in wanted or report.NEEDS_HUMAN in wanted:
        return [report.NEEDS_HUMAN]
    return [work, report.PRIORITY] if report.PRIORITY in wanted else [work]


def propose(services: Services, formula: Formula) -> None:
    """File the one issue that a formula's run comes up with, if any.

    Raises:
        StoppedError: The container is being stopped.
        ForgeError: The forge does not answer.
        GitError: The same.
    """
    services.reporter.enter("preparing", f"Looking for an issue to propose ({formula.role}).")
    present = _open_issues(services)
    outcome, said = _ask(services, formula, f"propose-{formula.role}", quoted([_listed(present)]))
    if outcome.kind in LATER:
        services.reporter.finish(formula.role, f"nothing proposed: {outcome.message}")
        return
    note_run(services.data, formula.role)
    if outcome.kind != "done":
        services.reporter.finish(formula.role, f"nothing proposed: {outcome.message}")
        return
    title, body = said.get("title"), said.get("body")
    if not (isinstance(title, str) and visible(title) and isinstance(body, str)):
        services.reporter.finish(formula.role, "nothing to propose")
        return
    line = services.reporter.redacted(report.neutral(one_line(title), TITLE_LENGTH))
    if twin := next((each for each in present if each.title.lower() == line.lower()), None):
        services.reporter.finish(formula.role, f"nothing to propose: #{twin.number} is open")
        return
    text = services.reporter.redacted(report.neutral(body, BODY_LENGTH))
    signed = f"{text}\n\nProposed by **{services.settings.agent}** ({formula.role})."
    filed = services.forge.create_issue(line, signed, [])
    services.reporter.finish(formula.role, f"proposed #{filed.number}")


def is_due(folder: Path, formula: Formula) -> bool:
    """Whether a scheduled role has to run: it never did, or its hours have passed."""
    return time.time() - _runs(folder).get(formula.role, 0.0) >= formula.hours * HOUR


def note_run(folder: Path, role: str) -> None:
    """Remember that a scheduled role ran now."""
    draft = folder / "runs.tmp"
    draft.write_text(json.dumps(_runs(folder) | {role: time.time()}), "utf-8")
    draft.replace(folder / "runs.json")


def _runs(folder: Path) -> dict[str, float]:
    try:
        runs: dict[str, float] = json.loads((folder / "runs.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return runs


def _ask(
    services: Services, formula: Formula, folder: str, text: str
) -> tuple[Outcome, dict[str, Any]]:
    """Have a session on a tree of the primary branch; return it and the JSON of its answer.

    An answer without JSON is asked for again, once.
    """
    base = services.fetch_branches()
    kind, _, key = folder.partition("-")
    tree = services.tree(kind, key)
    tree.make("muster-read", base)
    talk = Conversation(services, tree, Budget.of(services), lambda: None)
    prompt = formula.prompt.replace("{label}", services.settings.work.label)
    outcome = talk.say(f"{prompt}\n\n{text}", f"Working as {formula.role}.")
    if outcome.kind == "done" and answer(outcome.text) is None:
        outcome = talk.say(AGAIN, f"Asking again as {formula.role}.")
    tree.remove()
    said = answer(outcome.text) if outcome.kind == "done" else None
    return outcome, said or {}


def _open_issues(services: Services) -> list[Issue]:
    return [each for each in services.forge.open_issues() if not each.is_pull]


def _listed(issues: list[Issue]) -> tuple[str, str]:
    return "open issues", "\n".join(f"#{each.number} {one_line(each.title)}" for each in issues)
