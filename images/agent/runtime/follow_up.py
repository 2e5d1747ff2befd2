"""Following up: an open pull request of this agent's gets what people and reviewers want of it."""

from muster.forge import Pull
from runtime import check, deliver, report
from runtime.claim import Claim
from runtime.dev import FailedError, GivenBackError, branch_of, label
from runtime.feedback import Feedback
from runtime.git import PushRejectedError
from runtime.hold import EDITED, Hold, LostError
from runtime.prompt import quoted
from runtime.services import Services, StoppedError
from runtime.state import Task
from runtime.tree import TreeError
from runtime.work import Budget, Conversation

ROUNDS = 3
"""How often a pull request is followed up before a person has to decide."""

PROMPT = """\
Your pull request #{pull} for issue #{issue} got the feedback below. Change the files accordingly,
with your tools and within the issue's scope. Do not commit or push: that is done for you. If a
remark needs no change, say why. Answer with a short summary of what you changed for which remark.
"""
CONFLICT = """\
The primary branch has changed, and merging it into your branch conflicts. The conflicts are marked
in these files: {files}. Resolve them so that both changes are kept, and remove all markers.
"""


class FollowUp:
    """One round at one pull request.

    Args:
        services: The agent's tools.
        claim: The claim of its issue.
        pull: The pull request.
        wanted: Its feedback.
    """

    def __init__(self, services: Services, claim: Claim, pull: Pull, wanted: Feedback) -> None:
        self._services = services
        self._pull = pull
        self._wanted = wanted
        self._hold = Hold(services, services.forge.issue(claim.number), claim, requested=True)
        self._tree = services.tree("issue", claim.number)

    def run(self) -> Claim:
        """Answer the feedback with commits and replies; return the claim as it is now.

        Raises:
            StoppedError: The container is being stopped; the next one goes on.
            ForgeError: The forge does not answer.
            GitError: The same.
        """
        services, pull = self._services, self._pull
        number = self._hold.claim.number
        services.reporter.enter(
            "working",
            f"Following up on #{pull.number}.",
            task=Task("pull", pull.number, pull.title, pull.html_url),
            pull=pull.number,
        )
        services.reporter.state.task = Task("pull", pull.number, pull.title, pull.html_url)
        if self._hold.claim.rounds >= ROUNDS:
            self._ask_a_person(f"it was followed up {ROUNDS} times")
            return self._hold.claim
        try:
            self._round()
        except (FailedError, TreeError, deliver.NotDeliveredError, check.ChecksError) as reason:
            self._ask_a_person(str(reason))
        except PushRejectedError:
            services.reporter.finish(f"#{pull.number}", "somebody pushed meanwhile: trying again")
        except (GivenBackError, LostError) as reason:
            services.reporter.finish(f"#{pull.number}", str(reason) or "another agent has it")
        else:
            services.reporter.finish(f"#{pull.number}", f"followed up for #{number}")
        return self._hold.claim

    def _round(self) -> None:
        services, tree, pull = self._services, self._tree, self._pull
        budget = Budget.of(services)
        talk = Conversation(services, tree, budget, self._hold.interrupted)
        talk.session = self._prepare()
        text = PROMPT.format(pull=pull.number, issue=self._hold.claim.number)
        conflicts = self._merge() if self._wanted.conflicts else []
        if conflicts:
            text += "\n" + CONFLICT.format(files=", ".join(conflicts))
        if not talk.session:
            issue = self._hold.issue
            text += "\n" + quoted([(f"issue #{issue.number}: {issue.title}", issue.body)])
        summary = ""
        if conflicts or self._wanted.remarks or self._wanted.statuses:
            outcome = talk.say(
                f"{text}\n\n{self._wanted.prompt()}", f"Following up on #{pull.number}."
            )
            if outcome.kind in {"cancelled", "endpoint"} and outcome.message != EDITED:
                raise GivenBackError(outcome.message)
            if outcome.kind != "done":
                raise FailedError(outcome.message)
            summary = outcome.text
        wanted = check.commands(services)
        checks = check.run(services, tree, wanted, services.stopped.is_set)
        tree.commit(f"Follow up on the review of #{pull.number}")
        self._push(summary, checks)

    def _prepare(self) -> str | None:
        """Bring the tree to the pull request's last commit; return the session to go on with."""
        services, tree, pull = self._services, self._tree, self._pull
        services.fetch_branches()
        notes = tree.notes
        kept = tree.path.exists() and notes.get("session")
        session = str(notes["session"]) if kept else None
        if kept and tree.head() == pull.head_sha:
            tree.note(stage="follow-up")
            return session
        base = services.mirror.run("merge-base", services.primary, pull.head_sha).strip()
        tree.make(branch_of(self._hold.claim.number), pull.head_sha)
        tree.note(base=base, stage="follow-up")
        return None  # the transcript went with the old folder

    def _merge(self) -> list[str]:
        """Merge the primary branch into the tree; return the files that conflict."""
        target = self._services.mirror.resolve(self._services.primary)
        if self._tree.try_git("merge", "--quiet", "--no-edit", "--no-verify", str(target)):
            return []
        listed = self._tree.git("diff", "--name-only", "--diff-filter=U")
        return listed.split()

    def _push(self, summary: str, checks: list[report.Checked]) -> None:
        services, pull, claim = self._services, self._pull, self._hold.claim
        if services.stopped.is_set():
            raise StoppedError
        services.reporter.enter("delivering", f"Pushing to #{pull.number}.")
        change = deliver.collect(services, self._tree, onto=services.primary)
        new = change.commit != pull.head_sha
        if new:
            ref = f"refs/heads/{branch_of(claim.number)}"
            services.mirror.push(change.commit, ref, expected=pull.head_sha)
        self._reply(change.commit if new else None, summary, checks)
        self._hold.update(
            state="pull",
            rounds=claim.rounds + 1,
            seen=self._wanted.newest,
            session=self._tree.notes.get("session"),
        )

    def _reply(self, commit: str | None, summary: str, checks: list[report.Checked]) -> None:
        """Reply to each remark with the commit that answers it."""
        services, pull = self._services, self._pull
        how = f"Answered in {commit}." if commit else "No change was needed."
        for remark in self._wanted.remarks:
            if remark.thread is not None:
                services.forge.reply(pull.number, remark.thread, f"{report.MARK}\n{how}")
        words = report.quoted(summary)
        text = f"{how}\n\n{words}\n\n{report.checked(checks)}"
        services.forge.comment(pull.number, report.comment(services.reporter.redacted(text)))

    def _ask_a_person(self, reason: str) -> None:
        services, pull = self._services, self._pull
        label(services, pull.number, add=[report.NEEDS_HUMAN])
        services.forge.comment(
            pull.number,
            report.comment(
                f"A person has to decide: {services.reporter.redacted(reason)}\n\nRemove the label "
                f"`{report.NEEDS_HUMAN}` to have the agent go on."
            ),
        )
        self._hold.update(state="pull", rounds=0, seen=self._wanted.newest)
        services.reporter.finish(f"#{pull.number}", f"needs a person: {reason.splitlines()[0]}")


