"""The agent's loop and health check as real processes against a real HTTP server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = Path(__file__).parents[2] / "images" / "agent"
TOKEN = "0123456789abcdef-first"
WRITABLE = json.dumps({"permissions": {"admin": False, "push": True, "pull": True}})


@dataclass
class Server:
    """Forge and endpoint in one, on loopback; `answers` may be changed while it runs."""

    url: str = ""
    answers: dict[str, tuple[int, str]] = field(
        default_factory=lambda: {
            "/api/v1/repos/team/project": (200, WRITABLE),
            "/health": (200, '{"status":"ok"}'),
        }
    )
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def tokens_seen_at(self, path: str) -> list[str | None]:
        return [token for asked, token in self.requests if asked == path]


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    server.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append((self.path, self.headers["Authorization"]))
            server.asked.set()
            server.may_answer.wait(timeout=30)
            status, body = server.answers.get(self.path, (404, "{}"))
            self.send_response(status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.may_answer.set()
        listener.shutdown()
        thread.join()
        listener.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture
def environment(server: Server, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "data").mkdir()
    (tmp_path / "forge_token").write_text(TOKEN + "\n")
    return {
        "HOME": str(tmp_path),
        "FORGE_URL": server.url + "/",
        "FORGE_REPO": "team/project",
        "PROJECT_NAME": "project",
        "PRIMARY_BRANCH": "main",
        "AGENT_NAME": "dev-qwen",
        "AGENT_ROLES": "dev,review",
        "POLL_INTERVAL": "1",
        "ANTHROPIC_BASE_URL": server.url,
        "FORGE_TOKEN_FILE": str(tmp_path / "forge_token"),
    }


class Agent:
    """A running loop; what it prints is kept."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(IMAGE / "agent.py")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def cycle(self) -> dict[str, Any]:
        """Wait for the next cycle's line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        record: dict[str, Any] = json.loads(line)
        return record

    def end(self) -> tuple[str, str]:
        """Stop it and return what else it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=5)


@contextmanager
def running(environment: dict[str, str]) -> Iterator[Agent]:
    agent = Agent(environment)
    try:
        yield agent
    finally:
        agent.process.kill()
        agent.process.communicate()


def health(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", str(IMAGE / "health.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def is_healthy(environment: dict[str, str]) -> bool:
    return health(environment).returncode == 0


def test_a_good_cycle_is_one_json_line_with_a_status_for_forge_and_endpoint(
    environment: dict[str, str],
) -> None:
    with running(environment) as agent:
        record = agent.cycle()
    assert datetime.fromisoformat(record.pop("time")).utcoffset() == timedelta(0)
    assert 0 <= record["forge"].pop("ms") < 5000
    assert 0 <= record["endpoint"].pop("ms") < 5000
    assert record == {
        "agent": "dev-qwen",
        "cycle": 1,
        "result": "ok",
        "forge": {"status": 200},
        "endpoint": {"status": 200},
        "error": None,
    }


def test_the_token_goes_to_the_forge_and_to_nobody_else(
    environment: dict[str, str], server: Server
) -> None:
    with running(environment) as agent:
        agent.cycle()
    assert server.tokens_seen_at("/api/v1/repos/team/project") == [f"token {TOKEN}"]
    assert server.tokens_seen_at("/health") == [None]


def test_the_token_follows_no_redirect(environment: dict[str, str], server: Server) -> None:
    with serving() as elsewhere, running(environment) as agent:
        server.answers["/api/v1/repos/team/project"] = (302, "")
        server.headers["Location"] = elsewhere.url + "/api/v1/repos/team/project"
        records = [agent.cycle(), agent.cycle()]
        assert records[1]["error"] == {"forge": "the forge answered 302"}
        assert elsewhere.requests == []


def test_cycles_are_numbered_and_poll_interval_apart(environment: dict[str, str]) -> None:
    with running({**environment, "POLL_INTERVAL": "2"}) as agent:
        first, second = agent.cycle(), agent.cycle()
    apart = datetime.fromisoformat(second["time"]) - datetime.fromisoformat(first["time"])
    assert (first["cycle"], second["cycle"]) == (1, 2)
    assert timedelta(seconds=1.9) < apart < timedelta(seconds=4)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, "the forge refuses the token"),
        (403, "the forge refuses the token's user or scopes"),
        (404, "the forge shows this bot user no such repository"),
        (502, "the forge answered 502"),
    ],
)
def test_a_forge_that_refuses_fails_the_cycle_and_the_health_check(
    environment: dict[str, str], server: Server, status: int, error: str
) -> None:
    server.answers["/api/v1/repos/team/project"] = (status, "{}")
    with running(environment) as agent:
        record = agent.cycle()
        check = health(environment)
    assert record["result"] == "failed"
    assert record["forge"]["status"] == status
    assert record["error"] == {"forge": error}
    assert (check.returncode, check.stdout) == (1, error + "\n")


