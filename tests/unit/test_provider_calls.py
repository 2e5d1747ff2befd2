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
from muster.forge import Basic, ForbiddenError, ForgeError, UnauthorizedError

Props = dict[str, Any]

USER, MARK = "dev-qwen", "muster:live/demo/dev-qwen"
SECRET = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = {
    "id": 1,
    "full_name": "acme/demo",
    "default_branch": "main",
    "private": True,
    "archived": False,
    "empty": False,
}
FULL_NAME = "dev-qwen (agent of demo, by Muster)"


class Accounts:
    """A forge with at most one account, which answers `status` to everything unless that is 200.

    Attributes:
        user: the account, as the forge tells it.
        tokens: its tokens; the account's password and `SECRET` work while there is one.
        status: what it answers.
        shows_repositories: whether it shows repositories to a bot user's token. Gitea does not,
            with `TWO_FACTOR_AUTH = enforced`.
    """

    shows_repositories = True

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

    def __call__(self, request: Request) -> Answer:  # noqa: PLR0911 - one a kind of answer
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
        if request.method == "GET" and below.startswith("/repos/") and below.count("/") == 3:
            shown = repository(below.removeprefix("/repos/"))
            return Answer(200, shown) if self.shows_repositories else Answer(404, {})
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
    common |= {"email": f"{USER}@muster.invalid", "permission": "write"}
    return {**common, "adopt": False, "repository": "acme/demo", **more}


