"""The calls that Muster makes, each in one method; paths of the API stand here only.

They are the same in Forgejo and Gitea unless a version is given.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import tenacity

from muster.forge import paths
from muster.forge.credentials import Basic, Token
from muster.forge.errors import (
    ForbiddenError,
    ForgeError,
    ForgeUnreachableError,
    NotFoundError,
    UnauthorizedError,
)
from muster.forge.records import AccessToken, Repository, User
from muster.forge.transport import PATIENCE, TIMEOUT, Transport, unless_missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

_POLL = 0.2  # seconds between two looks at a forge that starts
_NO_TOKEN = 2**63 - 1  # an id that no token has
_REDIRECTS = {301, 302, 307, 308}
_NO_USER = "-"  # a name that no user can have
_NO_WAY = {401, 403, 404}  # the credentials are refused, or there is no such path


class Forge:
    """A Forgejo or Gitea server, spoken to in the name of `auth`.

    All methods raise `ForgeError`, or the subclass that fits. Calls that fail for passing reasons
    are repeated: no connection, a cut one, 429, 502 to 504, and 500 of a busy database. Several
    threads may share one.

    Args:
        url: The address as people open it; a sub-path and a trailing slash are fine.
        auth: Who speaks; None speaks anonymously.
        timeout: Seconds for connecting, and for each part of an answer.
        patience: Seconds for which a failing call is repeated.
    """

    def __init__(
        self,
        url: str,
        auth: Basic | Token | None,
        *,
        timeout: tuple[float, float] = TIMEOUT,
        patience: float = PATIENCE,
    ) -> None:
        self._auth = auth
        self._timeout = timeout
        self._patience = patience
        self._http = Transport(url, auth, timeout=timeout, patience=patience)

    @property
    def url(self) -> str:
        """The forge's address, without a trailing slash."""
        return self._http.url

    # The server

    def version(self) -> str:
        """Return the forge's version, such as `11.0.4+gitea-1.22.0` or `1.26.0`."""
        return self._http.get("/version", lambda told: str(told["version"]))

    def answers(self) -> bool:
        """Tell whether there is a forge at the address, in one try and without credentials."""
        anonymous = Forge(self.url, None, timeout=self._timeout, patience=0)
        try:
            anonymous.version()
        except (UnauthorizedError, ForbiddenError):  # it wants everybody to sign in
            return True
        except ForgeError:
            return False
        return True

    def clock(self) -> datetime:
        """Return the time at the forge, to the second: HTTP's `Date` (RFC 9110, 6.6.1).

        A refusal has it too, of a forge that wants everybody to sign in.

        Raises:
            ForgeError: It tells no time.
        """
        told = self._http.header("/version", "Date")
        try:
            return parsedate_to_datetime(told)
        except ValueError:
            raise ForgeError("the answer has no date", call="GET /version") from None

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the forge answers; whether it takes our credentials is another question.

        Raises:
            ForgeUnreachableError: It did not answer within so many seconds.
        """
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda answers: not answers),
            stop=tenacity.stop_after_delay(seconds),
            wait=tenacity.wait_fixed(_POLL),
        )
        try:
            waiting(self.answers)
        except tenacity.RetryError:
            raise ForgeUnreachableError(
                f"{self.url} did not answer within {seconds:.0f} s", call="GET /version"
            ) from None

    # Users

    def whoami(self) -> User:
        """Return the account that these credentials belong to."""
        return self._http.get("/user", User.from_json)

    def whoami_if_shown(self) -> User | None:
        """Return the account that these credentials belong to; None for a token without its scope.

        Such as one that is limited to repositories (Forgejo from 15.0 on).

        Raises:
            UnauthorizedError: The token does not work.
            ForbiddenError: The account may not log in.
        """
        try:
            return self.whoami()
        except ForbiddenError as error:
            if not error.lacks_scope:
                raise
            return None

    def user(self, name: str) -> User | None:
        """Return the account of this name, whatever its case; None where there is none."""
        return unless_missing(lambda: self._http.get(_user(name), User.from_json))

    def users(self, words: str = "") -> Iterator[User]:
        """List accounts; for administrators.

        Args:
            words: Those whose name, full name or address has these words; all without.
        """
        if words:
            return self._http.pages("/users/search", User.from_json, q=words)
        return self._http.pages("/admin/users", User.from_json)

    def create_user(
        self, name: str, *, email: str, password: str, login_name: str, full_name: str
    ) -> User:
        """Create a restricted account that need not change its password.

        Args:
            name: Its name. Which names are reserved differs from forge to forge (422).
            email: Its address, unique at the forge.
            password: Its password.
            login_name: Seen and set by administrators only; tells this account from others.
            full_name: What people see.
        """

        def made() -> User | None:
            found = self.user(name)
            return found if found and found.login_name == login_name else None

        return self._http.post(
            "/admin/users",
            {
                "username": name,
                "email": email,
                "password": password,
                "login_name": login_name,
                "full_name": full_name,
                "restricted": True,
                "must_change_password": False,
                "send_notify": False,
            },
            User.from_json,
            look=made,
        )

    def edit_user(
        self, name: str, *, login_name: str, source_id: int, **changes: str | int | bool
    ) -> None:
        """Change an account, as the API's `EditUserOption` names things.

        Forges want `login_name` and `source_id` in every change, and have the user change the
        password at the next login unless told otherwise, which would block its API calls.
        """
        fixed = {
            "login_name": login_name,
            "source_id": source_id,
            "must_change_password": False,
        }
        self._http.change("PATCH", _admin_user(name), json={**fixed, **changes})

    def purge_user(self, name: str) -> None:
        """Remove an account and all that it made: its issues, pull requests and comments too."""
        self._http.change("DELETE", _admin_user(name), params={"purge": "true"})

    def organizations(self) -> Iterator[str]:
        """List the names of all organizations; for administrators."""
        return self._http.pages("/admin/orgs", lambda told: str(told["name"]))

    # Repositories

    def repository(self, full_name: str) -> Repository | None:
        """Return the repository `owner/name`; None where these credentials see none."""
        path = paths.repository(full_name)
        return unless_missing(lambda: self._http.get(path, Repository.from_json))

    def lists_repository(self, full_name: str) -> bool:
        """Tell whether the forge's search finds a repository.

        Gitea's search does, where `TWO_FACTOR_AUTH = enforced` hides all repositories from an
        account without a second factor (1.26: routers/api/v1/api.go, repoAssignment).
        """
        name = full_name.partition("/")[2]
        found = self._http.pages("/repos/search", lambda answer: str(answer["full_name"]), q=name)
        return full_name.lower() in map(str.lower, unless_missing(lambda: [*found]) or ())

    def has_branch(self, repo: str, branch: str) -> bool:
        """Tell whether a repository that exists has this branch."""
        path = f"{paths.repository(repo)}/branches/{paths.segment(branch)}"
        return (
            unless_missing(lambda: self._http.get(path, lambda told: str(told["name"]))) is not None
        )

    def has_file(self, repo: str, path: str, branch: str) -> bool:
        """Tell whether a branch of a repository that exists has this file."""
        parts = "/".join(map(paths.segment, path.split("/")))
        where = f"{paths.repository(repo)}/contents/{parts}"

        def answer() -> str:
            return self._http.get(where, lambda file: str(file["sha"]), ref=branch)

        return unless_missing(answer) is not None

    def create_repository(self, full_name: str, default_branch: str) -> Repository:
        """Create a private repository with a first commit, and its owner where there is none.

        An owner that does not exist becomes an organization of the administrator's.
        """
        owner, _, name = full_name.partition("/")
        if self.user(owner) is None:
            self._http.post(
                "/orgs",
                {"username": owner, "visibility": "private"},
                lambda told: told,
                look=lambda: self.user(owner),
            )
        return self._http.post(
            f"{_admin_user(owner)}/repos",
            {"name": name, "private": True, "auto_init": True, "default_branch": default_branch},
            Repository.from_json,
            look=lambda: self.repository(full_name),
        )

    def collaborators(self, repo: str) -> set[str]:
        """Return the names of a repository's collaborators, in lower case."""
        path = f"{paths.repository(repo)}/collaborators"
        return set(self._http.pages(path, lambda told: str(told["login"]).lower()))

    def collaborator_permission(self, repo: str, user: str) -> str | None:
        """Return `read`, `write`, `admin` or `owner`; None where the user is no collaborator.

        The forge tells of everybody's permission, not of collaborators alone: what a public
        repository grants to everybody is no collaborator's.
        """
        path = _collaborator(repo, user)
        with contextlib.suppress(NotFoundError), _unknown_user_is_not_found():
            self._http.get(path, lambda told: told)
            return self._http.get(f"{path}/permission", lambda told: str(told["permission"]))
        return None

    def add_collaborator(self, repo: str, user: str, permission: str = "write") -> None:
        """Give a user this permission on a repository, whatever it had before."""
        self._http.change("PUT", _collaborator(repo, user), json={"permission": permission})

    def remove_collaborator(self, repo: str, user: str) -> None:
        """Take a user's access away; its assignments in the repository go with it.

        Raises:
            NotFoundError: The user or the repository is gone.
        """
        with _unknown_user_is_not_found():
            self._http.change("DELETE", _collaborator(repo, user))

    def branch_protections(self, repo: str) -> list[str]:
        """List a repository's branch protection rules by name; for the repository's administrators.

        A rule's name is a branch's name, or a glob of such names.

        Raises:
            NotFoundError: The repository is gone.
        """
        path = f"{paths.repository(repo)}/branch_protections"
        return self._http.get(path, lambda told: [str(each["rule_name"]) for each in told])

    # Access tokens

    def tokens(self, user: str) -> list[AccessToken]:
        """List a user's tokens, without their secrets."""
        return list(self._http.pages(self._tokens(user), AccessToken.from_json))

    def own_tokens(self, user: str) -> list[AccessToken] | None:
        """List a user's tokens by one of them; None if the forge wants a password for that.

        Forgejo from 11.0.4 on lists them by a token with `read:user`.
        """
        try:
            return list(self._http.pages(f"{_user(user)}/tokens", AccessToken.from_json))
        except (UnauthorizedError, ForbiddenError):
            return None

    def mint_token(
        self, user: str, name: str, scopes: Iterable[str], repositories: Iterable[str] = ()
    ) -> AccessToken:
        """Mint a token, whose secret is in this answer and nowhere else.

        A token that was minted in an attempt whose answer got lost is revoked: nobody knows it.
        Forgejo 7 answers without the scopes, and lists them.

        Args:
            user: Whose token.
            name: A name that the user has no token of yet; a duplicate is refused (400).
            scopes: What it may do; an unknown scope is refused (400).
            repositories: Each `owner/name` that it is limited to; none for no limit. Forgejo from
                15.0 on limits tokens, to what the caller sees, and only with scopes for
                repositories and issues; others ignore it (`versions.limits_tokens`).
        """

        def revoke_lost() -> None:
            for token in self.tokens(user):
                if token.name == name:
                    with contextlib.suppress(NotFoundError):
                        self.revoke_token(user, token.id)

        minted = self._http.post(
            self._tokens(user),
            {"name": name, "scopes": sorted(scopes), **_limit(repositories)},
            AccessToken.from_json,
            look=revoke_lost,
        )
        if minted.scopes is not None:
            return minted
        listed = next((token for token in self.tokens(user) if token.id == minted.id), minted)
        return replace(minted, scopes=listed.scopes)

    def revoke_token(self, user: str, token_id: int) -> None:
        """Revoke a token.

        Raises:
            NotFoundError: It is gone already.
        """
        self._http.change("DELETE", f"{self._tokens(user)}/{token_id}")

    def _tokens(self, user: str) -> str:
        """Return the path of a user's tokens that these credentials may use.

        A token as such only mints at the administrators' path, which came with Forgejo 16.
        """
        owner = _admin_user(user) if isinstance(self._auth, Token) else _user(user)
        return f"{owner}/tokens"

    # Rights, asked for without changing anything

    def may_administer(self, repo: str | None = None) -> None:
        """Make sure that these credentials may do what an administrator does for Muster.

        A PAT may lack a scope even where its owner is an administrator, and no call lists a PAT's
        own scopes. So this asks for changes to things that cannot be there: the right is checked
        before the thing is looked for.

        Args:
            repo: Also ask for the right to add collaborators there.

        Raises:
            UnauthorizedError: The forge does not take the credentials.
            ForbiddenError: They lack the rights; the forge's message names a missing scope.
        """
        who = self.whoami()
        if not who.is_admin:
            raise ForbiddenError(
                f"{who.login} is not an administrator", call="GET /user", status=403
            )
        unless_missing(lambda: self._http.change("PATCH", _admin_user(_NO_USER), json={}))
        if repo is not None:
            self.may_share(repo)

    def may_share(self, repo: str) -> None:
        """Make sure that these credentials may add collaborators to a repository.

        Raises:
            ForbiddenError: They may not.
        """
        try:
            unless_missing(lambda: self.remove_collaborator(repo, _NO_USER))
        except ForgeError as error:
            # A renamed repository redirects, also to GET, whose answer names the new one.
            if error.status not in _REDIRECTS:
                raise

    def may_mint(self, user: str) -> bool:
        """Tell whether these credentials can mint and revoke tokens of this user.

        Asks for nothing but the revocation of a token that cannot exist, or for the
        administrators' list.
        """
        try:
            if isinstance(self._auth, Token):
                self._http.get(self._tokens(user), len, limit=1)
            else:
                self.revoke_token(user, _NO_TOKEN)
        except NotFoundError:
            return isinstance(self._auth, Basic)
        except ForgeError as error:
            if error.status in _NO_WAY:
                return False
            raise
        return True

    def takes_passwords(self) -> bool:
        """Tell whether the forge takes names and passwords at its API.

        One with `ENABLE_BASIC_AUTHENTICATION = false` does not look at them: it answers to an
        account that cannot exist what it answers to nobody. Asking changes nothing.
        """
        nobody, stranger = self._refusal(None), self._refusal(Basic(_NO_USER, _NO_USER))
        return nobody != stranger

    def _refusal(self, auth: Basic | None) -> tuple[int | None, str]:
        try:
            Forge(self.url, auth, timeout=self._timeout, patience=self._patience).whoami()
        except ForgeError as error:
            if error.status not in _NO_WAY:
                raise
            return error.status, error.message
        return None, ""


def _user(name: str) -> str:
    return f"/users/{paths.segment(name)}"


def _admin_user(name: str) -> str:
    return f"/admin/users/{paths.segment(name)}"


def _limit(repositories: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    named = [dict(zip(("owner", "name"), each.split("/", 1), strict=True)) for each in repositories]
    return {"repositories": named} if named else {}


def _collaborator(repo: str, user: str) -> str:
    return f"{paths.repository(repo)}/collaborators/{paths.segment(user)}"


@contextlib.contextmanager
def _unknown_user_is_not_found() -> Iterator[None]:
    """Turn 422, what a forge says of collaborators without an account, into "not found"."""
    try:
        yield
    except ForgeError as error:
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        raise NotFoundError(error.message, call=error.call, status=error.status) from None
