"""The gateway between real sockets: a client as Claude Code is one, and a scripted endpoint."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from messages_api import Exchange, Script, Server, end, error, event, serving, start, text, whole
from runtime.gateway import BODY_LIMIT, Gateway, Upstream, Usage

KEY = "sk-real-0123456789"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
ASKED = {"model": "qwen", "messages": [{"role": "user", "content": "hello"}]}
STREAMED = {**ASKED, "stream": True}
CONTEXT = "request (40000 tokens) exceeds the available context size (32768 tokens), try it"
NEVER = 30.0


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - what JSON is
        return json.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        found = self.json["error"]
        return found["type"], found["message"]


@dataclass
class Client:
    gateway: Gateway
    headers: dict[str, str] = field(default_factory=dict)

    def begin(
        self,
        body: object = STREAMED,
        path: str = "/v1/messages",
        method: str = "POST",
        **headers: str,
    ) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=10)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, data, {"x-api-key": self.gateway.key} | named)
        return connection

    def ask(self, body: object = ASKED, path: str = "/v1/messages", **kinds: str) -> Answer:
        connection = self.begin(body, path, **kinds)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer


@contextmanager
def gateway(
    *scripts: Script,
    key: Callable[[], str] = lambda: KEY,
    tokens: int | None = None,
    anthropic: bool = False,
    ping_seconds: float = NEVER,
    first_byte_seconds: float = NEVER,
) -> Iterator[tuple[Client, Server]]:
    with (
        serving(*scripts) as server,
        Gateway(
            Upstream(server.url, key, anthropic),
            tokens=tokens,
            ping_seconds=ping_seconds,
            first_byte_seconds=first_byte_seconds,
        ) as opened,
    ):
        yield Client(opened), server


def answering(status: int, body: object, **headers: str) -> Script:
    return lambda exchange: exchange.answer(status, body, **headers)


def streaming(*parts: bytes) -> Script:
    return lambda exchange: exchange.stream(*parts)


HELLO = answering(200, whole(input_tokens=10, output_tokens=5))
GREETING = (start(input_tokens=10), text("hello"), end(output_tokens=5))


def read_until(response: http.client.HTTPResponse, marker: bytes, times: int = 1) -> bytes:
    """Read what comes, up to a marker; the connection's time-out bounds the wait."""
    read = b""
    while read.count(marker) < times:
        chunk = response.read1(65536)
        assert chunk, f"the stream ended without {marker!r}: {read!r}"
        read += chunk
    return read


# What may pass


@pytest.mark.parametrize("key", ["", "wrong", KEY, "\xff"])
def test_a_client_without_the_key_of_the_session_is_refused(key: str) -> None:
    with gateway(HELLO) as (client, server):
        answer = client.ask(x_api_key=key)
    assert (answer.status, answer.error[0]) == (401, "authentication_error")
    assert server.requests == []


def test_the_key_of_the_session_may_come_as_a_bearer_token() -> None:
    with gateway(HELLO) as (client, _):
        token = f"Bearer {client.gateway.key}"
        assert client.ask(x_api_key="", Authorization=token).status == 200


def test_each_gateway_has_a_key_of_its_own() -> None:
    with gateway(HELLO) as (one, _), gateway(HELLO) as (other, _):
        assert one.gateway.key != other.gateway.key


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("GET", "/v1/models"),
        ("GET", "/props"),
        ("POST", "/"),
        ("POST", "/v1/complete"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/messages/../models"),
        ("DELETE", "/v1/messages"),
        ("HEAD", "/"),
    ],
)
def test_nothing_but_the_messages_api_is_offered(method: str, path: str) -> None:
    with gateway(HELLO) as (client, server):
        answer = client.ask(path=path, method=method)
    assert answer.status == 404
    assert method == "HEAD" or answer.error[0] == "not_found_error"
    assert server.requests == []


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/messages/count_tokens?beta=true"])
def test_the_query_is_kept(path: str) -> None:
    with gateway(HELLO) as (client, server):
        client.ask(path=path)
    assert server.paths == [path]


