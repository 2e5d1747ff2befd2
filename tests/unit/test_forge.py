import ssl
import threading
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificates, serving_tls
from scripted_server import Answer, Request, Script, always, in_turn, serving

from muster.forge import (
    Administrator,
    Basic,
    CannotMintError,
    ForbiddenError,
    Forge,
    ForgeError,
    ForgeUnreachableError,
    NotFoundError,
    Token,
    UnauthorizedError,
    may_require_second_factor,
    minting_auth,
    minting_way,
    normalise_scopes,
    versions,
)

SECRET = "0123456789abcdef0123456789abcdef01234567"
PASSWORD = "Correct-Horse-1-Battery"
ADMIN = Basic("root", PASSWORD)
BOT = Basic("bot", "Bots-0wn-Pass")


def told_user(name: str = "bot", **more: object) -> dict[str, Any]:
    return {"id": 7, "login": name, "created": "2026-01-02T04:04:05+01:00", **more}


def told_token(number: int, name: str, **more: object) -> dict[str, Any]:
    return {"id": number, "name": name, "scopes": ["read:user"], "token_last_eight": "89", **more}


def shown(error: BaseException) -> str:
    """All that a person, a log or a debugger may come to see of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


# The address


@pytest.mark.parametrize("tail", ["", "/", "/git", "/git/"])
def test_a_forge_may_stand_under_a_sub_path_and_be_written_with_a_trailing_slash(tail: str) -> None:
    with serving(always(json={"version": "11.0.4"})) as server:
        assert Forge(server.url + tail, None).version() == "11.0.4"
        assert server.asked() == [("GET", f"{tail.rstrip('/')}/api/v1/version")]


@pytest.mark.parametrize(
    "url", ["", "forge.example", "ftp://forge.example", "http://", "http://forge:port"]
)
def test_an_address_that_is_none_is_refused_before_any_call(url: str) -> None:
    with pytest.raises(ForgeError, match="must look like"):
        Forge(url, None)


def test_credentials_in_the_address_are_refused_and_not_shown() -> None:
    with pytest.raises(ForgeError, match="no credentials") as caught:
        Forge(f"http://root:{PASSWORD}@127.0.0.1:1", None)
    assert PASSWORD not in shown(caught.value)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_to_another_path_is_refused(name: str) -> None:
    with serving(always()) as server:
        with pytest.raises(ForgeError, match="not a valid name"):
            Forge(server.url, ADMIN).purge_user(name)
        assert server.requests == []


def test_names_are_quoted() -> None:
    with serving(always(status=404, json={})) as server:
        assert Forge(server.url, ADMIN).user("a/../b?c") is None
        assert server.asked() == [("GET", "/api/v1/users/a%2F..%2Fb%3Fc")]


# TLS


@pytest.fixture(scope="module")
def private_ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A CA that signed a certificate for 127.0.0.1, and a server's context that shows it."""
    folder = make_certificates(tmp_path_factory.mktemp("ca"))
    return folder / "ca.pem", serving_tls(folder)