@pytest.mark.parametrize("body", ['{"permissions": {"push": false}}', "<html>", "[]", "{}"])
def test_a_repository_that_the_bot_user_may_not_write_to_fails_the_cycle(
    environment: dict[str, str], server: Server, body: str
) -> None:
    server.answers["/api/v1/repos/team/project"] = (200, body)
    with running(environment) as agent:
        assert agent.cycle()["error"] == {"forge": "the bot user may not write to the repository"}


def test_an_endpoint_in_trouble_fails_the_cycle_but_not_the_health_check(
    environment: dict[str, str], server: Server
) -> None:
    server.answers["/health"] = (503, '{"error":"Loading model"}')
    with running(environment) as agent:
        record = agent.cycle()
        assert is_healthy(environment)
    assert record["result"] == "failed"
    assert record["error"] == {"endpoint": "the endpoint answered 503"}


def test_servers_that_do_not_answer_are_named_in_the_log(environment: dict[str, str]) -> None:
    nobody = "http://127.0.0.1:1"
    with running({**environment, "FORGE_URL": nobody, "ANTHROPIC_BASE_URL": nobody}) as agent:
        record = agent.cycle()
    assert record["forge"]["status"] is None
    assert "Connection refused" in record["error"]["forge"]
    assert "Connection refused" in record["error"]["endpoint"]


def test_an_anthropic_agent_calls_no_endpoint(environment: dict[str, str], server: Server) -> None:
    del environment["ANTHROPIC_BASE_URL"]
    with running({**environment, "ANTHROPIC_API_KEY": "sk-made-up"}) as agent:
        record = agent.cycle()
    assert (record["result"], record["endpoint"]) == ("ok", "anthropic")
    assert server.tokens_seen_at("/health") == []


def test_a_swapped_token_file_is_used_in_the_next_cycle(
    environment: dict[str, str], server: Server, tmp_path: Path
) -> None:
    with running(environment) as agent:
        agent.cycle()
        (tmp_path / "forge_token").write_text("second")
        agent.cycle()
    assert server.tokens_seen_at("/api/v1/repos/team/project") == [
        f"token {TOKEN}",
        "token second",
    ]


def test_a_token_from_the_environment_works_without_a_file(
    environment: dict[str, str], server: Server
) -> None:
    del environment["FORGE_TOKEN_FILE"]
    with running({**environment, "FORGE_TOKEN": "plain"}) as agent:
        assert agent.cycle()["result"] == "ok"
    assert server.tokens_seen_at("/api/v1/repos/team/project") == ["token plain"]


def test_a_missing_token_file_fails_the_cycle_and_not_the_loop(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "forge_token").rename(tmp_path / "elsewhere")
    with running(environment) as agent:
        record = agent.cycle()
        (tmp_path / "elsewhere").rename(tmp_path / "forge_token")
        assert agent.cycle()["result"] == "ok"
    assert record["error"] == {"forge": "cannot read FORGE_TOKEN_FILE: No such file or directory"}


@pytest.mark.parametrize("text", ["", "\n", "two words", "two\nlines", "tab\there", "ключ"])
def test_what_is_no_token_is_neither_sent_nor_printed(
    environment: dict[str, str], server: Server, tmp_path: Path, text: str
) -> None:
    (tmp_path / "forge_token").write_text(text)
    with running(environment) as agent:
        error = agent.cycle()["error"]
        _, stderr = agent.end()
    assert error == {"forge": "FORGE_TOKEN holds no token: one line of ASCII was expected"}
    assert stderr == ""
    assert server.tokens_seen_at("/api/v1/repos/team/project") == []


