"""The role `dev`: an issue becomes a pull request."""

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import replace

from muster.forge import ForgeError, Issue, NotFoundError, Pull
from runtime import check, deliver, report
from runtime.claim import ATTEMPTS, Claim
from runtime.formula import Formula
from runtime.git import GitError, PushRejectedError
from runtime.hold import EDITED, TAKEN_OVER, Hold, LostError
from runtime.prompt import answer, looks_like_a_tool_call, one_line, quoted, titled
from runtime.services import Services, StoppedError
from runtime.session import Outcome
from runtime.state import Task
from runtime.tree import TreeError
from runtime.work import Budget, Conversation

REFUSALS = {
    "too_large": "it is too large for one pull request",
    "unmet_dependency": "something that it needs is missing",
    "already_done": "it seems to be done already",
    "unclear": "it is not clear what is wanted",
}

NUDGE = (
    "You wrote a tool call as text, so nothing was changed. Use the tools themselves to change the "
    "files, then answer with the summary."
)
REPAIR = """\
A check of the project fails after your change. Correct it, then answer with the summary.

Command: {command}
Exit code: {code}
"""
INTERRUPTED = "You were interrupted. Continue where you stopped."
CHANGED = "The issue was edited while you worked. It now reads as below: adapt your change to it."
SUBJECT_LENGTH = 72
LOCK_SECONDS = 60.0
"""For removing locks that a killed git left in a tree."""

FILLED = "the files of this task filled the disk of the agent's volumes"
LEAST_FREE = 20 << 20
"""Bytes; with less on the volumes, a failure is the disk's, and not an attempt."""


class FailedError(Exception):
    """An attempt failed; the message says why, for the issue."""


class GivenBackError(Exception):
    """The work ended without a result and without counting as an attempt.

    Attributes:
        keep_tree: Whether this agent goes on from its tree if it takes the issue again.
    """

    def __init__(self, reason: str, *, keep_tree: bool = False) -> None:
        super().__init__(reason)
        self.keep_tree = keep_tree


class RefusedError(Exception):
    """The model says that the issue should not be worked on as it is."""


def branch_of(number: int) -> str:
    """Return the branch of an issue's pull request."""
    return f"muster/issue-{number}"