def test_a_forge_with_a_private_ca_works_by_requests_ca_bundle(
    private_ca: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, context = private_ca
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with serving(always(json={"version": "1"}), context) as server:
        assert Forge(server.url, ADMIN).version() == "1"


def test_a_certificate_that_nobody_vouches_for_is_an_error_at_once_that_names_the_cure(
    private_ca: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with serving(always(json={"version": "1"}), private_ca[1]) as server:
        started = time.monotonic()
        with pytest.raises(ForgeUnreachableError, match="REQUESTS_CA_BUNDLE") as caught:
            Forge(server.url, ADMIN).version()
        assert time.monotonic() - started < 2
        assert server.url in str(caught.value)
        assert "certificate" in str(caught.value)


def test_a_ca_bundle_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ForgeUnreachableError, match=r"/nowhere/ca\.pem"):
        Forge("https://127.0.0.1:1", ADMIN).version()


# Where credentials go


def test_a_name_and_password_go_as_basic_and_a_token_as_token() -> None:
    with serving(always(json=told_user())) as server:
        Forge(server.url, Basic("bot", "pässword")).whoami()
        Forge(server.url, Token(SECRET)).whoami()
        Forge(server.url, None).whoami()
        assert [request.headers["Authorization"] for request in server.requests] == [
            "Basic Ym90OnDDpHNzd29yZA==",
            f"token {SECRET}",
            None,
        ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("auth", [ADMIN, Token(SECRET), None])
def test_credentials_follow_no_redirect_to_another_host(
    status: int, auth: Basic | Token | None
) -> None:
    with serving(always(json=told_user())) as elsewhere:
        target = f"{elsewhere.url}/api/v1/user?token=x"
        with serving(always(status=status, headers={"Location": target})) as server:
            with pytest.raises(ForgeError, match="redirects to") as caught:
                Forge(server.url, auth).whoami()
            assert elsewhere.url in str(caught.value)
            assert "token=x" not in str(caught.value)
        assert elsewhere.requests == []


def test_credentials_follow_no_redirect_to_another_scheme() -> None:
    with serving(always()) as server:
        secure = server.url.replace("http:", "https:")
        server.script = always(status=301, headers={"Location": secure})
        with pytest.raises(ForgeError, match="redirects to https:"):
            Forge(server.url, ADMIN).whoami()
        assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["/api/v1/users/new", "{url}/api/v1/users/new"])
def test_a_renamed_user_is_found_by_its_old_name_credentials_included(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    def script(request: Request) -> Answer:
        if request.path.endswith("/old"):
            return Answer(307, headers={"Location": location.format(url=server.url)})
        return Answer(json=told_user("new"))

    with serving(script) as server:
        user = Forge(server.url, Token(SECRET)).user("old")
        assert user is not None
        assert user.login == "new"
        assert server.requests[1].headers["Authorization"] == f"token {SECRET}"


def test_a_redirect_never_turns_a_change_into_a_look() -> None:
    with serving(always(status=302, headers={"Location": "/api/v1/version"})) as server:
        with pytest.raises(ForgeError, match="redirects to"):
            Forge(server.url, ADMIN).purge_user("bot")
        assert len(server.requests) == 1


@pytest.mark.parametrize("auth", [ADMIN, None])
def test_netrc_is_ignored(
    auth: Basic | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(always(json={"version": "1"})) as server:
        Forge(server.url, auth).version()
        assert server.requests[0].headers["Authorization"] == (auth and auth.header)


def test_a_cookie_of_one_client_is_not_sent_by_another() -> None:
    with serving(
        always(json=told_user(), headers={"Set-Cookie": "session=root; Path=/"})
    ) as server:
        Forge(server.url, ADMIN).whoami()
        Forge(server.url, BOT).whoami()
        assert [request.headers["Cookie"] for request in server.requests] == [None, None]


def test_proxies_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(always(json={"version": "1"})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert Forge("http://forge.invalid", ADMIN).version() == "1"
        assert proxy.requests[0].headers["Host"] == "forge.invalid"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("no_proxy", [None, "", "example.org"])
def test_credentials_for_a_forge_on_loopback_never_reach_a_proxy(
    name: str, no_proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(each, raising=False)
    if no_proxy is not None:
        monkeypatch.setenv("NO_PROXY", no_proxy)
    with serving(always(json=told_user())) as proxy, serving(always(json=told_user())) as server:
        monkeypatch.setenv(name, proxy.url)
        Forge(server.url, ADMIN).whoami()
        Forge(server.url.replace("127.0.0.1", "localhost"), ADMIN).whoami()
        assert proxy.requests == []
        assert len(server.requests) == 2


def test_a_redirect_on_loopback_stays_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    renamed = Answer(307, headers={"Location": "/api/v1/users/new"})
    with (
        serving(always(json=told_user())) as proxy,
        serving(in_turn(renamed, Answer(json=told_user("new")))) as server,
    ):
        monkeypatch.setenv("http_proxy", proxy.url)
        assert Forge(server.url, ADMIN).user("old")
        assert proxy.requests == []


# Errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ForgeError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (422, ForgeError),
        (500, ForgeError),
    ],
)
def test_an_error_carries_call_status_and_the_forges_own_words(
    status: int, kind: type[ForgeError]
) -> None:
    with serving(always(status=status, json={"message": "no\nsuch luck", "url": "x"})) as server:
        with pytest.raises(ForgeError) as caught:
            Forge(server.url, ADMIN).purge_user("bot")
        error = caught.value
        assert type(error) is kind
        assert (error.call, error.status) == ("DELETE /admin/users/bot", status)
        assert error.message == "no such luck"
        assert str(error) == f"DELETE /admin/users/bot: {status} no such luck"
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 404, 500, 502])
def test_a_web_page_in_place_of_an_answer_is_called_that(status: int) -> None:
    page = b"<html><h1>Welcome to the proxy</h1></html>"
    with serving(always(status=status, body=page, headers={"Content-Type": "text/html"})) as server:
        with pytest.raises(ForgeError, match="text/html") as caught:
            Forge(server.url, ADMIN, patience=0).whoami()
        assert caught.value.status == status
        assert "Welcome" not in str(caught.value)


def test_nothing_is_gone_by_a_404_that_is_no_forges() -> None:
    """A proxy says so while the forge behind it is away."""
    with (
        serving(always(404, body=b"404 page not found")) as server,
        pytest.raises(ForgeError, match="not a forge's answer") as caught,
    ):
        Forge(server.url, ADMIN).user("bot")
    assert not isinstance(caught.value, NotFoundError)


@pytest.mark.parametrize("answer", [{}, [], "x", 1, {"id": 1}])
def test_json_that_is_no_forges_is_an_error_of_the_same_kind(answer: object) -> None:
    with (
        serving(always(json=answer)) as server,
        pytest.raises(ForgeError, match="not a forge's answer"),
    ):
        Forge(server.url, ADMIN).whoami()


def echo(request: Request) -> Answer:
    """Give back all that was sent, as a careless proxy might."""
    said = f"{request.json} {request.headers['Authorization']} {PASSWORD} {SECRET}"
    return Answer(400, {"message": said})


@pytest.mark.parametrize("auth", [ADMIN, Token(SECRET)])
def test_no_error_shows_a_secret_even_if_the_forge_repeats_it(auth: Basic | Token) -> None:
    with serving(echo) as server:
        with pytest.raises(ForgeError) as caught:
            Forge(server.url, auth).edit_user(
                "bot", login_name="mark", source_id=0, password="N3w-Password-of-the-bot"
            )
        seen = shown(caught.value)
        assert "mark" in seen
        assert "N3w-Password" not in seen
        for secret in auth.secrets:
            assert secret not in seen


def test_no_secret_in_the_errors_of_connections() -> None:
    refused = Forge("http://127.0.0.1:9", Token(SECRET), patience=0)
    with pytest.raises(ForgeUnreachableError, match="refused") as caught:
        refused.whoami()
    assert SECRET not in shown(caught.value)
    with serving(always(cut=True)) as server:
        with pytest.raises(ForgeUnreachableError) as caught:
            Forge(server.url, ADMIN, patience=0).whoami()
        assert not any(secret in shown(caught.value) for secret in ADMIN.secrets)


@pytest.mark.parametrize("broken", [f"{SECRET}\n", f"{SECRET}€", f"{SECRET} {SECRET}", ""])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(broken: str) -> None:
    with pytest.raises(ForgeError, match="access token") as caught:
        Token(broken)
    assert SECRET not in shown(caught.value)


def test_credentials_show_no_secret() -> None:
    everything = repr([ADMIN, Token(SECRET), Administrator("root", PASSWORD, SECRET)])
    assert PASSWORD not in everything
    assert SECRET not in everything


def test_a_minted_token_shows_no_secret() -> None:
    with serving(always(status=201, json=told_token(1, "t", sha1=SECRET))) as server:
        token = Forge(server.url, ADMIN).mint_token("bot", "t", ["read:user"])
        assert token.secret == SECRET
        assert SECRET not in repr(token)


def test_a_token_whose_minting_does_not_tell_the_scopes_is_read_back() -> None:
    """Forgejo 7.0.16 answers `scopes: null`, and lists them."""
    minted = told_token(3, "muster-1", sha1=SECRET) | {"scopes": None}
    listed = [told_token(2, "muster-0") | {"scopes": ["all"]}, told_token(3, "muster-1")]

    def script(request: Request) -> Answer:
        if request.method == "POST":
            return Answer(201, minted)
        return Answer(json=listed, headers={"X-Total-Count": "2"})

    with serving(script) as server:
        token = Forge(server.url, ADMIN).mint_token("bot", "muster-1", ["read:user"])
        assert (token.scopes, token.secret) == (frozenset({"read:user"}), SECRET)
        assert [method for method, _ in server.asked()] == ["POST", "GET"]


def test_scopes_that_a_forge_tells_nowhere_are_unknown_and_not_none_granted() -> None:
    silent = told_token(3, "muster-1", sha1=SECRET)
    del silent["scopes"]
    listed = Answer(json=[silent], headers={"X-Total-Count": "1"})
    with serving(lambda r: Answer(json=silent) if r.method == "POST" else listed) as server:
        assert Forge(server.url, ADMIN).mint_token("bot", "muster-1", ["x"]).scopes is None


def test_a_token_whose_scopes_the_minting_tells_costs_one_call() -> None:
    with serving(always(status=201, json=told_token(1, "t", sha1=SECRET))) as server:
        Forge(server.url, ADMIN).mint_token("bot", "t", ["read:user"])
        assert len(server.requests) == 1


# Repetition


@pytest.mark.parametrize(
    "failure",
    [Answer(429), Answer(502), Answer(503), Answer(504), Answer(cut=True)],
    ids=["429", "502", "503", "504", "cut"],
)
def test_passing_failures_are_repeated(failure: Answer) -> None:
    with serving(in_turn(failure, failure, Answer(json=told_user()))) as server:
        assert Forge(server.url, ADMIN).whoami().login == "bot"
        assert len(server.requests) == 3


def test_an_answer_that_is_cut_short_is_asked_for_again() -> None:
    short = Answer(body=b'{"id": 7', headers={"Content-Length": "400"})

    def script(_: Request) -> Answer:
        return short if len(server.requests) == 1 else Answer(json=told_user())

    with serving(script) as server:
        forge = Forge(server.url, ADMIN, timeout=(1, 0.5))
        assert forge.whoami().login == "bot"


@pytest.mark.parametrize(
    "message",
    [
        "database is locked",
        "CreateUser: database is locked (5) (SQLITE_BUSY)",
        "Error 1213 (40001): Deadlock found when trying to get lock",
        "pq: sorry, too many clients already",
        "",  # of a forge in production, to all but administrators
    ],
)
@pytest.mark.parametrize("call", ["get", "change", "post"])
def test_what_a_busy_database_refuses_is_repeated(message: str, call: str) -> None:
    busy = Answer(500, {"message": message, "url": "http://forge/api/swagger"})
    made = told_user("bot", login_name="mark")
    failing = {"GET": "get", "DELETE": "change", "POST": "post"}
    refused: list[str] = []

    def script(request: Request) -> Answer:
        if failing[request.method] == call and len(refused) < 2:
            refused.append(request.method)
            return busy
        if request.method == "GET" and call == "post":
            return Answer(404, {"message": "not found"})
        return Answer(json=made)

    with serving(script) as server:
        forge = Forge(server.url, ADMIN)
        if call == "get":
            forge.whoami()
        elif call == "change":
            forge.purge_user("bot")
        else:
            forge.create_user("bot", email="b@x", password="p", login_name="mark", full_name="B")
        assert len(refused) == 2


def test_a_database_that_stays_busy_is_an_error_when_patience_ends() -> None:
    with serving(always(status=500, json={"message": "database is locked"})) as server:
        started = time.monotonic()
        with pytest.raises(ForgeError, match="500 database is locked"):
            Forge(server.url, ADMIN, patience=0.5).whoami()
        assert time.monotonic() - started < 3
        assert len(server.requests) > 1


def test_what_a_forge_refuses_is_not_repeated() -> None:
    with serving(always(status=500, json={"message": "broken"})) as server:
        with pytest.raises(ForgeError, match="500 broken"):
            Forge(server.url, ADMIN).whoami()
        assert len(server.requests) == 1


def test_repetition_ends_when_patience_does_and_shows_the_last_error() -> None:
    with serving(always(status=503, json={"message": "starting"})) as server:
        started = time.monotonic()
        with pytest.raises(ForgeError, match="503 starting"):
            Forge(server.url, ADMIN, patience=1).whoami()
        assert time.monotonic() - started < 3
        assert len(server.requests) > 1


def test_a_pause_that_the_forge_asks_for_is_kept() -> None:
    busy = Answer(429, {"message": "slow down"}, {"Retry-After": "1"})
    with serving(in_turn(busy, Answer(json=told_user()))) as server:
        started = time.monotonic()
        Forge(server.url, ADMIN).whoami()
        assert 1 <= time.monotonic() - started < 8


def test_a_pause_beyond_our_patience_is_an_error_at_once_that_tells_it() -> None:
    with serving(always(status=429, headers={"Retry-After": "3600"})) as server:
        started = time.monotonic()
        with pytest.raises(ForgeError, match="pause of 3600 s"):
            Forge(server.url, ADMIN).whoami()
        assert time.monotonic() - started < 2
        assert len(server.requests) == 1


def test_a_forge_that_never_answers_costs_no_more_than_its_timeout() -> None:
    done = threading.Event()

    def never(_: Request) -> Answer:
        done.wait(10)
        return Answer(cut=True)

    with serving(never) as server:
        with pytest.raises(ForgeUnreachableError, match="did not answer in time") as caught:
            Forge(server.url, ADMIN, timeout=(1, 0.2), patience=0).whoami()
        assert server.url in str(caught.value)
        done.set()


def test_a_post_that_took_effect_without_an_answer_is_not_repeated() -> None:
    made = told_user("bot", login_name="mark")

    def script(request: Request) -> Answer:
        return Answer(cut=True) if request.method == "POST" else Answer(json=made)

    with serving(script) as server:
        user = Forge(server.url, ADMIN).create_user(
            "bot", email="b@x", password="p", login_name="mark", full_name="Bot"
        )
        assert user.login_name == "mark"
        assert server.asked() == [("POST", "/api/v1/admin/users"), ("GET", "/api/v1/users/bot")]


def test_a_post_that_took_no_effect_is_repeated() -> None:
    answers = {"POST": [Answer(502), Answer(201, told_user())], "GET": [Answer(404, {})]}
    with serving(lambda request: answers[request.method].pop(0)) as server:
        Forge(server.url, ADMIN).create_user(
            "bot", email="b@x", password="p", login_name="mark", full_name="Bot"
        )
        assert [method for method, _ in server.asked()] == ["POST", "GET", "POST"]


def test_somebody_elses_account_is_not_taken_for_the_one_just_made() -> None:
    exists = Answer(422, {"message": "user already exists"})
    answers = {
        "POST": [Answer(cut=True), exists],
        "GET": [Answer(json=told_user(login_name="another's mark"))],
    }
    with (
        serving(lambda request: answers[request.method].pop(0)) as server,
        pytest.raises(ForgeError, match="user already exists"),
    ):
        Forge(server.url, ADMIN).create_user(
            "bot", email="b@x", password="p", login_name="mark", full_name="Bot"
        )


def test_a_token_whose_minting_got_no_answer_is_revoked_before_another_is_minted() -> None:
    tokens = {1: "kept"}
    minted = 0

    def script(request: Request) -> Answer:
        nonlocal minted
        if request.method == "POST":
            if request.json["name"] in tokens.values():
                return Answer(400, {"message": "access token name has been used already"})
            minted += 1
            tokens[1 + minted] = request.json["name"]
            told = told_token(1 + minted, request.json["name"], sha1=SECRET)
            return Answer(cut=True) if minted == 1 else Answer(201, told)
        if request.method == "DELETE":
            tokens.pop(int(request.path.rpartition("/")[2]))
            return Answer(204)
        listed = [told_token(number, name) for number, name in tokens.items()]
        return Answer(json=listed, headers={"X-Total-Count": str(len(listed))})

    with serving(script) as server:
        token = Forge(server.url, ADMIN).mint_token("bot", "muster-1", ["read:user"])
        assert (token.id, token.secret) == (3, SECRET)
        assert tokens == {1: "kept", 3: "muster-1"}


def test_a_removal_that_took_effect_without_an_answer_is_a_success() -> None:
    with serving(in_turn(Answer(cut=True), Answer(404, {"message": "not found"}))) as server:
        Forge(server.url, ADMIN).revoke_token("bot", 7)
        assert len(server.requests) == 2


def test_a_removal_of_what_was_gone_before_says_so() -> None:
    with serving(always(404, {"message": "not found"})) as server, pytest.raises(NotFoundError):
        Forge(server.url, ADMIN).revoke_token("bot", 7)


# Lists


def paged(total: int, at_most: int, *, tell_total: bool) -> Script:
    """A forge of so many accounts that lists no more than `at_most` a page."""

    def script(request: Request) -> Answer:
        limit = min(int(request.query["limit"][0]), at_most)
        start = (int(request.query["page"][0]) - 1) * limit
        listed = [told_user(f"user{n}") for n in range(start, min(start + limit, total))]
        headers = {"X-Total-Count": str(total)} if tell_total else {}
        return Answer(json=listed, headers=headers)

    return script


@pytest.mark.parametrize("total", [0, 1, 49, 50, 51, 120])
@pytest.mark.parametrize("at_most", [20, 50])
@pytest.mark.parametrize("tell_total", [True, False])
def test_a_list_is_read_to_its_end(total: int, at_most: int, *, tell_total: bool) -> None:
    with serving(paged(total, at_most, tell_total=tell_total)) as server:
        names = [user.login for user in Forge(server.url, ADMIN).users()]
        assert names == [f"user{n}" for n in range(total)]


def test_a_list_takes_one_call_a_page() -> None:
    with serving(paged(100, 50, tell_total=True)) as server:
        assert len(list(Forge(server.url, ADMIN).users())) == 100
        assert [request.query["page"] for request in server.requests] == [["1"], ["2"]]


def test_a_page_that_fails_is_asked_for_again_and_nothing_is_listed_twice() -> None:
    healthy = paged(70, 50, tell_total=True)

    def script(request: Request) -> Answer:
        return Answer(503) if len(server.requests) == 2 else healthy(request)

    with serving(script) as server:
        assert len(list(Forge(server.url, ADMIN).users())) == 70
        assert len(server.requests) == 3


# What the calls say


def test_every_change_of_an_account_keeps_its_mark_and_its_password_usable() -> None:
    with serving(always(json=told_user())) as server:
        Forge(server.url, ADMIN).edit_user("bot", login_name="mark", source_id=0, restricted=True)
        assert server.requests[0].json == {
            "login_name": "mark",
            "source_id": 0,
            "must_change_password": False,
            "restricted": True,
        }


def test_a_new_account_is_restricted_and_need_not_change_its_password() -> None:
    with serving(always(status=201, json=told_user())) as server:
        Forge(server.url, ADMIN).create_user(
            "bot", email="b@x", password="p", login_name="mark", full_name="Bot"
        )
        assert server.requests[0].json == {
            "username": "bot",
            "email": "b@x",
            "password": "p",
            "login_name": "mark",
            "full_name": "Bot",
            "restricted": True,
            "must_change_password": False,
            "send_notify": False,
        }


def test_who_is_no_collaborator_has_no_permission_even_where_everybody_may_read() -> None:
    def script(request: Request) -> Answer:
        if request.path.endswith("/permission"):
            return Answer(json={"permission": "read"})
        return Answer(404, {})

    with serving(script) as server:
        assert Forge(server.url, ADMIN).collaborator_permission("acme/app", "bot") is None


def test_removing_an_unknown_collaborator_says_that_it_is_gone() -> None:
    with (
        serving(always(status=422, json={"message": "user does not exist"})) as server,
        pytest.raises(NotFoundError, match="user does not exist"),
    ):
        Forge(server.url, ADMIN).remove_collaborator("acme/app", "bot")


@pytest.mark.parametrize(
    ("scopes", "normal"),
    [
        (["write:issue", "read:issue", "read:user"], {"write:issue", "read:user"}),
        (["read:user", "read:user", ""], {"read:user"}),
        (["all", "read:user"], {"all"}),
        (["all", "public-only"], {"all", "public-only"}),
        (["write:repository", "write:actions", "read:actions"], {"write:repository"}),
        (["read:repository", "write:actions"], {"read:repository", "write:actions"}),
        (
            [
                f"write:{category}"
                for category in (
                    *("activitypub", "admin", "issue", "misc", "notification"),
                    *("organization", "package", "repository", "user"),
                )
            ],
            {"all"},
        ),
        ([], set()),
    ],
)
def test_scopes_are_compared_as_the_forge_keeps_them(scopes: list[str], normal: set[str]) -> None:
    assert normalise_scopes(scopes) == normal


# Readiness


def test_waiting_ends_as_soon_as_the_forge_answers() -> None:
    starting = (Answer(502), Answer(body=b"<html>", headers={"Content-Type": "text/html"}))
    with serving(in_turn(*starting, Answer(json={"version": "1"}))) as server:
        Forge(server.url, ADMIN).wait_until_ready(10)
        assert len(server.requests) == 3


def test_waiting_needs_no_credentials_and_takes_a_forge_that_wants_a_sign_in_for_ready() -> None:
    with serving(always(status=403, json={"message": "sign in first"})) as server:
        Forge(server.url, ADMIN).wait_until_ready(10)
        assert [request.headers["Authorization"] for request in server.requests] == [None]


def test_waiting_in_vain_names_the_address_and_the_time() -> None:
    with pytest.raises(ForgeUnreachableError, match=r"http://127.0.0.1:9 .* within 1 s"):
        Forge("http://127.0.0.1:9", ADMIN).wait_until_ready(1)


# The administrator


def test_nothing_in_the_environment_means_no_administrator() -> None:
    assert Administrator.from_environment({"FORGE_ADMIN_PAT": "", "PATH": "/bin"}) is None


@pytest.mark.parametrize("pat", ["", SECRET])
@pytest.mark.parametrize(
    ("given", "missing"),
    [("FORGE_ADMIN_USER", "FORGE_ADMIN_PASS"), ("FORGE_ADMIN_PASS", "FORGE_ADMIN_USER")],
)
def test_half_a_pair_is_an_error_that_names_the_other_half(
    given: str, missing: str, pat: str
) -> None:
    with pytest.raises(ForgeError, match=f"{missing} is not"):
        Administrator.from_environment({given: "x", "FORGE_ADMIN_PAT": pat})


def test_a_pat_is_preferred_for_calls_as_it_costs_the_forge_no_hash() -> None:
    pair = {"FORGE_ADMIN_USER": "root", "FORGE_ADMIN_PASS": PASSWORD}
    both = Administrator.from_environment({**pair, "FORGE_ADMIN_PAT": f"{SECRET}\n"})
    assert both is not None
    assert both.api == Token(SECRET)
    one = Administrator.from_environment(pair)
    assert one is not None
    assert one.api == ADMIN


def test_an_administrator_without_any_credentials_cannot_be() -> None:
    with pytest.raises(ForgeError, match="or a PAT"):
        Administrator("root")


def test_an_account_without_administrators_rights_is_no_administrator() -> None:
    with (
        serving(always(json=told_user("eve", is_admin=False))) as server,
        pytest.raises(ForbiddenError, match="eve is not an administrator"),
    ):
        Forge(server.url, ADMIN).may_administer()


def test_a_pat_that_lacks_a_scope_is_found_before_any_change() -> None:
    lacking = "token does not have at least one of required scope(s): [write:admin]"

    def script(request: Request) -> Answer:
        if request.method == "GET":
            return Answer(json=told_user("root", is_admin=True))
        return Answer(403, {"message": lacking})

    with (
        serving(script) as server,
        pytest.raises(ForbiddenError, match=r"\[write:admin\]"),
    ):
        Forge(server.url, Token(SECRET)).may_administer()


# Minting

PAT_ONLY = Administrator(pat=SECRET)
PAIR = Administrator("root", PASSWORD)


@dataclass
class MintingForge:
    """A forge that knows which credentials it takes for minting."""

    pat_as_password: bool = False
    administrators_path: bool = False
    second_factor: bool = False
    passwords: bool = True

    def __call__(self, request: Request) -> Answer:
        auth = request.headers["Authorization"]
        by_pat = auth in {f"token {SECRET}", Basic("root", SECRET).header}
        if auth is None or not (self.passwords or by_pat):
            return Answer(401, {"message": "token is required"})
        known = by_pat or auth == BOT.header or (auth == ADMIN.header and not self.second_factor)
        if not known:
            return Answer(401, {"message": "invalid username, password or token"})
        if request.path == "/api/v1/user":
            return Answer(json=told_user("root", is_admin=True))
        if request.path.startswith("/api/v1/admin/users/root/tokens"):
            return Answer(json=[]) if self.administrators_path else Answer(404, body=b"Not found")
        refused = by_pat and not self.pat_as_password
        return Answer(401, {"message": "auth method not allowed"}) if refused else Answer(404, {})


def test_a_pat_mints_as_a_password_where_the_forge_takes_it() -> None:
    with serving(MintingForge(pat_as_password=True)) as server:
        assert minting_auth(server.url, PAT_ONLY, BOT) == Basic("root", SECRET)


def test_a_pat_mints_at_the_administrators_path_from_forgejo_16_on() -> None:
    with serving(MintingForge(administrators_path=True)) as server:
        auth = minting_auth(server.url, PAT_ONLY, BOT)
        assert auth == Token(SECRET)
        server.script = always(json=[])
        Forge(server.url, auth).tokens("bot")
        assert server.asked()[-1] == ("GET", "/api/v1/admin/users/bot/tokens")


def test_the_administrators_path_is_preferred_to_a_pat_as_a_password() -> None:
    with serving(MintingForge(pat_as_password=True, administrators_path=True)) as server:
        assert minting_auth(server.url, PAT_ONLY, BOT) == Token(SECRET)


def test_an_administrators_password_mints_where_the_pat_does_not() -> None:
    both = Administrator("root", PASSWORD, SECRET)
    with serving(MintingForge()) as server:
        assert minting_auth(server.url, both, BOT) == ADMIN


def test_an_administrators_password_alone_mints() -> None:
    with serving(MintingForge()) as server:
        assert minting_auth(server.url, PAIR, BOT) == ADMIN


@pytest.mark.parametrize("administrator", [PAT_ONLY, Administrator("root", PASSWORD, SECRET)])
def test_the_bots_own_password_mints_where_nothing_else_does(administrator: Administrator) -> None:
    with serving(MintingForge(second_factor=True)) as server:
        assert minting_auth(server.url, administrator, BOT) == BOT


@pytest.mark.parametrize(
    ("forge", "way"),
    [
        (MintingForge(pat_as_password=True), "the administrator's PAT, as a password"),
        (MintingForge(administrators_path=True), "the administrator's PAT, at the admin"),
        (MintingForge(), "the administrator's password"),
        (MintingForge(second_factor=True), "each bot user's own password"),
    ],
)
def test_the_way_of_minting_is_told_in_words(forge: MintingForge, way: str) -> None:
    with serving(forge) as server:
        assert minting_way(server.url, Administrator("root", PASSWORD, SECRET)).startswith(way)


def test_asking_how_to_mint_happens_once_for_all_threads_and_changes_nothing() -> None:
    with serving(MintingForge(pat_as_password=True)) as server:
        threads = [
            threading.Thread(target=minting_auth, args=(server.url, PAT_ONLY, Basic(f"b{n}", "p")))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.asked() == [
            ("GET", "/api/v1/user"),
            ("GET", "/api/v1/admin/users/root/tokens"),
            ("DELETE", f"/api/v1/users/root/tokens/{2**63 - 1}"),
        ]


@pytest.mark.parametrize("administrator", [PAT_ONLY, PAIR, Administrator("root", PASSWORD, SECRET)])
def test_nobody_mints_at_a_forge_that_takes_no_passwords_and_no_pat_for_it(
    administrator: Administrator,
) -> None:
    """Forgejo 15 with `ENABLE_BASIC_AUTHENTICATION = false`."""
    with serving(MintingForge(passwords=False)) as server:
        for ask in (
            lambda: minting_auth(server.url, administrator, BOT),
            lambda: minting_way(server.url, administrator),
        ):
            with pytest.raises(CannotMintError, match="ENABLE_BASIC_AUTHENTICATION") as caught:
                ask()
            assert PASSWORD not in shown(caught.value)
        assert {method for method, _ in server.asked()} <= {"GET", "DELETE"}


@pytest.mark.parametrize(
    "forge",
    [
        MintingForge(passwords=False, administrators_path=True),
        MintingForge(passwords=False, pat_as_password=True),
    ],
)
def test_a_pat_alone_is_enough_where_the_forge_mints_by_it(forge: MintingForge) -> None:
    """Forgejo 16 and Gitea."""
    with serving(forge) as server:
        assert minting_way(server.url, PAT_ONLY).startswith("the administrator's PAT")


@pytest.mark.parametrize(
    ("administrator", "answer", "expected"),
    [
        (PAIR, Answer(json={"id": 1, "full_name": "a/b", "default_branch": "main"}), False),
        (PAIR, Answer(401, {"message": "invalid provided OTP"}), True),
        (PAIR, Answer(403, {"message": "you must enable two-factor authentication"}), True),
        (PAIR, Answer(404, {"message": "not found"}), True),  # Gitea 1.26, of private repositories
        (PAT_ONLY, Answer(500), True),
    ],
)
def test_a_password_that_is_enough_shows_that_no_second_factor_is_required(
    administrator: Administrator, answer: Answer, *, expected: bool
) -> None:
    if isinstance(answer.json, dict) and "id" in answer.json:
        answer.json |= {"private": True, "archived": False, "empty": False}
    with serving(lambda _: answer) as server:
        found = may_require_second_factor(server.url, administrator, "a/b")
    assert found is expected


@pytest.mark.parametrize(
    ("version", "limits", "reserves"),
    [
        ("7.0.16+gitea-1.21.11", False, True),
        ("9.0.3+gitea-1.22.0", False, True),
        ("10.0.0+gitea-1.22.0", False, False),
        ("15.0.3+gitea-1.22.0", True, False),
        ("16.0.0-dev-123-0a1b2c3d+gitea-1.22.0", True, False),
        ("1.22.6", False, True),
        ("1.26.0", False, False),
        ("development", False, False),
    ],
)
def test_what_a_forge_can_is_known_by_its_version(
    version: str, *, limits: bool, reserves: bool
) -> None:
    assert versions.limits_tokens(version) is limits
    assert versions.reserves_more_names(version) is reserves


def test_a_token_is_minted_for_repositories() -> None:
    limit = [{"id": 1, "name": "app", "owner": "acme", "full_name": "acme/app"}]
    told = told_token(3, "t", sha1=SECRET, repositories=limit)
    with serving(always(status=201, json=told)) as server:
        token = Forge(server.url, ADMIN).mint_token("bot", "t", ["read:issue"], ["acme/app"])
        assert token.repositories == ("acme/app",)
        assert server.requests[0].json["repositories"] == [{"owner": "acme", "name": "app"}]
        Forge(server.url, ADMIN).mint_token("bot", "t", ["read:issue"])
        assert "repositories" not in server.requests[1].json


LIMITED = "token does not have at least one of required scope(s): [read:user]"


def test_a_token_that_is_limited_to_repositories_works_and_does_not_show_its_account() -> None:
    with serving(always(403, {"message": LIMITED})) as server:
        assert Forge(server.url, Token(SECRET)).whoami_if_shown() is None
        server.script = always(403, {"message": "This account is prohibited from signing in"})
        with pytest.raises(ForbiddenError, match="prohibited"):
            Forge(server.url, Token(SECRET)).whoami_if_shown()


# What stands between


@pytest.mark.parametrize("status", [401, 403])
def test_an_access_proxys_refusal_is_not_taken_for_the_forges(status: int) -> None:
    page = Answer(status, body=b"<html>Log in", headers={"Content-Type": "text/html"})
    with serving(lambda _: page) as server:
        with pytest.raises(ForgeError, match="access proxy in front of the forge") as caught:
            Forge(server.url, Token(SECRET)).whoami()
        assert not isinstance(caught.value, (UnauthorizedError, ForbiddenError))
        assert not Forge(server.url, None).answers()


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("https://login.example.org/oauth2/start?rd=x", "access proxy"),
        ("https://forge.example.org/git/api/v1/user", "use that address"),
    ],
)
def test_a_redirect_to_a_login_is_told_from_a_forge_that_moved(location: str, advice: str) -> None:
    with (
        serving(always(status=302, headers={"Location": location})) as server,
        pytest.raises(ForgeError, match=advice),
    ):
        Forge(server.url, Token(SECRET)).whoami()