def of_token(server: Server) -> Props:
    return inputs(
        server,
        password="the-password",
        scopes=list(TOKEN_SCOPES),
        token_id=7,
        token=SECRET,
        granted=sorted(TOKEN_SCOPES),
        repositories=["acme/demo"],
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
    *_, minted, account, seen = server.requests
    assert minted.json["scopes"] == sorted(TOKEN_SCOPES)
    assert (account.path, seen.path) == ("/api/v1/user", "/api/v1/repos/acme/demo")
    for proof in (account, seen):
        assert proof.headers["Authorization"] == f"token {SECRET}"
    assert (made.outs["token"], made.outs["token_id"]) == (SECRET, 10)
    assert accounts.names()[-1].startswith("muster-")


MUST_ENABLE = (
    "This Forgejo instance requires users to enable two-factor authentication before they can "
    "access their accounts."
)


@pytest.mark.parametrize("forge", ["Forgejo", "Gitea"])
def test_a_token_is_revoked_where_the_forge_requires_a_second_factor(
    server: Server, accounts: Accounts, forge: str
) -> None:
    def script(request: Request) -> Answer:
        by_bot = request.headers["Authorization"] == f"token {SECRET}"
        if forge == "Forgejo" and by_bot:
            return Answer(403, {"message": MUST_ENABLE})
        return accounts(request)

    accounts.shows_repositories = False
    server.script = script
    with pytest.raises(ForgeError, match="requires a second factor of all its users") as caught:
        configured(AccessTokenProvider()).create(of_token(server))
    assert "--token-from-stdin" in str(caught.value)
    assert accounts.names() == ["muster-aa", "muster-bb", "by-hand"]


@pytest.mark.parametrize("listing", ["with scopes", "without scopes"])
def test_a_token_of_a_forge_that_mints_without_telling_scopes_is_not_replaced(
    server: Server, accounts: Accounts, listing: str
) -> None:
    """Forgejo 7.0.16 answers `scopes: null`; older ones list tokens so, too."""

    def script(request: Request) -> Answer:
        answer = accounts(request)
        if request.method == "POST" and request.path.endswith("/tokens"):
            answer.json["scopes"] = None
        if listing == "without scopes" and isinstance(answer.json, list):
            answer.json = [{**one, "scopes": None} for one in answer.json]
        return answer

    server.script = script
    provider, declared = configured(AccessTokenProvider()), of_token(server)
    made = provider.create(declared)
    assert made.outs["granted"] == sorted(TOKEN_SCOPES)
    assert not provider.diff(made.id, made.outs, declared).changes
    read = provider.read(made.id, made.outs)
    assert read.id == made.id
    assert not provider.diff(made.id, read.outs, declared).changes


LIMITED = ["write:issue", "write:repository"]


class Limiting(Accounts):
    """Forgejo 15.0.3, as measured: it limits tokens, which then do not show their account."""

    def __call__(self, request: Request) -> Answer:
        below = request.path.removeprefix("/api/v1")
        by_token = request.headers["Authorization"] == f"token {SECRET}"
        if below == "/version":
            return Answer(200, {"version": "15.0.3+gitea-1.22.0"})
        if below == "/user" and by_token:
            return Answer(403, {"message": "token does not have at least one of required scope(s)"})
        answer = super().__call__(request)
        if request.method == "POST" and "repositories" in request.json:
            limit = [repository(f"{e['owner']}/{e['name']}") for e in request.json["repositories"]]
            self.tokens[-1] |= {"scopes": request.json["scopes"], "repositories": limit}
            answer.json = {**self.tokens[-1], "sha1": SECRET}
        return answer


def repository(full_name: str) -> Props:
    told = {"default_branch": "main", "private": True, "archived": False, "empty": False}
    return {"id": 1, "full_name": full_name, **told}


def test_a_token_is_limited_to_the_agents_repositories_if_the_forge_can(server: Server) -> None:
    server.script = forge = Limiting()
    provider, declared = configured(AccessTokenProvider()), of_token(server)
    declared["repositories"] = ["acme/demo", "acme/handbook"]
    made = provider.create(declared)
    assert (made.outs["granted"], made.outs["token"]) == (LIMITED, SECRET)
    assert made.outs["limited_to"] == ["acme/demo", "acme/handbook"]
    assert forge.names()[-1].startswith("muster-")
    assert not provider.diff(made.id, made.outs, declared).changes
    assert not provider.diff(made.id, provider.read(made.id, made.outs).outs, declared).changes
    other = {**declared, "repositories": ["acme/demo"]}
    assert provider.diff(made.id, made.outs, other).replaces == ["repositories"]


def test_a_token_from_before_the_forge_could_limit_it_stays(server: Server) -> None:
    server.script = Limiting()
    recorded = of_token(server) | {"issued_at": "2026-01-02T03:04:05+00:00"}
    provider = configured(AccessTokenProvider())
    assert not provider.diff("id", recorded, recorded).changes


def test_a_forge_that_ignores_the_limit_gets_another_token_minted(
    server: Server, accounts: Accounts
) -> None:
    """By its version it could, and it does not."""

    def script(request: Request) -> Answer:
        if request.path == "/api/v1/version":
            return Answer(200, {"version": "15.0.0"})
        return accounts(request)

    server.script = script
    made = configured(AccessTokenProvider()).create(of_token(server))
    assert (made.outs["limited_to"], made.outs["granted"]) == (None, sorted(TOKEN_SCOPES))
    assert [method for method, path in server.asked() if "/tokens" in path] == [
        *("DELETE", "POST", "DELETE", "POST"),
    ]


def by_hand(**more: object) -> Props:
    return {**token(11, "by-hand"), **more}


@pytest.mark.parametrize(
    ("made", "refusal"),
    [
        (by_hand(scopes=LIMITED, repositories=[repository("Acme/Demo")]), None),
        (by_hand(scopes=LIMITED, repositories=[repository("acme/other")]), "is limited to acme/o"),
        (by_hand(scopes=["all"], repositories=[repository("acme/demo")]), "has the scopes all"),
        (by_hand(token_last_eight="00000000"), "it is not listed as dev-qwen's"),
    ],
)
def test_a_token_by_hand_may_be_limited_to_the_agents_repositories(
    server: Server, made: Props, refusal: str | None
) -> None:
    server.script = forge = Limiting()
    forge.tokens = [made]
    provider, declared = configured(AccessTokenProvider()), of_token(server) | {"given": SECRET}
    if refusal is not None:
        with pytest.raises(ForgeError, match=refusal):
            provider.create(declared)
        return
    created = provider.create(declared)
    assert (created.outs["token_id"], created.outs["limited_to"]) == (11, ["Acme/Demo"])
    assert not provider.diff(created.id, created.outs, declared).changes


class NoPasswords(Accounts):
    """A forge with `ENABLE_BASIC_AUTHENTICATION = false`, before Forgejo 16.

    Attributes:
        lists: Whether it lists tokens by a token, as Forgejo 15 does and Forgejo 7 does not.
    """

    lists = True

    def __call__(self, request: Request) -> Answer:
        auth = request.headers["Authorization"] or "Basic"
        below = request.path.removeprefix("/api/v1")
        if below.startswith("/admin/") and "/tokens" in below:
            return Answer(404, body=b"404 page not found")
        refused = "/tokens" in below and not (self.lists and request.method == "GET")
        if auth.startswith("Basic") or refused:
            return Answer(401, {"message": "token is required"})
        return super().__call__(request)


@pytest.fixture
def no_passwords(server: Server, monkeypatch: pytest.MonkeyPatch) -> NoPasswords:
    monkeypatch.delenv("FORGE_ADMIN_USER")
    monkeypatch.delenv("FORGE_ADMIN_PASS")
    monkeypatch.setenv("FORGE_ADMIN_PAT", "f" * 40)
    forge = NoPasswords()
    server.script = forge
    return forge


@pytest.mark.parametrize(("lists", "token_id"), [(True, 7), (False, 0)])
def test_a_token_by_hand_is_taken_where_nobody_can_mint(
    server: Server, no_passwords: NoPasswords, *, lists: bool, token_id: int
) -> None:
    no_passwords.lists = lists
    no_passwords.tokens = no_passwords.tokens[:1]
    provider, declared = configured(AccessTokenProvider()), of_token(server) | {"given": SECRET}
    made = provider.create(declared)
    assert (made.outs["token_id"], made.outs["token"]) == (token_id, SECRET)
    assert not provider.diff(made.id, made.outs, declared).changes
    assert provider.read(made.id, made.outs).id == made.id
    sweep = configured(TokenSweepProvider())
    sweep.create(declared | {"kept": token_id})
    sweep.update("id", declared | {"kept": 5}, declared | {"kept": token_id})
    sweep.delete("id", declared | {"kept": token_id})
    provider.delete("id", made.outs)
    assert {request.method for request in server.requests} <= {"GET", "DELETE"}
    assert no_passwords.names() == ["muster-aa"]


class SecondFactor(Accounts):
    """Forgejo 15, whose bot user has a second factor: its password alone mints nothing.

    Attributes:
        refusal: What it answers to that password.
    """

    refusal = ""

    def __call__(self, request: Request) -> Answer:
        auth = request.headers["Authorization"]
        below = request.path.removeprefix("/api/v1")
        if auth is None:
            return Answer(401, {"message": "token is required"})
        if below.startswith("/admin/") and "/tokens" in below:
            return Answer(404, body=b"404 page not found")
        if auth.startswith("Basic"):
            known = auth == Basic(USER, "the-password").header
            return Answer(401, {"message": self.refusal if known else "user does not exist"})
        return super().__call__(request)


@pytest.mark.parametrize(
    "refusal",
    [
        "invalid provided OTP",
        "Basic authorization is not allowed while having security keys enrolled",
    ],
)
@pytest.mark.usefixtures("no_passwords")
def test_a_token_by_hand_is_taken_of_a_bot_user_with_a_second_factor(
    server: Server, refusal: str
) -> None:
    server.script = forge = SecondFactor()
    forge.refusal = refusal
    forge.tokens = forge.tokens[:1]
    provider, declared = configured(AccessTokenProvider()), of_token(server) | {"given": SECRET}
    made = provider.create(declared)
    assert (made.outs["token_id"], made.outs["token"]) == (7, SECRET)
    assert provider.read(made.id, made.outs).id == made.id
    sweep = configured(TokenSweepProvider())
    sweep.create(declared | {"kept": 7})
    sweep.delete("id", declared | {"kept": 7})
    provider.delete("id", made.outs)
    assert forge.names() == ["muster-aa"]


def test_where_nobody_can_mint_an_update_says_so(server: Server, no_passwords: NoPasswords) -> None:
    with pytest.raises(ForgeError, match="ENABLE_BASIC_AUTHENTICATION"):
        configured(AccessTokenProvider()).create(of_token(server))
    assert no_passwords.names() == ["muster-aa", "muster-bb", "by-hand"]


def test_an_agent_gets_the_permission_of_its_section(server: Server) -> None:
    provider = configured(RepositoryAccessProvider())
    provider.create(inputs(server, permission="read"))
    assert server.requests[-1].json == {"permission": "read"}
    provider.update("id", inputs(server), inputs(server, permission="write"))
    assert server.requests[-1].json == {"permission": "write"}


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("the domain of user email a@muster.invalid is not allowed", "set email_domain under"),
        ("name is reserved [name: debug]", "choose another forge_user"),
    ],
)
def test_a_refused_account_comes_with_what_to_change(
    server: Server, said: str, advice: str
) -> None:
    server.script = lambda r: Answer(422 if r.method == "POST" else 404, {"message": said})
    with pytest.raises(ForgeError, match=advice):
        configured(BotUserProvider()).create(inputs(server, email="a@muster.invalid"))


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