def settle(services: Services, claim: Claim, pull: Pull) -> None:
    """End the claim of a pull request that was merged or closed."""
    number = claim.number
    services.reporter.enter("releasing", f"#{pull.number} is no longer open.")
    services.claims.release(claim)
    services.tree("issue", number).remove()
    label(services, number, remove=[report.IN_PROGRESS])
    services.forge.unassign(number, services.user.login)
    if pull.merged:
        services.reporter.finish(f"#{number}", f"#{pull.number} was merged")
        return
    if services.forge.issue(number).state == "open":
        # A person said no: the crew does not propose the same again unasked.
        label(services, number, add=[report.BLOCKED])
        text = (
            f"#{pull.number} was closed without being merged. Remove the label "
            f"`{report.BLOCKED}` to have agents try again."
        )
        if claim.comment is not None:
            services.forge.edit_comment(claim.comment, report.comment(text))
        else:
            services.forge.comment(number, report.comment(text))
    services.reporter.finish(f"#{number}", f"#{pull.number} was closed")


def merge_if_approved(services: Services, pull: Pull) -> bool:
    """Merge a pull request that another account approved, if the roster allows it.

    Its statuses must be green and the primary branch protected.
    """
    if services.settings.work.merge != "when-approved" or not pull.mergeable or pull.draft:
        return False
    me = services.user.login.lower()
    approved = any(
        review.state == "APPROVED"
        and review.official
        and not (review.stale or review.dismissed)
        and review.commit_id == pull.head_sha
        and review.author.lower() != me
        for review in services.forge.reviews(pull.number)
    )
    if not approved or services.forge.statuses(pull.head_sha).state not in {"success", ""}:
        return False
    if not services.forge.branch_protected(services.settings.primary_branch):
        return False
    services.forge.merge(pull.number, "merge", pull.head_sha)
    return True
