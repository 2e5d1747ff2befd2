"""Roles that write issues: `triage` looks after one that exists, `propose` files a new one."""

import json
import time
from pathlib import Path
from typing import Any

from muster.forge import Issue
from runtime import report
from runtime.dev import label
from runtime.formula import Formula
from runtime.prompt import answer, quoted, visible
from runtime.services import Services
from runtime.state import Task
from runtime.work import Budget, Conversation

HOUR = 3600.0
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
    services.reporter.enter("preparing", f"Looking after {name}.", task=task)
    listed = _open_issues(services)
    texts = [(f"issue {name}: {visible(issue.title)}", issue.body), ("open issues", listed)]
    said = _ask(services, formula, f"triage-{issue.number}", quoted(texts)) or {}
    allowed = {services.settings.work.label, report.NEEDS_HUMAN, report.PRIORITY}
    wanted = said.get("labels")
    labels = [each for each in wanted if each in allowed] if isinstance(wanted, list) else []
    labels = labels or [report.NEEDS_HUMAN]
    label(services, issue.number, add=labels)
    words = report.quoted(services.reporter.redacted(str(said.get("comment") or "")))
    twin = said.get("duplicate_of")
    if isinstance(twin, int) and not isinstance(twin, bool) and twin != issue.number:
        words = f"{words}\n\nThis may be the same as #{twin}.".strip()
    if words:
        services.forge.comment(issue.number, report.comment(words))
    services.reporter.finish(name, f"labelled {', '.join(labels)}")


def propose(services: Services, formula: Formula) -> None:
    """File the one issue that a formula's run comes up with, if any.

    Raises:
        StoppedError: The container is being stopped.
        ForgeError: The forge does not answer.
        GitError: The same.
    """
    services.reporter.enter("preparing", f"Looking for what to propose ({formula.role}).")
    texts = [("open issues", _open_issues(services))]
    said = _ask(services, formula, f"propose-{formula.role}", quoted(texts)) or {}
    note_run(services.data, formula.role)
    title, body = said.get("title"), said.get("body")
    if not (isinstance(title, str) and title.strip() and isinstance(body, str)):
        services.reporter.finish(formula.role, "nothing to propose")
        return
    text = services.reporter.redacted(visible(body)[:BODY_LENGTH].replace("@", "@\u200b"))
    signed = f"{text}\n\nProposed by **{services.settings.agent}** ({formula.role})."
    clean = " ".join(services.reporter.redacted(visible(title)).split())[:TITLE_LENGTH]
    filed = services.forge.create_issue(clean, signed, [])
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


def _ask(services: Services, formula: Formula, folder: str, text: str) -> dict[str, Any] | None:
    """Have a session on a tree of the primary branch; return the JSON that it answered with."""
    base = services.fetch_branches()
    kind, _, key = folder.partition("-")
    tree = services.tree(kind, key)
    tree.make("muster-read", base)
    talk = Conversation(services, tree, Budget.of(services), lambda: None)
    outcome = talk.say(f"{formula.prompt}\n\n{text}", f"Working as {formula.role}.")
    tree.remove()
    if outcome.kind != "done":
        services.reporter.say("warning", f"{formula.role}: {outcome.message}")
        return None
    return answer(outcome.text)


def _open_issues(services: Services) -> str:
    issues = services.forge.open_issues()
    return "\n".join(f"#{each.number} {visible(each.title)}" for each in issues if not each.is_pull)