@pytest.mark.parametrize(
    ("kind", "login_name"),
    [
        (BotUserProvider, "by hand"),
        (BotUserProvider, "muster:live/demo/dev-b"),
        (BotPasswordProvider, "muster:live/demo/dev-b"),
    ],
)
def test_an_account_that_is_somebody_elses_by_now_is_gone_for_a_refresh(
    server: Server, accounts: Accounts, kind: type[ForgeProvider], login_name: str
) -> None:
    assert accounts.user is not None
    accounts.user["login_name"] = login_name
    assert configured(kind()).read(USER, of_token(server)).id is None


@pytest.fixture
def passwords(accounts: Accounts, server: Server) -> list[str]:
    """The passwords that the forge takes; one by one, as somebody sets another."""
    known = ["Admin-Pass-1", "the-password"]

    def script(request: Request) -> Answer:
        auth = request.headers["Authorization"]
        if auth is None:
            return Answer(401, {"message": "token is required"})
        if auth.startswith("Basic") and auth not in [
            Basic(user, word).header for user in ("root", USER) for word in known
        ]:
            return Answer(401, {"message": "invalid username, password or token"})
        return accounts(request)

    server.script = script
    return known


def test_a_password_that_somebody_changed_is_replaced(
    server: Server, accounts: Accounts, passwords: list[str]
) -> None:
    provider = configured(BotPasswordProvider())
    recorded = inputs(server, password="the-password", issued_at="2026-01-02T03:04:05+00:00")

    assert provider.read("id", recorded).outs == recorded
    passwords.remove("the-password")
    found = provider.read("id", recorded)
    assert provider.diff("id", found.outs, recorded).replaces == ["password"]
    passwords.append("the-password")
    assert provider.read("id", found.outs).outs == recorded
    passwords.remove("the-password")
    assert accounts.user is not None
    accounts.user["prohibit_login"] = True  # then no password works
    assert provider.read("id", recorded).outs == recorded