@pytest.mark.parametrize(
    ("password", "said", "shown_message"),
    [
        ("administrator", "administrators only, administrator", "administrators only, ***"),
        ("administrator", "you are no%20administrator", "you are no%20***"),
        ("Secret-7", "xSecret-7y", "x***y"),
        ("user", "the user is superuser", "a message that may hold a credential, and is not shown"),
        ("root", "Root: no", "a message that may hold a credential, and is not shown"),
        ("root", "the roots of it", "the roots of it"),
    ],
)
def test_a_message_masks_whole_secrets_and_gives_no_short_one_away(
    password: str, said: str, shown_message: str
) -> None:
    with serving(always(400, {"message": said})) as server, pytest.raises(ForgeError) as caught:
        Forge(server.url, Basic("boss", password)).whoami()
    assert caught.value.message == shown_message


def test_the_clock_of_a_forge_that_wants_everybody_to_sign_in_is_read() -> None:
    """`REQUIRE_SIGNIN_VIEW`: anonymous calls are refused, with a date."""
    refusal = always(403, {"message": "Only signed in user is allowed to call APIs."})
    with serving(refusal) as server:
        assert abs((Forge(server.url, None).clock() - datetime.now(UTC)).total_seconds()) < 5


def test_a_pat_that_the_forge_does_not_know_is_an_error_rather_than_a_way() -> None:
    with serving(MintingForge()) as server, pytest.raises(UnauthorizedError):
        minting_auth(server.url, Administrator(pat="f" * 40), BOT)


# Threads


def test_one_client_serves_several_threads() -> None:
    with serving(always(json=told_user())) as server:
        forge = Forge(server.url, ADMIN)
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                for _ in range(25):
                    forge.whoami()
            except ForgeError as error:
                failed.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(server.requests) == 100