@pytest.mark.parametrize("status", [200, 302, 401, 500])
def test_the_token_is_in_no_output(
    environment: dict[str, str], server: Server, tmp_path: Path, status: int
) -> None:
    server.answers["/api/v1/repos/team/project"] = (status, f"you sent {TOKEN}")
    with running(environment) as agent:
        record = agent.cycle()
        output = agent.end()
    check = health(environment)
    state = (tmp_path / "data" / "last_cycle.json").read_text()
    assert TOKEN not in f"{record} {output} {check.stdout} {check.stderr} {state}"


def test_sigterm_in_a_pause_ends_the_loop_at_once_and_well(environment: dict[str, str]) -> None:
    with running({**environment, "POLL_INTERVAL": "3600"}) as agent:
        agent.cycle()
        assert is_healthy(environment)
        began = time.monotonic()
        agent.end()
        assert time.monotonic() - began < 1
        assert agent.process.returncode == 0


def test_sigterm_in_a_request_ends_the_loop_at_once_and_well(
    environment: dict[str, str], server: Server
) -> None:
    server.may_answer.clear()
    with running(environment) as agent:
        assert server.asked.wait(timeout=10)
        began = time.monotonic()
        agent.end()
        assert time.monotonic() - began < 1
        assert agent.process.returncode == 0


def test_a_good_cycle_makes_the_agent_healthy(environment: dict[str, str]) -> None:
    with running(environment) as agent:
        agent.cycle()
        assert is_healthy(environment)


def test_an_agent_without_a_cycle_is_not_healthy(environment: dict[str, str]) -> None:
    check = health(environment)
    assert (check.returncode, check.stdout) == (1, "no cycle yet\n")


def test_the_cycle_of_an_earlier_container_does_not_make_a_new_one_healthy(
    environment: dict[str, str], server: Server, tmp_path: Path
) -> None:
    with running(environment) as agent:
        agent.cycle()
        assert is_healthy(environment)
    server.asked.clear()
    server.may_answer.clear()
    with running(environment):
        assert server.asked.wait(timeout=10)
        assert not (tmp_path / "data" / "checked").exists()
        assert health(environment).stdout == "no cycle yet\n"


def test_a_mark_tells_whether_a_check_has_seen_a_cycle(
    environment: dict[str, str], server: Server, tmp_path: Path
) -> None:
    """The Dockerfile's HEALTHCHECK waits half a minute where the mark stands."""
    mark = tmp_path / "data" / "checked"
    health(environment)
    assert not mark.exists()
    server.answers["/api/v1/repos/team/project"] = (401, "{}")
    with running(environment) as agent:
        agent.cycle()
        assert not is_healthy(environment)
        assert mark.exists()


@pytest.mark.parametrize(("age", "code"), [(49, 0), (51, 1), (-51, 1)])
def test_a_cycle_counts_for_twice_poll_interval_and_thirty_seconds(
    environment: dict[str, str], tmp_path: Path, age: int, code: int
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=age)
    record = {"time": began.isoformat(), "error": None}
    (tmp_path / "data" / "last_cycle.json").write_text(json.dumps(record))
    assert health({**environment, "POLL_INTERVAL": "10"}).returncode == code


def wrong_set_up(environment: dict[str, str]) -> str:
    """Run a loop that must give up at once, and return its one line."""
    done = subprocess.run(
        [sys.executable, str(IMAGE / "agent.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_all_missing_variables_are_named_in_one_line(environment: dict[str, str]) -> None:
    line = wrong_set_up({"HOME": environment["HOME"], "AGENT_NAME": "", "FORGE_REPO": "a/b"})
    assert line == (
        "muster agent: missing in the environment: FORGE_URL; PROJECT_NAME; PRIMARY_BRANCH; "
        "AGENT_NAME; AGENT_ROLES; POLL_INTERVAL; FORGE_TOKEN_FILE or FORGE_TOKEN; "
        "ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY_FILE or ANTHROPIC_API_KEY\n"
    )


@pytest.mark.parametrize("value", ["0", "-1", "soon", "1.5", "²"])
def test_a_wrong_poll_interval_is_named(environment: dict[str, str], value: str) -> None:
    line = wrong_set_up({**environment, "POLL_INTERVAL": value})
    assert f"POLL_INTERVAL is {value!r}" in line


def test_a_data_folder_that_cannot_be_written_to_is_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "data").rmdir()
    assert str(tmp_path / "data") in wrong_set_up(environment)
