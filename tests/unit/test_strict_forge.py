import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from scripted_server import Answer, Request, Server, serving
from strict_forge import StrictForge, template

PAT = "0123456789abcdef0123456789abcdef01234567"
TOKENS = "/api/v1/users/bot/tokens"


def echo(request: Request) -> Answer:
    """Answer with what arrived."""
    arrived = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "json": request.json,
        "authorization": request.headers["Authorization"],
    }
    return Answer(201, arrived, {"X-Total-Count": "7"})


@pytest.fixture
def upstream() -> Iterator[Server]:
    with serving(echo) as server:
        yield server


@pytest.fixture
def strict(upstream: Server) -> Iterator[StrictForge]:
    with StrictForge(upstream.url) as proxy:
        yield proxy


def test_calls_pass_with_all_that_they_carry_and_so_do_their_answers(strict: StrictForge) -> None:
    answer = requests.post(
        f"{strict.url}/api/v1/admin/users?a=1", json={"b": 2}, auth=("root", "word"), timeout=5
    )
    assert answer.status_code == 201
    assert answer.headers["X-Total-Count"] == "7"
    assert answer.json() == {
        "method": "POST",
        "path": "/api/v1/admin/users",
        "query": {"a": ["1"]},
        "json": {"b": 2},
        "authorization": "Basic cm9vdDp3b3Jk",
    }


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("auth", [("root", PAT), (PAT, "x-oauth-basic"), (PAT, "")])
@pytest.mark.parametrize("path", [TOKENS, f"{TOKENS}/7", f"{TOKENS}?page=1"])
def test_a_token_as_password_mints_nothing(
    upstream: Server, strict: StrictForge, method: str, auth: tuple[str, str], path: str
) -> None:
    answer = requests.request(method, strict.url + path, auth=auth, timeout=5)
    assert answer.status_code == 401
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "auth"),
    [
        (TOKENS, ("root", "A-Real-Passw0rd")),
        ("/api/v1/user", ("root", PAT)),
        ("/acme/app.git/info/refs", ("root", PAT)),
        ("/api/v1/admin/users/bot", ("root", PAT)),
    ],
)
def test_everything_else_passes(strict: StrictForge, path: str, auth: tuple[str, str]) -> None:
    assert requests.get(strict.url + path, auth=auth, timeout=5).status_code == 201


def test_without_strictness_a_token_as_password_passes(upstream: Server) -> None:
    with StrictForge(upstream.url, strict=False) as lenient:
        assert requests.get(lenient.url + TOKENS, auth=("root", PAT), timeout=5).ok


def test_a_dropped_answer_comes_after_the_effect(upstream: Server, strict: StrictForge) -> None:
    strict.drop_answers("POST", "/users/{user}/tokens")
    with pytest.raises(requests.ConnectionError):
        requests.post(strict.url + TOKENS, json={}, timeout=5)
    assert len(upstream.requests) == 1
    assert requests.post(strict.url + TOKENS, json={}, timeout=5).status_code == 201


def test_a_refused_call_does_not_reach_the_forge(upstream: Server, strict: StrictForge) -> None:
    strict.refuse("GET", "/user", 503, times=2)
    statuses = [requests.get(f"{strict.url}/api/v1/user", timeout=5).status_code for _ in range(3)]
    assert statuses == [503, 503, 201]
    assert len(upstream.requests) == 1


def test_calls_are_counted_by_method_and_kind(strict: StrictForge) -> None:
    for user in ("one", "two"):
        requests.get(f"{strict.url}/api/v1/users/{user}", timeout=5)
    requests.delete(f"{strict.url}{TOKENS}/7", timeout=5)
    assert dict(strict.calls) == {
        ("GET", "/users/{user}"): 2,
        ("DELETE", "/users/{user}/tokens/{id}"): 1,
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/version", "/version"),
        ("/api/v1/admin/users?page=2", "/admin/users"),
        ("/api/v1/admin/users/bot/repos", "/admin/users/{user}/repos"),
        ("/git/api/v1/repos/acme/app", "/repos/{owner}/{repo}"),
        (
            "/api/v1/repos/users/tokens/collaborators/bot/permission",
            "/repos/{owner}/{repo}/collaborators/{user}/permission",
        ),
        ("/acme/app.git/info/refs?service=x", "/acme/app.git/info/refs"),
    ],
)
def test_names_in_a_path_are_replaced_by_what_they_stand_for(path: str, expected: str) -> None:
    assert template(path) == expected


def test_a_body_in_chunks_arrives_whole(upstream: Server, strict: StrictForge) -> None:
    """Git sends a large push like that."""
    body = iter([b'{"one":', b" 1", b"}"])
    answer = requests.post(f"{strict.url}/api/v1/user", data=body, timeout=5)
    assert answer.json()["json"] == {"one": 1}
    assert "Transfer-Encoding" not in upstream.requests[0].headers


def test_calls_at_the_same_time_do_not_wait_for_each_other(strict: StrictForge) -> None:
    """One connection that says nothing must not keep the others waiting."""
    port = int(urlsplit(strict.url).port or 0)
    with socket.create_connection(("127.0.0.1", port)):
        failed: list[Exception] = []

        def ask() -> None:
            try:
                requests.get(f"{strict.url}/api/v1/user", timeout=5)
            except requests.RequestException as error:
                failed.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert strict.calls["GET", "/user"] == 8


def test_a_forge_under_a_sub_path_keeps_it(upstream: Server) -> None:
    with StrictForge(f"{upstream.url}/git/") as proxy:
        assert requests.get(f"{proxy.url}/api/v1/user", timeout=5).json()["path"] == (
            "/git/api/v1/user"
        )