def test_a_forge_that_takes_no_passwords_does_not_tell_of_them(
    server: Server, accounts: Accounts
) -> None:
    accounts.tokens = []  # 401 to everybody
    recorded = inputs(server, password="the-password")
    assert configured(BotPasswordProvider()).read("id", recorded).outs == recorded


@pytest.mark.parametrize(
    ("login_name", "born", "is_ours"),
    [
        ("", "2026-01-02T03:04:05+00:00", True),
        ("by-a-script", "2026-01-02T03:04:05+00:00", True),
        ("by-a-script", "2026-02-02T03:04:05+00:00", False),
        ("muster:live/demo/dev-b", "2026-01-02T03:04:05+00:00", False),
    ],
)
def test_an_account_whose_mark_was_overwritten_is_known_by_id_and_birth(
    login_name: str,
    born: str,
    is_ours: bool,  # noqa: FBT001 - from a table
    server: Server,
    accounts: Accounts,
) -> None:
    assert accounts.user is not None
    accounts.user["login_name"] = login_name
    provider = configured(BotUserProvider())
    olds = inputs(server, user_id=3.0, created_at=born, standing=STANDING)

    found = provider.read(USER, olds)

    assert (found.id == USER) == is_ours
    if is_ours:
        assert provider.diff(USER, found.outs, inputs(server)).changes
        provider.update(USER, found.outs, inputs(server))
        assert server.requests[-1].json["login_name"] == MARK


def test_access_to_a_renamed_repository_is_removed_at_its_new_name(
    server: Server, accounts: Accounts
) -> None:
    def script(request: Request) -> Answer:
        if request.path.startswith("/api/v1/repos/acme/demo"):
            moved = request.path.replace("acme/demo", "acme/new")
            return Answer(301, headers={"Location": moved})  # as Gitea 1.26 answers
        if request.path == "/api/v1/repos/acme/new":
            return Answer(json={**REPOSITORY, "full_name": "acme/new"})
        return accounts(request)

    server.script = script
    configured(RepositoryAccessProvider()).delete("id", inputs(server))
    assert server.asked()[-1] == ("DELETE", f"/api/v1/repos/acme/new/collaborators/{USER}")


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