def test_a_request_over_the_limit_is_refused() -> None:
    with gateway(HELLO) as (client, server):
        answer = client.ask(b'"' + b"x" * BODY_LIMIT + b'"')
    assert (answer.status, answer.error[0]) == (413, "request_too_large")
    assert server.requests == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_request_that_is_not_a_json_object_is_refused(body: object) -> None:
    with gateway(HELLO) as (client, server):
        answer = client.ask(body)
    assert (answer.status, answer.error[0]) == (400, "invalid_request_error")
    assert server.requests == []


# The real key


def test_an_own_endpoint_gets_the_key_in_both_headers() -> None:
    with gateway(HELLO) as (client, server):
        client.ask()
    headers = server.requests[0].headers
    assert headers.get_all("x-api-key") == [KEY]
    assert headers.get_all("Authorization") == [f"Bearer {KEY}"]


def test_the_anthropic_api_gets_an_api_key_as_x_api_key() -> None:
    with gateway(HELLO, anthropic=True) as (client, server):
        client.ask(x_api_key="", Authorization=f"Bearer {client.gateway.key}")
    headers = server.requests[0].headers
    assert headers.get_all("x-api-key") == [KEY]
    assert headers.get_all("Authorization") is None


def test_the_anthropic_api_gets_an_oauth_token_as_bearer() -> None:
    token = "sk-ant-oat01-0123456789"
    with gateway(HELLO, anthropic=True, key=lambda: token) as (client, server):
        client.ask(anthropic_beta="other-2025-01-01")
    headers = server.requests[0].headers
    assert headers.get_all("Authorization") == [f"Bearer {token}"]
    assert headers.get_all("x-api-key") is None
    assert headers["anthropic-beta"] == "other-2025-01-01,oauth-2025-04-20"


def test_the_key_is_read_for_each_request() -> None:
    keys = iter(["first-key", "second-key"])
    with gateway(HELLO, key=lambda: next(keys)) as (client, server):
        client.ask()
        client.ask()
    assert [each.headers["x-api-key"] for each in server.requests] == ["first-key", "second-key"]


def test_a_key_that_cannot_be_read_is_a_refusal() -> None:
    def broken() -> str:
        raise LookupError("cannot read ANTHROPIC_API_KEY_FILE: No such file or directory")

    with gateway(HELLO, key=broken) as (client, server):
        answer = client.ask()
        failure = client.gateway.failure
    assert (answer.status, answer.error[0]) == (401, "authentication_error")
    assert failure is not None
    assert (failure.kind, failure.message) == ("refused", answer.error[1])
    assert server.requests == []


@pytest.mark.parametrize("body", [ASKED, STREAMED])
def test_an_error_never_shows_the_key(body: object) -> None:
    refusal = answering(401, error("authentication_error", f"bad key {KEY}"))
    with gateway(refusal) as (client, _):
        answer = client.ask(body)
        failure = client.gateway.failure
    assert answer.error == ("authentication_error", "bad key [redacted]")
    assert failure is not None
    assert KEY not in failure.message


# Headers


def test_anthropic_headers_are_passed_on() -> None:
    with gateway(HELLO) as (client, server):
        client.ask(anthropic_version="2023-06-01", anthropic_beta="a,b", User_Agent="claude-cli/2")
    headers = server.requests[0].headers
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["anthropic-beta"] == "a,b"
    assert headers["User-Agent"] == "claude-cli/2"


@pytest.mark.parametrize(
    "name", ["Cookie", "Proxy-Authorization", "X-Forwarded-For", "Upgrade", "TE", "X-Other"]
)
def test_other_headers_are_not_passed_on(name: str) -> None:
    with gateway(HELLO) as (client, server):
        client.ask(**{name: "something"})
    assert name not in server.requests[0].headers