class Development:
    """The work on one issue.

    Args:
        services: The agent's tools.
        formula: The role's formula.
        hold: The issue, held.
    """

    def __init__(self, services: Services, formula: Formula, hold: Hold) -> None:
        self._services = services
        self._formula = formula
        self._hold = hold
        self._number = hold.issue.number
        self._tree = services.tree("issue", self._number)
        self._pushed = ""
        self._budget = Budget.of(services)
        self._conversation = Conversation(
            services, self._tree, self._budget, hold.interrupted, waits=self._report_waiting
        )

    def run(self) -> Claim | None:
        """Work on the issue until there is a pull request, or a reason why there is none.

        Returns:
            The claim of the open pull request; None if the issue was given back.

        Raises:
            StoppedError: The container is being stopped; the issue is given back.
            ForgeError: The forge does not answer; the next cycle goes on from here.
            GitError: The same.
            LookupError: The primary branch does not exist; the issue is given back.
            OSError: The disk is full; a later cycle goes on from here.
        """
        try:
            return self._run()
        except LostError:
            self._tree.remove()
            self._finish(TAKEN_OVER)
            return None

    def _run(self) -> Claim | None:
        try:
            self._begin()
            pull = self._work()
        except LookupError as reason:
            self._give_back(f"Given back: {reason}.", keep_tree=True)
            raise
        except GivenBackError as reason:
            self._give_back(f"Given back: {reason}.", keep_tree=reason.keep_tree)
        except StoppedError:
            self._give_back("Given back: the agent was stopped.", keep_tree=True)
            raise
        except RefusedError as reason:
            self._ask_a_person(f"Not worked on: {reason}")
        except deliver.ProtectedError as reason:
            self._ask_a_person(
                f"Not delivered: {reason}. A person has to make this change, or take the path out "
                "of `protected_paths` in the roster."
            )
        except (FailedError, deliver.NotDeliveredError, TreeError, check.ChecksError) as reason:
            self._fail(FILLED if self._filled_the_disk() else str(reason))
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not self._filled_the_disk():
                raise
            self._fail(FILLED)
        else:
            self._services.reporter.finish(f"#{self._number}", f"opened #{pull.number}")
            return self._hold.claim
        return None

    # The steps

    def _begin(self) -> None:
        services, issue = self._services, self._hold.issue
        if self._hold.claim.attempt > ATTEMPTS:
            raise FailedError("the agent ended in the middle of each attempt")
        services.reporter.enter(
            "preparing",
            f'Took #{issue.number} "{one_line(issue.title)}".',
            task=Task("issue", issue.number, issue.title, issue.html_url),
        )
        self._comment(f"**{services.settings.agent}** works on this.")
        overruled = {report.BLOCKED, report.NEEDS_HUMAN} & issue.labels  # a person asked for it
        self._label(add=[report.IN_PROGRESS], remove=sorted(overruled))
        services.forge.assign(issue.number, services.user.login)

    def _work(self) -> Pull:
        services, tree = self._services, self._tree
        base = services.fetch_branches()
        self._pushed = services.mirror.resolve(f"refs/heads/{branch_of(self._number)}") or ""
        notes = tree.notes
        if notes.get("stage") != "deliver":
            summary = self._change(base, str(notes.get("session") or "") or None)
            checks = self._checked()
            self._hold.look()
            while self._hold.edited:
                self._settled(self._conversation.say(self._edited(), self._working()))
                checks = self._checked()
                self._hold.look()
            tree.commit(self._message())
            tree.note(
                stage="deliver",
                summary=summary,
                checks=_noted(checks),
                effort=[self._budget.turns, self._budget.used_tokens, self._budget.used_seconds],
            )
        return self._deliver()

    def _change(self, base: str, session: str | None) -> str:
        """Have the model change the tree; return its summary."""
        tree, talk = self._tree, self._conversation
        talk.session = session
        if talk.is_kept:  # an earlier container, or a forge that was down, interrupted it
            tree.run("find .git -name '*.lock' -delete", LOCK_SECONDS)
            text = f"{INTERRUPTED}\n\n{self._prompt()}"
        else:
            tree.make(branch_of(self._number), base)
            self._set_up()
            text = self._prompt()
        outcome = self._settled(talk.say(text, self._working()))
        if not self._has_change() and looks_like_a_tool_call(outcome.text):
            outcome = self._settled(talk.say(NUDGE, f"Asking again about #{self._number}."))
        if not self._has_change():
            self._refusal(outcome)
            raise FailedError("the session ended without a change")
        return outcome.text

    def _set_up(self) -> None:
        services = self._services
        wanted = check.commands(services)
        failed = check.set_up(services, self._tree, wanted, self._is_interrupted)
        self._raise_if_interrupted()
        if failed is not None:
            shown = report.fenced(failed.output[-3000:])
            raise FailedError(f"the set-up command `{failed.command}` failed:\n\n{shown}")

    def _settled(self, outcome: Outcome) -> Outcome:
        """Return an outcome that is done; edits of the issue are passed on to the model."""
        talk = self._conversation
        while outcome.kind == "cancelled" and outcome.message == EDITED:
            text = self._edited() if talk.is_kept else self._prompt()
            outcome = talk.say(text, f"#{self._number} was edited: working on.")
        if outcome.kind in {"cancelled", "endpoint"}:
            raise GivenBackError(outcome.message, keep_tree=outcome.kind == "endpoint")
        if outcome.kind != "done":
            turns = self._budget.turns
            after = f"after {turns} turn{'' if turns == 1 else 's'}"
            raise FailedError(f"{outcome.message} ({after})")
        return outcome

    def _checked(self) -> list[report.Checked]:
        """Run the checks; what fails goes back to the session, twice at most."""
        services, tree = self._services, self._tree
        wanted = check.commands(services)
        for remaining in range(check.ROUNDS, -1, -1):
            results = check.run(services, tree, wanted, self._is_interrupted)
            self._raise_if_interrupted()
            failed = next((each for each in results if not each.passed), None)
            if failed is None or not remaining:
                break
            text = REPAIR.format(command=failed.command, code=failed.code)
            text += quoted([("output of the check", failed.output)])
            self._settled(self._conversation.say(text, f"Correcting a check: {failed.command}"))
        return results

    def _rebase(self) -> bool:
        """Move the work to the primary branch if that was rewritten; return whether it was.

        Raises:
            FailedError: The work does not fit the new primary branch.
        """
        tree, mirror = self._tree, self._services.mirror
        new, old = self._services.fetch_branches(), str(tree.notes["base"])
        with suppress(GitError):  # no common commit
            if mirror.run("merge-base", old, new).strip() == old:
                return False
        if not tree.try_git("rebase", "--quiet", "--onto", new, old):
            branch = self._services.settings.primary_branch
            raise FailedError(f"{branch} was rewritten meanwhile, and the change does not fit it")
        tree.note(base=new)
        return True

    def _deliver(self) -> Pull:
        services, tree, issue = self._services, self._tree, self._hold.issue
        services.reporter.enter("delivering", f"Opening a pull request for #{issue.number}.")
        if self._rebase():
            results = check.run(services, tree, check.commands(services), self._is_interrupted)
            self._raise_if_interrupted()
            tree.note(checks=_noted(results))
        notes = tree.notes
        base = str(notes["base"])
        change = deliver.collect(services, tree, self._message(), [base])
        if change.commit == base:
            raise FailedError("the session ended without a change")
        checks = [report.Checked(*each) for each in notes["checks"]]
        effort = services.effort(*notes["effort"])
        branch = branch_of(issue.number)
        self._hold.look()
        self._raise_if_interrupted()
        self._hold.update()  # whoever has the claim now pushes, and nobody else
        ref = f"refs/heads/{branch}"
        # Never over somebody's commits: the branch must be as it was when the work began.
        try:
            services.mirror.push(change.commit, ref, expected=self._pushed)
        except PushRejectedError as error:
            services.fetch_branches()
            if (services.mirror.resolve(ref) or "") == self._pushed:
                raise FailedError(f"the forge refuses the push: {error}") from None
            raise
        pull = services.forge.open_pull(
            report.title_line(issue.title),
            services.reporter.redacted(
                report.pull_body(issue.number, notes["summary"], change.summary, checks, effort)
            ),
            head=branch,
            base=services.settings.primary_branch,
            draft=not all(each.passed for each in checks),
        )
        self._hold.update(
            state="pull", branch=branch, pull=pull.number, session=notes.get("session")
        )
        self._comment(f"**{services.settings.agent}** opened #{pull.number}.")
        services.reporter.state.pull = pull.number
        if issue.author.lower() != services.user.login.lower():
            self._request_review(pull, issue)
        return pull

    def _request_review(self, pull: Pull, issue: Issue) -> None:
        try:
            self._services.forge.request_review(pull.number, [issue.author])
        except ForgeError as error:  # the author may have no access to the repository
            self._services.reporter.say("warning", f"No review requested: {error}")

    # How it can end

    def _give_back(self, text: str, *, keep_tree: bool = False) -> None:
        """Release the claim: the issue is as it was, and the attempt does not count."""
        self._services.reporter.enter("releasing", f"#{self._number}: {text}")
        if not keep_tree:
            self._tree.remove()
        self._hold.update()
        with suppress(NotFoundError):  # a deleted issue
            self._label(remove=[report.IN_PROGRESS])
            self._unassign()
            self._comment(text)
        self._hold.release()
        self._finish(text[0].lower() + text[1:].rstrip("."))

    def _fail(self, reason: str) -> None:
        """Count the attempt; the last one blocks the issue until a person has looked at it."""
        attempt = min(self._hold.claim.attempt, ATTEMPTS)
        last = attempt == ATTEMPTS
        self._services.reporter.enter("releasing", f"Attempt {attempt} failed: {reason}")
        self._tree.remove()
        self._hold.update()
        advice = (
            f"Remove the label `{report.BLOCKED}` to have agents try again; a clearer or smaller "
            "issue helps."
            if last
            else "It is tried again."
        )
        said = report.neutral(reason)
        self._comment(f"Attempt {attempt} of {ATTEMPTS} failed: {said}\n\n{advice}")
        self._label(add=[report.BLOCKED] if last else [], remove=[report.IN_PROGRESS])
        self._unassign()
        self._hold.update(state="failed", session=None)
        self._finish(f"attempt {attempt} failed: {reason.splitlines()[0]}")

    def _ask_a_person(self, reason: str) -> None:
        self._services.reporter.enter("releasing", f"#{self._number}: {reason}")
        self._tree.remove()
        self._hold.update()
        self._comment(
            f"{reason}\n\nRemove the label `{report.NEEDS_HUMAN}` to have agents take it again."
        )
        self._label(add=[report.NEEDS_HUMAN], remove=[report.IN_PROGRESS])
        self._unassign()
        self._hold.release()
        self._finish(f"needs a person: {reason.splitlines()[0]}")

    def _filled_the_disk(self) -> bool:
        """Whether it was the task itself that filled the disk.

        Raises:
            OSError: The disk is full without the task's files too.
        """
        repos = self._services.repos
        if shutil.disk_usage(repos).free >= LEAST_FREE:
            return False
        self._tree.remove()
        if shutil.disk_usage(repos).free < LEAST_FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return True

    def _finish(self, result: str) -> None:
        self._services.reporter.finish(f"#{self._number}", result)

    # Small parts

    def _prompt(self) -> str:
        return f"{self._formula.prompt}\n\n{self._quoted_issue()}"

    def _quoted_issue(self) -> str:
        issue, services = self._hold.issue, self._services
        self._hold.edited = False  # this is its text as it is now
        texts = [(f"issue #{issue.number}", titled(issue.title, issue.body))]
        texts += [
            (f"comment by {each.author}", each.body)
            for each in services.forge.comments(issue.number)
            if services.may_trigger(each.author) and not each.body.startswith(report.MARK)
        ]
        return quoted(texts)

    def _refusal(self, outcome: Outcome) -> None:
        said = answer(outcome.text) or {}
        reason = REFUSALS.get(str(said.get("refusal")))
        if reason is not None:
            raise RefusedError(f"{reason}.\n\n{report.quoted(str(said.get('reason', '')))}")

    def _has_change(self) -> bool:
        if self._tree.git("status", "--porcelain", "--untracked-files=normal").strip():
            return True
        return bool(self._tree.head() != self._tree.notes["base"])

    def _message(self) -> str:
        """Return the message of the commit that is delivered."""
        title = report.title_line(self._hold.issue.title, SUBJECT_LENGTH)
        return f"{title}\n\nCloses #{self._number}"

    def _working(self) -> str:
        return f"Working on #{self._number}."

    def _edited(self) -> str:
        """Return what the model gets after an edit of the issue."""
        return f"{CHANGED}\n\n{self._quoted_issue()}"

    def _report_waiting(self, what: str | None) -> None:
        """Say on the issue what the task waits for, or that the wait is over."""
        agent = self._services.settings.agent
        text = f"works on this. It waits for {what}." if what else "works on this."
        with suppress(ForgeError):
            self._comment(f"**{agent}** {text}")

    def _is_interrupted(self) -> bool:
        """Whether a command must end; it does not for an edit, which the model gets later."""
        reason = self._hold.interrupted()
        return self._services.stopped.is_set() or reason not in {None, EDITED}

    def _raise_if_interrupted(self) -> None:
        if self._services.stopped.is_set():
            raise StoppedError
        reason = self._hold.interrupted()
        if reason is not None and reason != EDITED:
            raise GivenBackError(reason)

    def _comment(self, text: str) -> None:
        """Write the bot's one comment on the issue, or edit it."""
        forge, number = self._services.forge, self._number
        body = report.comment(self._services.reporter.redacted(text))
        kept = self._hold.claim.comment or self._own_comment()
        if kept is None:
            kept = forge.comment(number, body).id
        else:
            forge.edit_comment(kept, body)
        self._hold.claim = replace(self._hold.claim, comment=kept)

    def _own_comment(self) -> int | None:
        login = self._services.user.login.lower()
        for each in self._services.forge.comments(self._number):
            if each.author.lower() == login and each.body.startswith(report.MARK):
                return each.id
        return None

    def _label(self, *, add: list[str] | None = None, remove: list[str] | None = None) -> None:
        label(self._services, self._number, add=add, remove=remove)

    def _unassign(self) -> None:
        self._services.forge.unassign(self._number, self._services.user.login)


def _noted(checks: list[report.Checked]) -> list[list[str | int | None]]:
    return [[each.command, each.code, each.output] for each in checks]


def label(
    services: Services,
    number: int,
    *,
    add: list[str] | None = None,
    remove: list[str] | None = None,
) -> None:
    """Add and remove labels of an issue or pull request; labels that do not exist are made."""
    forge = services.forge
    for name in add or []:
        color, description = report.LABELS.get(name, ("ededed", ""))
        forge.ensure_label(name, color, description)
    if add:
        forge.add_labels(number, add)
    for name in remove or []:
        forge.remove_label(number, name)
