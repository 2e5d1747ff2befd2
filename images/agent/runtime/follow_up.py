"""Following up: an open pull request of this agent's gets what people and reviewers want of it."""

from muster.forge import Pull
from muster.forge.work_records import DRAFT_PREFIX
from runtime import check, deliver, report
from runtime.claim import Claim
from runtime.dev import REPAIR, FailedError, GivenBackError, branch_of, label
from runtime.feedback import Feedback
from runtime.git import PushRejectedError
from runtime.hold import Hold, LostError
from runtime.prompt import quoted, titled
from runtime.services import Services, StoppedError
from runtime.session import Outcome
from runtime.state import Task
from runtime.tree import TreeError
from runtime.work import Budget, Conversation

ROUNDS = 3
"""How often a pull request is followed up before a person has to decide."""

PROMPT = """\
Your pull request #{pull} for issue #{issue} got the feedback below. Change the files accordingly,
with your tools and within the issue's scope. Do not commit, merge or push: that is done for you.
If a remark needs no change, say why. Answer with a short summary of what you changed.
"""
CONFLICT = """\
The primary branch has changed, and merging it into your branch conflicts. The conflicts are marked
in the files below. Edit them so that both changes are kept, and remove all conflict markers.
"""
MARKERS = """\
Conflict markers (<<<<<<<, =======, >>>>>>>) are still in one of the files below. Edit them so that
both changes are kept and no marker is left, then answer with the summary.
"""
_MARKERS = "^(<{7}|>{7})( |$)"


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
        self._talk = Conversation(services, self._tree, Budget.of(services), self._hold.interrupted)
        self._merged: str | None = None

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
        if self._hold.issue.state != "open":
            self._hold.update(seen=self._wanted.added_to(self._hold.claim.seen))
            services.reporter.finish(f"#{pull.number}", f"not followed up: #{number} is closed")
            return self._hold.claim
        if self._hold.claim.rounds >= ROUNDS:
            self._ask_a_person(f"it was followed up {ROUNDS} times.")
            return self._hold.claim
        try:
            self._round()
        except (FailedError, TreeError, deliver.NotDeliveredError, check.ChecksError) as reason:
            self._tree.remove()
            self._ask_a_person(str(reason))
        except (GivenBackError, LostError) as reason:
            services.reporter.finish(f"#{pull.number}", str(reason) or "another agent has it")
        else:
            services.reporter.finish(f"#{pull.number}", f"followed up for #{number}")
        return self._hold.claim

    def _round(self) -> None:
        answer = self._tree.notes.get("answer")
        if answer and answer["commit"] == self._pull.head_sha:
            self._answer()  # an earlier container pushed it, and was killed
            return
        self._prepare()
        conflicts = self._merge() if self._wanted.conflict else []
        summary = ""
        if conflicts or self._wanted.remarks:
            summary = self._change(conflicts)
        checks = self._checked()
        self._tree.commit(self._message())
        if self._merged and not self._tree.try_git(
            "merge-base", "--is-ancestor", self._merged, "HEAD"
        ):
            raise FailedError("the session undid the merge of the primary branch.")
        self._push(summary, checks)

    def _seen(self) -> str:
        return self._wanted.added_to(self._hold.claim.seen)

    # The steps

    def _prepare(self) -> None:
        """Bring the tree to the pull request's last commit, and go on with its session if kept."""
        services, tree, pull = self._services, self._tree, self._pull
        services.fetch_branches()
        if self._is_kept():
            self._talk.session = str(tree.notes["session"])
            tree.note(stage="follow-up")
            return
        base = services.mirror.run("merge-base", services.primary, pull.head_sha).strip()
        tree.make(branch_of(self._hold.claim.number), pull.head_sha)
        tree.note(base=base, stage="follow-up")
        failed = check.set_up(services, tree, check.commands(services), self._is_interrupted)
        if failed is not None:
            shown = report.fenced(failed.output[-3000:])
            raise FailedError(f"the set-up command `{failed.command}` failed:\n\n{shown}")

    def _is_kept(self) -> bool:
        tree = self._tree
        if not (tree.path.exists() and tree.notes.get("session")):
            return False
        if tree.head() != self._pull.head_sha:
            return False
        # What an interrupted round left would be in the way of a merge.
        return not (self._wanted.conflict and tree.git("status", "--porcelain").strip())

    def _merge(self) -> list[str]:
        """Merge the primary branch into the tree; return the files that conflict."""
        tree = self._tree
        self._merged = self._services.mirror.resolve(self._services.primary)
        if tree.try_git("merge", "--quiet", "--no-edit", "--no-verify", str(self._merged)):
            return []
        listed = tree.git("diff", "--name-only", "--diff-filter=U", "-z")
        files = [name for name in listed.split("\0") if name]
        if not files:
            raise FailedError("the primary branch could not be merged into the branch.")
        return files

    def _change(self, conflicts: list[str]) -> str:
        """Have the model answer the feedback; return its summary."""
        outcome = self._settled(self._prompt(conflicts), f"Following up on #{self._pull.number}.")
        if conflicts and self._has_markers(conflicts):
            text = f"{MARKERS}\n{quoted([('files', chr(10).join(conflicts))])}"
            outcome = self._settled(text, f"Asking again about #{self._pull.number}.")
            if self._has_markers(conflicts):
                raise FailedError(
                    "the session left conflict markers in "
                    f"{', '.join(f'`{name}`' for name in conflicts[:5])}."
                )
        return outcome.text

    def _has_markers(self, files: list[str]) -> bool:
        arguments = ("grep", "--quiet", "--text", "--extended-regexp", "-e", _MARKERS)
        return self._tree.try_git("--literal-pathspecs", *arguments, "--", *files)

    def _prompt(self, conflicts: list[str]) -> str:
        issue = self._hold.issue
        parts = [PROMPT.format(pull=self._pull.number, issue=issue.number)]
        if conflicts:
            parts += [CONFLICT, quoted([("files with conflicts", "\n".join(conflicts))])]
        if not self._talk.is_kept:
            text = titled(issue.title, issue.body)
            parts.append(quoted([(f"issue #{issue.number}", text)]))
        if self._wanted.remarks:
            parts.append(self._wanted.prompt())
        return "\n\n".join(parts)

    def _settled(self, text: str, message: str) -> Outcome:
        """Have a session that ends well; one that cannot be resumed is begun again."""
        talk = self._talk
        resumed = talk.is_kept
        outcome = talk.say(text, message)
        if resumed and outcome.kind in {"crashed", "context"}:
            talk.session = None
            issue = self._hold.issue
            whole = quoted([(f"issue #{issue.number}", titled(issue.title, issue.body))])
            outcome = talk.say(f"{text}\n\n{whole}", message)
        if outcome.kind in {"cancelled", "endpoint"}:
            raise GivenBackError(outcome.message)
        if outcome.kind != "done":
            raise FailedError(f"{outcome.message}.")
        return outcome

    def _checked(self) -> list[report.Checked]:
        """Run the checks; what fails goes back to the session, twice at most."""
        services = self._services
        wanted = check.commands(services)
        for remaining in range(check.ROUNDS, -1, -1):
            results = check.run(services, self._tree, wanted, self._is_interrupted)
            self._raise_if_interrupted()
            failed = next((each for each in results if not each.passed), None)
            if failed is None or not remaining:
                break
            text = REPAIR.format(command=failed.command, code=failed.code)
            text += quoted([("output of the check", failed.output)])
            self._settled(text, f"Correcting a check: {failed.command}")
        return results

    def _message(self) -> str:
        if self._merged and not self._wanted.remarks:
            return f"Merge {self._services.settings.primary_branch}"
        return f"Follow up on the review of #{self._pull.number}"

    def _push(self, summary: str, checks: list[report.Checked]) -> None:
        """Push one commit on top of the branch's last one.

        Raises:
            FailedError: The change must not be pushed.
            GivenBackError: Somebody else pushed meanwhile.
        """
        services, pull, mirror = self._services, self._pull, self._services.mirror
        self._raise_if_interrupted()
        services.reporter.enter("delivering", f"Pushing to #{pull.number}.")
        parents = [pull.head_sha, *([self._merged] if self._merged else [])]
        change = deliver.collect(
            services, self._tree, self._message(), parents, onto=services.primary
        )
        budget = self._talk.budget
        self._tree.note(
            answer={
                "commit": change.commit,
                "new": change.commit != pull.head_sha,
                "summary": summary,
                "checks": [[each.command, each.code, each.output] for each in checks],
                "effort": [budget.turns, budget.used_tokens, budget.used_seconds],
                "seen": self._seen(),
            }
        )
        if change.commit != pull.head_sha:
            ref = f"refs/heads/{branch_of(self._hold.claim.number)}"
            try:
                mirror.push(change.commit, ref, expected=pull.head_sha)
            except PushRejectedError as error:
                if services.forge.pull(pull.number).head_sha != pull.head_sha:
                    raise GivenBackError("somebody pushed meanwhile: trying again") from None
                raise FailedError(f"the forge refuses the push: {error}.") from None
        self._answer()

    def _answer(self) -> None:
        """Reply to each remark with the commit that answers it, and count the round."""
        services, pull, claim = self._services, self._pull, self._hold.claim
        kept = self._tree.notes["answer"]
        seen = kept["seen"].split()
        how = f"Answered in {kept['commit']}." if kept["new"] else "No change was needed."
        for remark in self._wanted.remarks:
            if remark.thread is not None and remark.key in seen:
                services.forge.reply(pull.number, remark.thread, report.note(how))
        checks = [report.Checked(*each) for each in kept["checks"]]
        effort = services.effort(*kept["effort"])
        parts = [how, report.quoted(kept["summary"]), report.checked(checks), effort.row()]
        text = services.reporter.redacted("\n\n".join(part for part in parts if part))
        services.forge.comment(pull.number, report.note(text))
        if pull.draft and checks and all(each.passed for each in checks):
            services.forge.edit_pull(pull.number, title=pull.title.removeprefix(DRAFT_PREFIX))
        self._hold.update(
            state="pull",
            rounds=claim.rounds + 1,
            seen=kept["seen"],
            session=self._tree.notes.get("session"),
        )
        self._tree.note(answer=None)

    def _ask_a_person(self, reason: str) -> None:
        """Leave the feedback to a person; the agent goes on with it if the label is removed."""
        services, pull = self._services, self._pull
        said = services.reporter.redacted(report.neutral(reason))
        services.forge.comment(
            pull.number,
            report.note(
                f"A person has to decide: {said}\n\nRemove the label `{report.NEEDS_HUMAN}` to "
                "have the agent go on."
            ),
        )
        label(services, pull.number, add=[report.NEEDS_HUMAN])
        self._hold.update(state="pull", rounds=0)
        first = reason.splitlines()[0].rstrip(".")
        services.reporter.finish(f"#{pull.number}", f"needs a person: {first}")

    def _is_interrupted(self) -> bool:
        return self._services.stopped.is_set() or self._hold.interrupted() is not None

    def _raise_if_interrupted(self) -> None:
        if self._services.stopped.is_set():
            raise StoppedError
        reason = self._hold.interrupted()
        if reason is not None:
            raise GivenBackError(reason)


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