def test_a_compressed_answer_is_not_asked_for() -> None:
    with gateway(HELLO) as (client, server):
        client.ask(Accept_Encoding="gzip, br")
    assert server.requests[0].headers.get_all("Accept-Encoding") == ["identity"]


def test_cookies_of_the_endpoint_are_neither_passed_back_nor_kept() -> None:
    baked = answering(200, whole(), Set_Cookie="session=1", request_id="req_1")
    with gateway(baked) as (client, server):
        answer = client.ask()
        client.ask()
    assert answer.headers["Set-Cookie"] is None
    assert answer.headers["request-id"] == "req_1"
    assert "Cookie" not in server.requests[1].headers


def test_a_redirect_is_neither_followed_nor_passed_back() -> None:
    with serving(HELLO) as other:
        moved = answering(307, b"", Location=f"{other.url}/v1/messages")
        with gateway(moved) as (client, _):
            answer = client.ask()
            failure = client.gateway.failure
    assert answer.status == 502
    assert answer.headers["Location"] is None
    assert failure is not None
    assert "base_url" in failure.message
    assert other.requests == []


# System messages


TALK = {
    **ASKED,
    "messages": [*ASKED["messages"], {"role": "system", "content": "on linux"}],
}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_an_own_endpoint_gets_no_system_message_within_the_messages(path: str) -> None:
    with gateway(HELLO) as (client, server):
        client.ask(TALK, path=path)
    (message,) = server.requests[0].json["messages"]
    assert message["role"] == "user"
    assert "on linux" in message["content"][1]["text"]


def test_the_anthropic_api_gets_the_system_message() -> None:
    with gateway(HELLO, anthropic=True) as (client, server):
        client.ask(TALK)
    assert server.requests[0].json == TALK


def test_a_request_with_nothing_to_fold_passes_byte_by_byte() -> None:
    body = b'{ "model":"qwen",  "messages":[{"role":"user","content":"h\\u00e9"}] }'
    with gateway(HELLO) as (client, server):
        client.ask(body)
    assert server.requests[0].body == body


@pytest.mark.parametrize("messages", [None, "text", ["text"], [None]])
def test_a_request_of_another_form_is_left_to_the_endpoint(messages: object) -> None:
    with gateway(HELLO) as (client, server):
        client.ask({"messages": messages})
    assert server.requests[0].json == {"messages": messages}


# Streams


def test_a_stream_passes_as_it_comes() -> None:
    first_read = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.write(GREETING[0] + b"event: content")
        assert first_read.wait(10)
        exchange.write(b"_block_stop\ndata: {}\n\n" + GREETING[2])
        exchange.end_stream()

    with gateway(script) as (client, _):
        response = client.begin().getresponse()
        read = read_until(response, b"event: content")
        first_read.set()
        read += response.read()
    assert read == GREETING[0] + b"event: content_block_stop\ndata: {}\n\n" + GREETING[2]


def test_a_silent_endpoint_is_bridged_by_pings() -> None:
    go_on = threading.Event()

    def script(exchange: Exchange) -> None:
        assert go_on.wait(10)
        exchange.stream(*GREETING)

    with gateway(script, ping_seconds=0.02) as (client, _):
        response = client.begin().getresponse()
        pings = read_until(response, PING, times=3)
        go_on.set()
        rest = response.read()
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert (pings + rest).replace(PING, b"") == b"".join(GREETING)


def test_an_endpoint_that_sends_only_headers_is_bridged_by_pings() -> None:
    go_on = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.begin_stream()
        assert go_on.wait(10)
        for part in GREETING:
            exchange.write(part)
        exchange.end_stream()

    with gateway(script, ping_seconds=0.02) as (client, _):
        response = client.begin().getresponse()
        read_until(response, PING)
        go_on.set()
        assert response.read().replace(PING, b"") == b"".join(GREETING)


