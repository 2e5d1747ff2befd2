"""Merging: a pull request that another account approved, if the roster allows it."""

from http import HTTPStatus
from typing import Literal

from muster.forge import ForgeError, Pull, Review
from runtime.services import MINUTE, Services

_REFUSED = {
    HTTPStatus.FORBIDDEN,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""The forge's own conditions, such as the number of approvals, are not met."""

_METHODS: tuple[Literal["merge", "rebase", "squash"], ...] = ("merge", "squash", "rebase")


def merge_if_approved(services: Services, pull: Pull) -> bool:
    """Merge a pull request of this agent's, if the roster says `merge = "when-approved"`.

    Another account with write access has approved its last commit, nobody's request for changes is
    open, its commit statuses are green, and the primary branch is protected. A commit without any
    status is merged: whoever has checks makes the branch protection require them.

    Raises:
        ForgeError: The forge does not answer.
    """
    if services.settings.work.merge != "when-approved" or not pull.mergeable or pull.draft:
        return False
    key = f"{pull.number} {pull.head_sha} {pull.updated_at}"
    # A forge changes the time of a pull request when it is reviewed.
    approver = services.cache.get(f"approved {key}", MINUTE, lambda: _approver(services, pull))
    if approver is None or not _is_ready(services, pull):
        return False
    return services.cache.get(f"merged {key}", MINUTE, lambda: _merge(services, pull, approver))


def _approver(services: Services, pull: Pull) -> str | None:
    """Return who approved the last commit; None if nobody did, or somebody wants changes."""
    me = services.user.login.lower()
    counted = [
        review
        for review in services.forge.reviews(pull.number)
        if review.official and not review.dismissed and review.author.lower() != me
    ]
    if any(review.state == "REQUEST_CHANGES" for review in counted):
        return None
    return next((each.author for each in counted if _approves(each, pull)), None)


def _approves(review: Review, pull: Pull) -> bool:
    last = not review.stale and review.commit_id == pull.head_sha
    return last and review.state == "APPROVED"


def _is_ready(services: Services, pull: Pull) -> bool:
    if services.forge.statuses(pull.head_sha).state not in {"success", ""}:
        return False
    return bool(services.forge.branch_protected(pull.base_ref))


def _merge(services: Services, pull: Pull, approver: str) -> bool:
    services.reporter.enter("delivering", f"Merging #{pull.number}, approved by {approver}.")
    refused = ""
    for method in _METHODS:  # a repository may not allow all of them
        try:
            services.forge.merge(pull.number, method, pull.head_sha)
        except ForgeError as error:
            if error.status not in _REFUSED:
                raise
            refused = refused or str(error)
        else:
            services.reporter.finish(f"#{pull.number}", f"merged, approved by {approver}")
            return True
    services.reporter.say("warning", f"#{pull.number} is approved, but not merged: {refused}")
    return False
