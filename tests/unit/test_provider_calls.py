"""What the dynamic providers ask of a forge, played by a scripted one."""

from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest
from scripted_server import Answer, Request, Server, serving

from components import provider as shared
from components.access_token import AccessTokenProvider
from components.bot_password import BotPasswordProvider
from components.bot_user import BotUserProvider
from components.provider import ForgeProvider
from components.repository_access import RepositoryAccessProvider
from components.token_sweep import TokenSweepProvider
from muster.accounts import RESTRICTIONS, STANDING
from muster.credentials import TOKEN_SCOPES
from muster.forge import ForbiddenError, ForgeError, UnauthorizedError

Props = dict[str, Any]

USER, MARK = "dev-qwen", "muster:live/demo/dev-qwen"
SECRET = "0123456789abcdef0123456789abcdef01234567"
FULL_NAME = "dev-qwen (agent of demo, by Muster)"


class Accounts:
    """A forge with at most one account, which answers `status` to everything unless that is 200.

    Attributes:
        user: the account, as the forge tells it.
        tokens: its tokens; the account's password and `SECRET` work while there is one.
        status: what it answers.
    """

    def __init__(self) -> None:
        self.user: Props | None = {
            "id": 3,
            "login": USER,
            "login_name": MARK,
            "source_id": 0,
            "full_name": FULL_NAME,
            "created": "2026-01-02T04:04:05+01:00",
            "active": True,
            "restricted": True,
        }
        self.tokens = [token(7, "muster-aa"), token(8, "muster-bb"), token(9, "by-hand")]
        self.status = 200

    def __call__(self, request: Request) -> Answer:
        if self.status != 200:
            return Answer(self.status, {"message": "as scripted"})
        below = request.path.removeprefix("/api/v1")
        found = {"version": "11.0.4"} if below == "/version" else self.user
        if found is None:
            return Answer(404, {"message": "not found"})
        if (request.method, below) == ("POST", "/admin/users"):
            return Answer(422, {"message": "user already exists"})
        if below == "/user":
            return Answer(200 if self.tokens else 401, self.user)
        if "/tokens" in below:
            return self._of_tokens(request, below)
        return Answer(200, found)

    def _of_tokens(self, request: Request, below: str) -> Answer:
        if request.method == "POST":
            self.tokens.append(token(10, request.json["name"]))
            return Answer(201, {**self.tokens[-1], "sha1": SECRET})
        if request.method == "GET":
            return Answer(200, self.tokens, {"X-Total-Count": str(len(self.tokens))})
        left = [one for one in self.tokens if str(one["id"]) != below.rpartition("/")[2]]
        found = len(left) < len(self.tokens)
        self.tokens = left
        return Answer(204) if found else Answer(404, {"message": "no such token"})

    def names(self) -> list[str]:
        return [one["name"] for one in self.tokens]