def test_a_stream_that_falls_silent_is_bridged_between_events_only() -> None:
    go_on = threading.Event()
    half_sent = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.write(GREETING[0])
        assert go_on.wait(10)
        exchange.write(GREETING[1][:10])
        half_sent.set()
        assert not exchange.wait_until_closed(0.1)
        exchange.write(GREETING[1][10:] + GREETING[2])
        exchange.end_stream()

    with gateway(script, ping_seconds=0.02) as (client, _):
        response = client.begin().getresponse()
        assert read_until(response, PING).startswith(GREETING[0])
        go_on.set()
        assert half_sent.wait(10)
        rest = response.read()
    assert GREETING[1] + GREETING[2] in rest


def test_an_answer_in_one_piece_gets_no_pings() -> None:
    def script(exchange: Exchange) -> None:
        assert not exchange.wait_until_closed(0.1)
        exchange.answer(200, whole())

    with gateway(script, ping_seconds=0.02) as (client, _):
        assert client.ask().json == whole()


def test_a_stream_that_is_cut_is_cut_for_the_client_too() -> None:
    def script(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.write(GREETING[0])
        exchange.cut()

    with gateway(script) as (client, _):
        connection = client.begin()
        raw = b"".join(iter(lambda: connection.sock.recv(65536), b""))
        failure = client.gateway.failure
    assert raw.endswith(GREETING[0] + b"\r\n")
    assert failure is not None
    assert failure.kind == "unreachable"


def test_a_stream_that_ends_early_is_a_failure() -> None:
    with gateway(streaming(GREETING[0], GREETING[1])) as (client, _):
        response = client.begin().getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        failure = client.gateway.failure
    assert failure is not None
    assert "without a full answer" in failure.message


def test_an_error_within_a_stream_is_passed_and_noted() -> None:
    busy = event("error", **error("overloaded_error", "Overloaded"))
    with gateway(streaming(GREETING[0], busy)) as (client, _):
        answer = client.ask(STREAMED)
        failure = client.gateway.failure
    assert answer.body == GREETING[0] + busy
    assert failure is not None
    assert failure.kind == "overloaded"


# Failures of the endpoint


def late(script: Script) -> tuple[Script, threading.Event]:
    """Return a script that waits for an event first."""
    go_on = threading.Event()

    def wait(exchange: Exchange) -> None:
        assert go_on.wait(10)
        script(exchange)

    return wait, go_on


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"type": "exceed_context_size_error", "message": CONTEXT}}, "context"),
        (401, error("authentication_error", "Invalid API Key"), "refused"),
        (404, error("not_found_error", "model: qwen"), "model"),
        (429, error("rate_limit_error", "slow down"), "rate"),
        (503, {"error": {"type": "unavailable_error", "message": "Loading model"}}, "loading"),
        (529, error("overloaded_error", "Overloaded"), "overloaded"),
    ],
)
@pytest.mark.parametrize("asked", [ASKED, STREAMED])
def test_an_error_answer_is_passed_unchanged_and_classified(
    status: int, body: object, kind: str, asked: object
) -> None:
    with gateway(answering(status, body, Retry_After="7")) as (client, _):
        answer = client.ask(asked)
        failure = client.gateway.failure
    assert (answer.status, answer.json) == (status, body)
    assert answer.headers["Retry-After"] == "7"
    assert failure is not None
    assert (failure.kind, failure.status, failure.retry_after) == (kind, status, 7.0)


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, CONTEXT, "invalid_request_error"),
        (401, "Invalid API Key", "authentication_error"),
        (503, "Loading model", "overloaded_error"),
    ],
)
def test_an_error_after_pings_is_sent_as_an_event(status: int, words: str, kind: str) -> None:
    script, go_on = late(answering(status, {"error": {"code": status, "message": words}}))
    with gateway(script, ping_seconds=0.02) as (client, _):
        response = client.begin().getresponse()
        read_until(response, PING)
        go_on.set()
        rest = response.read().replace(PING, b"")
    assert rest.startswith(b"event: error\ndata: ")
    assert json.loads(rest.partition(b"data: ")[2]) == error(kind, words)


