"""Polling: which task is next."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from muster.forge import ForgeError, Issue, NotFoundError, Pull
from runtime import feedback, follow_up, request, review, triage
from runtime.claim import Claim
from runtime.dev import Development, label
from runtime.formula import Formula, FormulaError, load
from runtime.git import GitError
from runtime.hold import Hold
from runtime.merge import merge_if_approved
from runtime.report import BLOCKED, IN_PROGRESS, NEEDS_HUMAN, PRIORITY
from runtime.services import MINUTE, Services

SETTLING_SECONDS = 20.0
"""How long a changed pull request is looked at: its reviewer may be new to the repository."""

WRITING = {"backlog", "unlabelled"}
"""What roles select whose work changes the repository: claims and branches, labels."""

KEPT_SECONDS = 86400.0
"""How long the tree of an issue that was given back is kept, to go on from there."""

_DEPENDENCY = re.compile(
    r"^\W*(?:depends on|blocked by):?\s+((?:#\d+[\s,and]*)+)", re.IGNORECASE | re.MULTILINE
)


@dataclass
class Memory:
    """What the agent remembers between cycles; a new container finds it out again.

    Attributes:
        held: This agent's claims, by issue.
        settled: Whether `held` is known to be complete.
        killed: Whether the container before this one ended without a stop, and its work was not
            taken up yet.
        looked: By pull request, its last change, and when it was seen first (monotonic clock).
        reviewed: By pull request, the commit that this agent reviewed.
        last: The role that worked last.
    """

    held: dict[int, Claim]
    settled: bool
    killed: bool
    looked: dict[int, tuple[str, float]]
    reviewed: dict[int, str]
    last: str | None = None

    @classmethod
    def empty(cls, *, killed: bool) -> "Memory":
        """Return the memory of a new container."""
        return cls({}, settled=False, killed=killed, looked={}, reviewed={})


class Cycle:
    """One look at the forge, and at most one task.

    Args:
        services: The agent's tools.
        memory: What earlier cycles found out.

    Attributes:
        is_limited: Whether there was a task for which today's budget has no room.
    """

    def __init__(self, services: Services, memory: Memory) -> None:
        self._services = services
        self._memory = memory
        self._pulls: list[Pull] | None = None
        self.is_limited = False

    def run(self, requested: int | None) -> bool:
        """Do the next task, if there is one.

        Args:
            requested: The issue that a person asked for.

        Returns:
            Whether there was a task.

        Raises:
            StoppedError: The container is being stopped.
            ForgeError: The forge does not answer, or refuses.
            GitError: The same.
            FormulaError: A role has no valid formula, and the others have nothing to do.
        """
        formulas, errors = self._formulas()
        if any(each.selects == "backlog" for each in formulas) and not self._memory.settled:
            self._find_held()
        if requested is not None:
            try:
                return self._take_requested(requested, formulas)
            except (ForgeError, GitError):
                if self._memory.settled:  # it was not taken yet
                    request.write(self._services.data, requested)
                raise
        for formula in formulas:
            if self._one(formula):
                self._memory.last = formula.role
                return True
        if errors:
            raise FormulaError("; ".join(errors))
        return False

    def settle(self) -> None:
        """Do what needs no endpoint: end the claims of pull requests that people closed.

        Raises:
            ForgeError: The forge does not answer, or refuses.
            GitError: The same.
        """
        if not self._memory.settled:
            self._find_held()
        if any(claim.state == "pull" for claim in self._memory.held.values()):
            while self._settle():
                pass
        else:  # a forge that is down too is what a person has to know first
            self._services.forge.backlog(self._services.settings.work.label)

    def _formulas(self) -> tuple[list[Formula], list[str]]:
        """Return the roles' formulas in their order, and what is wrong with the others.

        Reviewers come first: other agents wait for them. The rest take turns.
        """
        formulas, errors = [], []
        for role in self._services.settings.roles:
            try:
                formulas.append(self._formula(role))
            except FormulaError as error:
                errors.append(str(error))
        roles = [each.role for each in formulas]
        after = roles.index(self._memory.last) + 1 if self._memory.last in roles else 0
        turns = formulas[after:] + formulas[:after]
        return sorted(turns, key=lambda each: each.selects != "pulls"), errors

    def _formula(self, role: str) -> Formula:
        settings = self._services.settings
        name = settings.formula if role == settings.roles[0] else None
        found = self._services.cache.get(
            f"formula {role}",
            5 * MINUTE,
            lambda: load(role, name, self._in_repository),
        )
        if found.selects in WRITING and not settings.may_write:
            raise FormulaError(
                f'role {role} writes to the repository, and this agent has permission = "read"'
            )
        return found

    def _in_repository(self, path: str) -> str | None:
        content = self._services.forge.file(path, self._services.settings.primary_branch)
        return content.decode(errors="replace") if content is not None else None

    def _one(self, formula: Formula) -> bool:
        match formula.selects:
            case "backlog":
                return self._follow_up(formula) or self._develop(formula)
            case "pulls":
                return self._review(formula)
            case "unlabelled":
                return self._triage(formula)
            case _:
                return self._propose(formula)

    # backlog

    def _find_held(self) -> None:
        services, memory = self._services, self._memory
        services.mirror.make()
        claims = services.claims.all()
        agent = services.user.login
        memory.held = {
            number: claim
            for number, claim in claims.items()
            if claim.agent == agent and claim.state in {"working", "pull"}
        }
        for folder in (services.repos / "tasks").glob("issue-*"):
            number = folder.name.removeprefix("issue-")
            if number.isdecimal() and int(number) not in memory.held:
                self._remove_old_tree(int(number), claims.get(int(number)))
        memory.settled = True

    def _remove_old_tree(self, number: int, claim: Claim | None) -> None:
        """Remove the tree of an issue that this agent gave back, unless it may soon go on."""
        tree = self._services.tree("issue", number)
        age = time.time() - tree.folder.stat().st_mtime
        if age > KEPT_SECONDS or (claim is not None and not claim.is_free(datetime.now(UTC))):
            tree.remove()

    def _follow_up(self, formula: Formula) -> bool:
        """Go on with what this agent holds: interrupted work, then its pull requests."""
        services, memory = self._services, self._memory
        for number, claim in list(memory.held.items()):
            if claim.state == "working":
                return self._go_on(formula, number, claim)
        if not memory.held:
            return False
        if self._settle():
            return True
        open_pulls = {pull.number: pull for pull in self._open_pulls()}
        for number, claim in list(memory.held.items()):
            pull = open_pulls[claim.pull or 0]
            if NEEDS_HUMAN in pull.labels:
                continue
            if self._answer(number, claim, pull) or merge_if_approved(services, pull):
                return True
        return False

    def _settle(self) -> bool:
        """End the claim of a pull request that is no longer open; return whether there was one."""
        services, memory = self._services, self._memory
        open_pulls = {pull.number for pull in self._open_pulls()}
        for number, claim in list(memory.held.items()):
            if claim.state == "pull" and claim.pull not in open_pulls:
                follow_up.settle(services, claim, services.forge.pull(claim.pull or 0))
                del memory.held[number]
                return True
        return False

    def _answer(self, number: int, claim: Claim, pull: Pull) -> bool:
        services, memory = self._services, self._memory
        changed = self._has_changed(pull)
        try:
            wanted = feedback.collect(services, claim, pull, changed=changed)
            if wanted:
                memory.settled = False
                memory.held[number] = follow_up.FollowUp(services, claim, pull, wanted).run()
                memory.settled = True
        except Exception:
            memory.looked.pop(pull.number)
            raise
        if wanted:  # whether all of it was answered is seen in the next cycle
            memory.looked.pop(pull.number)
        return bool(wanted)

    def _has_changed(self, pull: Pull) -> bool:
        """Whether a pull request changed lately, by the forge's account of it."""
        looked = self._memory.looked
        before, since = looked.get(pull.number, ("", 0.0))
        if before != pull.updated_at:
            before, since = looked[pull.number] = (pull.updated_at, time.monotonic())
        return time.monotonic() - since < SETTLING_SECONDS

    def _go_on(self, formula: Formula, number: int, claim: Claim) -> bool:
        """Take up work that an earlier container, or a forge that was down, interrupted."""
        services = self._services
        issue = self._issue(number)
        memory = self._memory
        taken = services.claims.take(number, claim, counts=memory.killed, requested=claim.requested)
        del memory.held[number]
        if taken is None:
            return True
        if issue is None or not self._is_still_wanted(issue, claim):
            services.tree("issue", number).remove()
            if issue is not None:
                label(services, number, remove=[IN_PROGRESS])
                services.forge.unassign(number, services.user.login)
            services.claims.release(taken)
            services.reporter.finish(f"#{number}", "given back: a person changed the issue")
            return True
        self._work_on(formula, issue, taken)
        return True

    def _issue(self, number: int) -> Issue | None:
        try:
            return self._services.forge.issue(number)
        except NotFoundError:
            return None

    def _is_still_wanted(self, issue: Issue, claim: Claim) -> bool:
        """Whether an issue of this agent's, unfinished, is still to be worked on."""
        if issue.state != "open" or {BLOCKED, NEEDS_HUMAN} & issue.labels:
            return False
        return claim.requested or self._services.settings.work.label in issue.labels

    def _develop(self, formula: Formula) -> bool:
        services = self._services
        backlog = services.forge.backlog(services.settings.work.label)
        candidates = sorted(
            (issue for issue in backlog if self._is_open_to_us(issue)),
            key=lambda issue: (PRIORITY not in issue.labels, issue.created_at, issue.number),
        )
        if not candidates or not self._may_begin():
            return False
        claims: Mapping[int, Claim] | None = None
        for issue in candidates:
            if not self._may_trigger(issue.author) or self._is_blocked(issue):
                continue
            if claims is None:
                services.mirror.make()
                claims = services.claims.all()
            old = claims.get(issue.number)
            if old is not None and not self._is_free(old):
                continue
            if old is None and IN_PROGRESS in issue.labels and self._others(issue):
                continue  # a person, or another program, works on it
            services.reporter.enter("claiming", f"Claiming #{issue.number}.")
            claim = services.claims.take(issue.number, old)
            if claim is not None:
                services.reporter.spend(tasks=1)
                self._work_on(formula, issue, claim)
                return True
        return False

    def _may_trigger(self, author: str) -> bool:
        """Whether an account's issues trigger work; asking about strangers costs requests."""
        services = self._services
        return services.cache.get(f"trigger {author}", MINUTE, lambda: services.may_trigger(author))

    def _is_open_to_us(self, issue: Issue) -> bool:
        if {BLOCKED, NEEDS_HUMAN} & {*issue.labels}:
            return False
        if IN_PROGRESS in issue.labels:
            # Its holder may be gone; whether the claim has ended is asked now and then.
            return self._is_time(f"stale #{issue.number}")
        return not self._others(issue)

    def _is_free(self, claim: Claim) -> bool:
        """Whether a claimed issue may be taken.

        Nobody settles the pull request of an agent that was fired, so its claim ends with it.
        """
        if claim.is_free(datetime.now(UTC)):
            return True
        if claim.state != "pull" or self._services.is_writer(claim.agent):
            return False
        return self._services.forge.pull(claim.pull or 0).state != "open"

    def _others(self, issue: Issue) -> list[str]:
        me = self._services.user.login.lower()
        return [name for name in issue.assignees if name.lower() != me]

    def _is_time(self, key: str) -> bool:
        asked = False

        def ask() -> bool:
            nonlocal asked
            asked = True
            return True

        self._services.cache.get(key, 5 * MINUTE, ask)
        return asked

    def _is_blocked(self, issue: Issue) -> bool:
        """Whether an issue that this one depends on is open."""
        services = self._services

        def ask() -> bool:
            numbers = {
                int(number)
                for listed in _DEPENDENCY.findall(issue.body)
                for number in re.findall(r"#(\d+)", listed)
            } - {issue.number}
            named = map(self._issue, sorted(numbers))
            if any(each is not None and each.state == "open" for each in named):
                return True
            return any(each.state == "open" for each in services.forge.blockers(issue.number))

        key = f"blocked #{issue.number} {issue.updated_at}"
        return services.cache.get(key, services.settings.poll_interval, ask)

    def _may_begin(self) -> bool:
        """Whether another task fits into this day; if not, that is the agent's state."""
        limit = self._services.settings.work.tasks_per_day
        begun = self._services.reporter.state.today.get("tasks", 0)
        if limit is None or begun < limit:
            return True
        self.is_limited = True
        self._services.reporter.enter(
            "waiting",
            f"Reached tasks_per_day ({limit}): waiting for tomorrow.",
            waiting_for="budget",
            result="ok",
            error=None,
            task=None,
        )
        return False

    def _take_requested(self, number: int, formulas: list[Formula]) -> bool:
        """Take the issue that a person asked for, whatever its labels are."""
        services = self._services
        formula = next((each for each in formulas if each.selects == "backlog"), None)
        refused = None
        issue = self._issue(number)
        if formula is None:
            refused = "the agent has no role that works on issues"
        elif issue is None:
            refused = "there is no such issue"
        elif issue.state != "open" or issue.is_pull:
            refused = "it is not an open issue"
        else:
            services.mirror.make()
            old = services.claims.all().get(number)
            if old is not None and not self._is_free(old):
                refused = f"{old.agent} holds it"
            else:
                claim = services.claims.take(number, old, requested=True)
                if claim is not None:
                    services.reporter.spend(tasks=1)
                    self._work_on(formula, issue, claim)
                    return True
                refused = "another agent was faster"
        services.reporter.say("work", f"Did not take #{number}: {refused}.")
        return False

    def _work_on(self, formula: Formula, issue: Issue, claim: Claim) -> None:
        services, memory = self._services, self._memory
        memory.settled = False  # whatever interrupts this, the next cycle asks what is held
        memory.killed = False
        kept = Development(services, formula, Hold(services, issue, claim)).run()
        if kept is not None:
            memory.held[issue.number] = kept
        memory.settled = True

    # pulls, unlabelled, schedule

    def _open_pulls(self) -> list[Pull]:
        if self._pulls is None:
            self._pulls = self._services.forge.pulls()
        return self._pulls

    def _review(self, formula: Formula) -> bool:
        services, reviewed = self._services, self._memory.reviewed
        for pull in self._open_pulls():
            if reviewed.get(pull.number) == pull.head_sha or not review.is_for(services, pull):
                continue
            if review.is_reviewed(services, pull):
                reviewed[pull.number] = pull.head_sha
                continue
            if not self._may_begin():
                return False
            services.reporter.spend(tasks=1)
            if review.run(services, formula, pull):
                reviewed[pull.number] = pull.head_sha
            return True
        return False

    def _triage(self, formula: Formula) -> bool:
        services = self._services
        for issue in self._unlabelled():
            if services.may_trigger(issue.author):
                if not self._may_begin():
                    return False
                services.reporter.spend(tasks=1)
                triage.triage(services, formula, issue)
                return True
        return False

    def _unlabelled(self) -> Iterator[Issue]:
        issues = self._services.forge.open_issues()
        yield from (each for each in issues if not each.is_pull and not each.labels)

    def _propose(self, formula: Formula) -> bool:
        services = self._services
        if not triage.is_due(services.data, formula) or not self._may_begin():
            return False
        services.reporter.spend(tasks=1)
        triage.propose(services, formula)
        return True