def token(number: int, name: str) -> Props:
    scopes = list(TOKEN_SCOPES)
    return {"id": number, "name": name, "scopes": scopes, "token_last_eight": SECRET[-8:]}


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def server(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("FORGE_ADMIN_USER", "root")
    monkeypatch.setenv("FORGE_ADMIN_PASS", "Admin-Pass-1")
    monkeypatch.delenv("FORGE_ADMIN_PAT", raising=False)
    # There is no engine with which the tests' process could end.
    monkeypatch.setattr(shared, "_end_with_the_engine", lambda: None)
    monkeypatch.setattr(shared, "_moved", {})
    with serving(accounts) as started:
        yield started


def configured(provider: ForgeProvider) -> Any:  # noqa: ANN401 - whichever provider it is
    provider.configure(ConfigureRequest(Config({}, "muster")))
    return provider


def inputs(server: Server, **more: object) -> Props:
    common = {"forge": server.url, "user": USER, "mark": MARK, "full_name": FULL_NAME}
    return {**common, "adopt": False, "repository": "acme/demo", **more}


def of_token(server: Server) -> Props:
    return inputs(
        server,
        password="the-password",
        scopes=list(TOKEN_SCOPES),
        token_id=7,
        token=SECRET,
        granted=sorted(TOKEN_SCOPES),
    )


FOUND = [BotUserProvider, BotPasswordProvider, AccessTokenProvider, RepositoryAccessProvider]
each_found = pytest.mark.parametrize("kind", FOUND)


@each_found
def test_with_the_account_all_that_hangs_on_it_is_gone(
    kind: type[ForgeProvider], server: Server, accounts: Accounts
) -> None:
    """Otherwise the account made in its place would keep a password that it does not have."""
    accounts.user = None
    read = configured(kind()).read("id", of_token(server))
    assert (read.id, read.outs) == (None, {})


@each_found
@pytest.mark.parametrize(("status", "error"), [(401, UnauthorizedError), (403, ForbiddenError)])
def test_a_refusal_makes_nothing_gone(
    kind: type[ForgeProvider],
    status: int,
    error: type[ForgeError],
    server: Server,
    accounts: Accounts,
) -> None:
    accounts.status = status
    with pytest.raises(error):
        configured(kind()).read("id", of_token(server))


def test_a_refresh_reports_an_account_as_it_is(server: Server, accounts: Accounts) -> None:
    assert accounts.user is not None
    accounts.user |= {"prohibit_login": True, "is_admin": True, "full_name": "by hand"}
    provider = configured(BotUserProvider())
    read = provider.read(USER, inputs(server))
    assert read.outs["standing"] == {**STANDING, "prohibit_login": True, "is_admin": True}
    assert (read.outs["full_name"], read.outs["mark"]) == ("by hand", MARK)
    assert provider.diff(USER, read.outs, inputs(server)).changes


def test_a_token_that_is_not_listed_is_gone(server: Server, accounts: Accounts) -> None:
    accounts.tokens = [token(8, "muster-bb")]
    assert configured(AccessTokenProvider()).read("id", of_token(server)).id is None


def test_a_barred_users_token_is_left_as_recorded(server: Server, accounts: Accounts) -> None:
    """By its own password, as strict forges want it, nobody could list its tokens."""
    assert accounts.user is not None
    accounts.user["prohibit_login"] = True
    recorded = of_token(server)
    assert configured(AccessTokenProvider()).read("id", recorded).outs == recorded
    assert not [path for _, path in server.asked() if path.endswith("/tokens")]


def test_an_account_that_carries_the_agents_mark_is_taken_back(
    server: Server, accounts: Accounts
) -> None:
    assert accounts.user is not None
    accounts.user |= {"prohibit_login": True, "source_id": 0}
    made = configured(BotUserProvider()).create(inputs(server))
    assert (made.id, made.outs["user_id"], made.outs["standing"]) == (USER, 3, STANDING)
    assert RESTRICTIONS.items() <= server.requests[-1].json.items()


def test_an_account_of_somebody_elses_is_refused_and_left_alone(
    server: Server, accounts: Accounts
) -> None:
    assert accounts.user is not None
    accounts.user["login_name"] = ""
    with pytest.raises(ForgeError, match="set adopt = true to take the account over"):
        configured(BotUserProvider()).create(inputs(server))
    assert [request.method for request in server.requests] == ["POST", "GET"]


def test_a_password_comes_with_every_restriction_of_a_bot_user(server: Server) -> None:
    made = configured(BotPasswordProvider()).create(inputs(server))
    sent = server.requests[-1].json
    assert RESTRICTIONS.items() <= sent.items()
    assert sent["password"] == made.outs["password"]
    assert (sent["login_name"], sent["must_change_password"]) == (MARK, False)


def test_a_token_is_minted_with_the_least_scopes_and_proven(
    server: Server, accounts: Accounts
) -> None:
    made = configured(AccessTokenProvider()).create(of_token(server))
    assert server.requests[-2].json["scopes"] == sorted(TOKEN_SCOPES)
    assert server.requests[-1].headers["Authorization"] == f"token {SECRET}"
    assert (made.outs["token"], made.outs["token_id"]) == (SECRET, 10)
    assert accounts.names()[-1].startswith("muster-")


def test_deleting_a_token_that_is_gone_is_fine(server: Server, accounts: Accounts) -> None:
    accounts.tokens = []
    configured(AccessTokenProvider()).delete("id", of_token(server))
    assert server.asked() == [("GET", "/api/v1/user")]


def test_a_sweep_revokes_our_tokens_but_the_kept_one(server: Server, accounts: Accounts) -> None:
    sweep, provider = of_token(server) | {"kept": 8}, configured(TokenSweepProvider())
    provider.create(sweep)
    assert accounts.names() == ["muster-bb", "by-hand"]
    accounts.tokens.append(token(11, "muster-cc"))
    provider.update("id", sweep, sweep | {"kept": 11})
    assert accounts.names() == ["by-hand", "muster-cc"]
    provider.delete("id", sweep | {"kept": 11})
    assert accounts.names() == ["by-hand"]


def test_a_sweep_of_an_account_that_is_gone_is_done(server: Server, accounts: Accounts) -> None:
    accounts.user = None
    configured(TokenSweepProvider()).delete("id", of_token(server) | {"kept": 7})


@pytest.mark.parametrize("kind", [BotUserProvider, RepositoryAccessProvider, TokenSweepProvider])
def test_firing_leaves_an_account_alone_that_is_somebody_elses_by_now(
    server: Server, accounts: Accounts, kind: type[ForgeProvider]
) -> None:
    assert accounts.user is not None
    accounts.user["login_name"] = "muster:other/demo/dev-qwen"
    configured(kind()).delete(USER, of_token(server) | {"kept": 7})
    assert [request.method for request in server.requests] == ["GET"]
    assert accounts.names() == ["muster-aa", "muster-bb", "by-hand"]


@pytest.mark.parametrize("kind", [BotUserProvider, BotPasswordProvider])
def test_an_account_that_is_somebody_elses_by_now_is_gone_for_a_refresh(
    server: Server, accounts: Accounts, kind: type[ForgeProvider]
) -> None:
    assert accounts.user is not None
    accounts.user["login_name"] = "by hand"
    assert configured(kind()).read(USER, of_token(server)).id is None


def test_firing_bars_the_account_and_keeps_it(server: Server) -> None:
    configured(BotUserProvider()).delete(USER, inputs(server))
    assert [request.method for request in server.requests] == ["GET", "PATCH"]
    sent = server.requests[-1].json
    assert sent["prohibit_login"] is True
    assert (sent["login_name"], len(sent["password"])) == (MARK, 40)


def test_an_account_is_purged_only_where_it_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_PURGE", "dev,dev-qwen-2,dev-qwen")
    configured(BotUserProvider()).delete(USER, inputs(server))
    assert server.requests[-1].method == "DELETE"
    assert server.requests[-1].query == {"purge": ["true"]}
    monkeypatch.setenv("MUSTER_PURGE", "dev,dev-qwen-2")
    configured(BotUserProvider()).delete(USER, inputs(server))
    assert server.requests[-1].method == "PATCH"


def test_firing_an_account_that_is_gone_is_fine(server: Server, accounts: Accounts) -> None:
    accounts.user = None
    configured(BotUserProvider()).delete(USER, inputs(server))
    assert [request.method for request in server.requests] == ["GET"]


GONE = "http://127.0.0.1:9"


def hired(server: Server, **more: object) -> Props:
    """Return what is recorded of the account, from when its forge had another address."""
    made = configured(BotUserProvider()).create(inputs(server)).outs
    server.requests.clear()
    return {**made, "forge": GONE, **more}


def test_an_account_that_is_at_the_forges_new_address_is_updated(server: Server) -> None:
    result = configured(BotUserProvider()).diff(USER, hired(server), inputs(server))
    assert (result.changes, result.replaces) == (True, [])


def test_what_is_deleted_while_a_forge_moves_is_deleted_at_its_new_address(
    server: Server, accounts: Accounts
) -> None:
    """The old token of an agent that rotates, or all of an agent that is fired."""
    configured(BotUserProvider()).diff(USER, hired(server), inputs(server))
    old = {**of_token(server), "forge": GONE, "kept": 8}
    configured(AccessTokenProvider()).delete("id", old)
    assert accounts.names() == ["muster-bb", "by-hand"]
    configured(TokenSweepProvider()).delete("id", old)
    assert accounts.names() == ["by-hand"]
    configured(BotUserProvider()).delete(USER, old)
    assert server.requests[-1].json["prohibit_login"] is True


@pytest.mark.parametrize("account", [None, {"id": 4}, {"created": "2026-01-02T03:04:06Z"}])
def test_a_forge_without_the_very_account_is_another_and_refused(
    server: Server, accounts: Accounts, account: Props | None
) -> None:
    olds = hired(server)
    accounts.user = None if account is None else {**(accounts.user or {}), **account}
    with pytest.raises(ForgeError, match="that is another forge, and a crew does not move"):
        configured(BotUserProvider()).diff(USER, olds, inputs(server))
    assert {request.method for request in server.requests} == {"GET"}


def test_a_forge_that_tells_times_in_another_zone_is_the_same(
    server: Server, accounts: Accounts
) -> None:
    olds = hired(server)
    assert accounts.user is not None
    accounts.user["created"] = "2026-01-02T03:04:05Z"
    assert configured(BotUserProvider()).diff(USER, olds, inputs(server)).changes


def test_an_address_where_nobody_is_yet_is_taken_for_the_forges_in_a_preview(
    server: Server,
) -> None:
    """A local forge moves to its new port in the update, before its bot users do."""
    olds = hired(server, forge=server.url)
    result = configured(BotUserProvider()).diff(USER, olds, {**olds, "forge": GONE})
    assert (result.changes, result.replaces, server.asked()) == (True, [], [])