@pytest.mark.parametrize(("status", "advice"), [(401, "false"), (503, None), (500, None)])
def test_only_errors_that_another_attempt_does_not_cure_forbid_it(
    status: int, advice: str | None
) -> None:
    with gateway(answering(status, {})) as (client, _):
        assert client.ask().headers["x-should-retry"] == advice


def test_an_endpoint_that_does_not_run_is_unreachable() -> None:
    with serving(HELLO) as server:
        pass
    with Gateway(Upstream(server.url, lambda: KEY, anthropic=False), tokens=None) as opened:
        answer = Client(opened).ask()
        failure = opened.failure
    assert (answer.status, answer.error[0]) == (502, "api_error")
    assert failure is not None
    assert (failure.kind, failure.status) == ("unreachable", None)
    assert failure.message == f"cannot connect to 127.0.0.1:{server.port}: Connection refused"


def test_an_endpoint_whose_name_is_not_found_is_unreachable() -> None:
    nowhere = Upstream("http://nowhere.invalid:8080", lambda: KEY, anthropic=False)
    with Gateway(nowhere, tokens=None) as opened:
        Client(opened).ask()
        failure = opened.failure
    assert failure is not None
    assert failure.kind == "unreachable"
    assert failure.message.startswith("cannot connect to nowhere.invalid:8080: ")


def test_an_endpoint_that_closes_without_an_answer_is_unreachable() -> None:
    with gateway(Exchange.cut) as (client, _):
        assert client.ask().status == 502
        failure = client.gateway.failure
    assert failure is not None
    assert failure.kind == "unreachable"


@pytest.mark.parametrize("ping_seconds", [NEVER, 0.02])
def test_an_endpoint_that_stays_silent_is_given_up(ping_seconds: float) -> None:
    script, go_on = late(HELLO)
    with gateway(script, ping_seconds=ping_seconds, first_byte_seconds=0.2) as (client, _):
        answer = client.ask(STREAMED)
        failure = client.gateway.failure
        go_on.set()
    assert b"did not answer in time" in answer.body
    assert failure is not None
    assert failure.kind == "unreachable"


def test_the_address_in_a_message_has_no_password() -> None:
    hidden = Upstream("http://me:password@nowhere.invalid:80", lambda: KEY, anthropic=False)
    with Gateway(hidden, tokens=None) as opened:
        assert b"password" not in Client(opened).ask().body


def test_a_success_clears_the_failure() -> None:
    with gateway(answering(503, {}), HELLO) as (client, _):
        client.ask()
        assert client.gateway.failure is not None
        client.ask()
        assert client.gateway.failure is None


def test_counting_tokens_changes_neither_usage_nor_failure() -> None:
    with gateway(answering(404, {}), answering(200, {"input_tokens": 7})) as (client, _):
        for _ in range(2):
            client.ask(path="/v1/messages/count_tokens")
        assert client.gateway.failure is None
        assert client.gateway.usage == Usage()


# Tokens


def test_tokens_of_streams_and_whole_answers_are_added() -> None:
    with gateway(streaming(*GREETING), HELLO, answering(503, {})) as (client, _):
        client.ask(STREAMED)
        client.ask()
        client.ask()
        usage = client.gateway.usage
    assert usage == Usage(requests=3, input_tokens=20, output_tokens=10)
    assert usage.total == 30


def test_a_used_up_budget_ends_the_session() -> None:
    with gateway(HELLO, tokens=30) as (client, server):
        statuses = [client.ask().status for _ in range(3)]
        answer = client.ask()
        failure = client.gateway.failure
    assert statuses == [200, 200, 400]
    assert answer.error == ("invalid_request_error", "the token budget of this task is used up")
    assert answer.headers["x-should-retry"] == "false"
    assert failure is not None
    assert failure.kind == "budget"
    assert len(server.requests) == 2


def test_tokens_can_be_counted_without_a_budget() -> None:
    with gateway(HELLO, tokens=0) as (client, _):
        assert client.ask(path="/v1/messages/count_tokens").status == 200


# Ends


@pytest.mark.parametrize("sent", [b"", GREETING[0]])
def test_a_client_that_leaves_ends_the_request_at_the_endpoint(sent: bytes) -> None:
    asked, left = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        if sent:
            exchange.begin_stream()
            exchange.write(sent)
        asked.set()
        if exchange.wait_until_closed():
            left.set()

    with gateway(script) as (client, _):
        connection = client.begin()
        if sent:
            assert connection.getresponse().read1() == sent
        assert asked.wait(10)
        connection.close()
        assert left.wait(10)
        assert client.gateway.failure is None


def test_a_client_that_leaves_during_pings_ends_the_request_at_the_endpoint() -> None:
    left = threading.Event()

    def script(exchange: Exchange) -> None:
        if exchange.wait_until_closed():
            left.set()

    with gateway(script, ping_seconds=0.02) as (client, _):
        connection = client.begin()
        response = connection.getresponse()
        read_until(response, PING)
        response.close()
        connection.close()
        assert left.wait(10)
        assert client.gateway.failure is None


def test_a_client_that_leaves_clears_no_failure() -> None:
    asked, left = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        asked.set()
        if exchange.wait_until_closed():
            left.set()

    with gateway(answering(503, {}), script) as (client, _):
        client.ask()
        connection = client.begin()
        assert asked.wait(10)
        connection.close()
        assert left.wait(10)
    assert client.gateway.usage.requests == 2
    assert client.gateway.failure is not None


def test_closing_the_gateway_ends_its_requests() -> None:
    asked, left = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        asked.set()
        if exchange.wait_until_closed():
            left.set()

    with serving(script) as server:
        with Gateway(Upstream(server.url, lambda: KEY, anthropic=False), tokens=None) as opened:
            connection = Client(opened).begin()
            assert asked.wait(10)
        assert left.wait(10)
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            Client(opened).begin()


def test_only_loopback_is_served() -> None:
    with gateway(HELLO) as (client, _):
        connection = http.client.HTTPConnection("127.0.0.2", client.gateway.port, timeout=10)
        with pytest.raises(ConnectionRefusedError):
            connection.connect()


# Proxies


def test_a_private_address_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with gateway(HELLO, anthropic=True) as (client, _):
        assert client.ask().status == 200


@pytest.mark.parametrize("anthropic", [True, False])
def test_any_endpoint_is_reached_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, *, anthropic: bool
) -> None:
    with serving(HELLO) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        upstream = Upstream("http://api.invalid", lambda: KEY, anthropic=anthropic)
        with Gateway(upstream, tokens=None) as opened:
            assert Client(opened).ask().status == 200
    assert proxy.paths == ["http://api.invalid/v1/messages"]


@pytest.mark.parametrize(
    ("url", "proxy", "message"),
    [
        ("http://api.invalid", "http://127.0.0.1:1", "cannot connect to the proxy 127.0.0.1:1: "),
        ("https://api.invalid", None, "the proxy does not connect to api.invalid:443 (HTTP 501)"),
    ],
)
def test_a_proxy_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None, message: str
) -> None:
    with serving(HELLO) as refusing:  # it knows no CONNECT
        monkeypatch.setenv("http_proxy", proxy or "")
        monkeypatch.setenv("https_proxy", refusing.url)
        upstream = Upstream(url, lambda: KEY, anthropic=False)
        with Gateway(upstream, tokens=None) as opened:
            Client(opened).ask()
            assert str(opened.failure and opened.failure.message).startswith(message)


def test_no_proxy_is_used_for_a_host_that_the_environment_excludes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(HELLO) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "api.invalid")
        api = Upstream("http://api.invalid", lambda: KEY, anthropic=True)
        with Gateway(api, tokens=None) as opened:
            assert Client(opened).ask().status == 502
    assert proxy.requests == []
