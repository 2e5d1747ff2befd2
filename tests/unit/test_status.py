"""The rows of `muster status`, for people and for programs."""

import dataclasses
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from scripted_server import Answer, Request, serving

from muster import status
from muster.agent_log import Endpoint, Line, Result, Task, Usage
from muster.cli.status_table import state_words, table
from muster.container import WORK_VARIABLE
from muster.forge import Administrator
from muster.roster import load
from muster.status import AgentStatus, Seen, _ask_forge

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
ISSUE = Task("issue", 12, "Greet people by their name", "http://forge/acme/site/issues/12")
LINE = Line(
    time=NOW - timedelta(seconds=3),
    event="state",
    message="Working.",
    state="working",
    since=NOW - timedelta(minutes=34),
    task=ISSUE,
    pull=13,
    last=Result("#10", "opened #11", NOW - timedelta(hours=3)),
    today=Usage(2, 1_234_567, 34.4),
    result="ok",
    endpoint=Endpoint(reachable=True, status=200, server="llama-server", window=65536, slots=2),
)
ROW = AgentStatus(
    name="review-qwen",
    bot_user="review-qwen",
    roles=("review",),
    wanted="running",
    actual="running",
    health="unhealthy",
    line=LINE,
    sandbox="on",
    endpoint="http://host.docker.internal:8081",
    issued_at=NOW - timedelta(days=12),
    rotation=1,
    image="sha256:0123456789abcdef",
    drift=[],
)


def with_line(**changes: Any) -> AgentStatus:  # noqa: ANN401
    return dataclasses.replace(ROW, line=dataclasses.replace(LINE, **changes))


def shown(*rows: AgentStatus, width: int | None = None) -> list[str]:
    printed = io.StringIO()
    console = Console(file=printed, width=400)
    console.print(table(list(rows), NOW, width), width=width)
    return [line.rstrip() for line in printed.getvalue().splitlines()]


def cells(row: AgentStatus) -> dict[str, str]:
    """Return a row's cells by their titles."""
    [head, line, *_] = shown(row)
    titles = [head[found.start() : found.end()] for found in re.finditer(r"\S+( \S+)*", head)]
    starts = [head.index(title) for title in titles]
    ends = [*starts[1:], len(line)]
    found = zip(titles, starts, ends, strict=True)
    return {title: line[start:end].strip() for title, start, end in found}


def test_a_row_tells_what_the_agent_does_did_and_used() -> None:
    assert cells(ROW) == {
        "AGENT": "review-qwen",
        "STATE": "working",
        "SINCE": "34m",
        "WORK": "#12 → #13",
        "ENDPOINT": "ok",
        "DRIFT": "-",
        "HEALTH": "unhealthy",
        "LAST RESULT": "#10 opened #11",
        "TODAY": "1.2M, 34m",
        "CREDENTIALS": "12d, rot. 1",
        "ROLES": "review",
        "BOT USER": "review-qwen",
    }


QUEUED = with_line(state="waiting", waiting_for="queue", queue=(2, 3))


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (60, "AGENT STATE WORK ENDPOINT DRIFT"),
        (80, "AGENT STATE SINCE WORK ENDPOINT DRIFT HEALTH"),
        (112, "AGENT STATE SINCE WORK ENDPOINT DRIFT HEALTH LAST RESULT"),
        (140, "AGENT STATE SINCE WORK ENDPOINT DRIFT HEALTH LAST RESULT TODAY CREDENTIALS"),
    ],
)
def test_columns_that_matter_least_are_left_out_until_a_row_fits(width: int, titles: str) -> None:
    long = with_line(last=Result("#10", "reviewed: " + 40 * "x", NOW), endpoint=Endpoint())
    lines = shown(long, QUEUED, width=width)
    assert " ".join(lines[0].split()) == titles
    assert len([line for line in lines if line.startswith("review-qwen  ")]) == 2
    assert max(map(len, lines)) <= width
    assert "waiting: queue 2/3" in lines[2]
    assert "#12 → #13" in lines[2]


def test_a_long_name_is_folded_where_nothing_is_left_to_leave_out() -> None:
    row = dataclasses.replace(ROW, name="dev-" + 70 * "x")
    lines = shown(row, width=80)
    assert lines[0].split() == ["AGENT", "STATE", "WORK", "ENDPOINT", "DRIFT"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("changes", "as_wanted"),
    [
        ({"health": "healthy"}, True),
        ({"health": "starting"}, True),
        ({"health": None, "line": None}, True),
        ({"health": "unhealthy"}, False),
        ({"actual": "exited"}, False),
        ({"actual": "unknown"}, False),
        ({"drift": ["barred"]}, False),
        ({"line": dataclasses.replace(LINE, errors={"endpoint": "refused the key"})}, False),
        ({"line": dataclasses.replace(LINE, result="failed")}, False),
        ({"wanted": "stopped", "actual": "none"}, True),
        ({"wanted": "stopped", "actual": "exited"}, True),
        ({"wanted": "stopped"}, False),
        ({"wanted": "stopped", "actual": "unknown"}, False),
        ({"wanted": "fired", "actual": "none", "drift": ["not in the roster"]}, False),
    ],
)
def test_an_agent_is_as_wanted_if_nothing_differs_and_its_cycles_succeed(
    changes: dict[str, Any],
    as_wanted: bool,  # noqa: FBT001
) -> None:
    row = dataclasses.replace(ROW, **({"health": "healthy"} | changes))
    assert row.as_wanted is as_wanted


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "idle"}, "idle"),
        ({"state": "waiting", "waiting_for": "endpoint"}, "waiting: endpoint"),
        ({"state": "waiting", "waiting_for": "queue", "queue": (2, 3)}, "waiting: queue 2/3"),
        ({"state": "waiting", "waiting_for": "queue"}, "waiting: queue"),
        ({"state": None}, "running"),
    ],
)
def test_a_state_is_told_with_what_it_waits_for(changes: dict[str, Any], words: str) -> None:
    assert state_words(dataclasses.replace(LINE, **changes)) == words


@pytest.mark.parametrize(
    ("task", "pull", "words"),
    [
        (ISSUE, None, "#12"),
        (ISSUE, 13, "#12 → #13"),
        (dataclasses.replace(ISSUE, kind="pull"), 13, "PR #12"),
        (None, None, "-"),
    ],
)
def test_work_is_an_issue_with_its_pull_request_or_a_review(
    task: Task | None, pull: int | None, words: str
) -> None:
    assert cells(with_line(task=task, pull=pull))["WORK"] == words


@pytest.mark.parametrize(
    ("wanted", "actual", "words"),
    [
        ("stopped", "none", "stopped"),
        ("running", "none", "no container"),
        ("running", "exited", "exited"),
        ("running", "restarting", "restarting"),
        ("running", "unknown", "unknown"),
    ],
)
def test_an_agent_that_does_not_run_does_nothing_now(wanted: str, actual: str, words: str) -> None:
    row = dataclasses.replace(ROW, wanted=wanted, actual=actual, health=None)
    found = cells(row)
    assert (found["STATE"], found["WORK"], found["SINCE"]) == (words, "-", "-")
    assert found["LAST RESULT"] == "#10 opened #11"
    report = row.report(NOW)
    assert (report["state"], report["task"], report["since"]) == (None, None, None)
    assert report["last"]["result"] == "opened #11"


@pytest.mark.parametrize(
    ("endpoint", "errors", "words"),
    [
        (Endpoint(), {}, "-"),
        (Endpoint(reachable=False), {"endpoint": "cannot reach"}, "no answer"),
        (Endpoint(reachable=True, status=401), {"endpoint": "refused the key"}, "HTTP 401"),
        (Endpoint(reachable=True, status=403), {}, "ok"),  # a subscription's token
        (Endpoint(reachable=True, status=404), {}, "ok"),  # lists no models
        (
            Endpoint(reachable=True, status=200, serves_model=False),
            {"endpoint": "does not serve"},
            "no model",
        ),
        (Endpoint(reachable=True, status=200), {"endpoint": "small window"}, "not ready"),
        (Endpoint(reachable=True, status=200), {"forge": "down"}, "ok"),
    ],
)
def test_a_row_tells_whether_the_endpoint_can_serve(
    endpoint: Endpoint, errors: dict[str, str], words: str
) -> None:
    assert cells(with_line(endpoint=endpoint, errors=errors))["ENDPOINT"] == words


@pytest.mark.parametrize(
    ("tokens", "words"), [(0, "0"), (999, "999"), (12_999, "12k"), (2_000_000, "2.0M")]
)
def test_tokens_are_told_in_a_few_digits(tokens: int, words: str) -> None:
    assert cells(with_line(today=Usage(1, tokens, 0.0)))["TODAY"] == f"{words}, 0m"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_an_age_is_told_in_its_largest_unit_of_two_or_more(seconds: int, words: str) -> None:
    assert cells(with_line(since=NOW - timedelta(seconds=seconds)))["SINCE"] == words


def test_what_needs_attention_stands_below_the_table() -> None:
    row = dataclasses.replace(
        with_line(errors={"endpoint": "Connection refused"}), sandbox="off", drift=["barred"]
    )
    assert cells(row)["DRIFT"] == "1"
    assert shown(row)[2:] == [
        (
            "endpoint http://host.docker.internal:8081 (review-qwen): llama-server, "
            "window 65,536 tokens, 2 slots"
        ),
        "review-qwen: endpoint: Connection refused",
        'review-qwen: sandbox = "off": Claude Code can reach all that the agent can',
        "review-qwen: barred",
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Endpoint(reachable=False), "no answer"),
        (Endpoint(reachable=True, status=401, server="vLLM"), "vLLM, HTTP 401"),
        (
            Endpoint(reachable=True, status=200, server="Ollama", serves_model=False),
            "Ollama, does not serve the model",
        ),
        (
            Endpoint(reachable=True, status=200, serves_model=True, window=200_000, slots=1),
            "serves the model, window 200,000 tokens, 1 slot",
        ),
        (Endpoint(reachable=True, status=200), "answers"),
    ],
)
def test_an_endpoint_is_described_once_for_all_agents_that_see_it_so(
    found: Endpoint, words: str
) -> None:
    row = with_line(endpoint=found)
    line = shown(row, dataclasses.replace(row, name="dev-qwen"))[3]
    assert line == f"endpoint http://host.docker.internal:8081 (review-qwen, dev-qwen): {words}"


def test_an_endpoint_that_was_not_asked_yet_is_not_described() -> None:
    assert shown(with_line(endpoint=Endpoint()))[2:] == []


def test_a_container_of_another_image_has_a_row() -> None:
    for line in (None, Line(time=NOW)):
        found = cells(dataclasses.replace(ROW, line=line, sandbox=None))
        assert (found["STATE"], found["WORK"], found["TODAY"]) == ("running", "-", "-")


def test_nothing_in_a_row_is_taken_for_markup() -> None:
    assert "[red]x[/red]" in cells(with_line(last=Result("#1", "[red]x[/red]", NOW)))["LAST RESULT"]
    assert "[/x]" in cells(dataclasses.replace(ROW, name="[/x]"))["AGENT"]


def test_programs_get_all_of_it() -> None:
    queued = with_line(state="waiting", waiting_for="queue", queue=(2, 3), errors={"forge": "no"})
    report = json.loads(json.dumps(queued.report(NOW)))
    assert report == {
        "agent": "review-qwen",
        "bot_user": "review-qwen",
        "roles": ["review"],
        "as_wanted": False,
        "wanted": "running",
        "actual": "running",
        "health": "unhealthy",
        "state": "waiting",
        "waiting_for": "queue",
        "queue": {"position": 2, "length": 3},
        "since": "2026-02-03T03:31:06+00:00",
        "task": {
            "kind": "issue",
            "number": 12,
            "title": "Greet people by their name",
            "url": "http://forge/acme/site/issues/12",
        },
        "pull": 13,
        "last": {"task": "#10", "result": "opened #11", "time": "2026-02-03T01:05:06+00:00"},
        "today": {"tasks": 2, "tokens": 1_234_567, "minutes": 34.4},
        "last_cycle": {
            "time": "2026-02-03T04:05:03+00:00",
            "age_seconds": 3,
            "result": "ok",
            "errors": {"forge": "no"},
        },
        "endpoint": {
            "url": "http://host.docker.internal:8081",
            "reachable": True,
            "server": "llama-server",
            "serves_model": None,
            "window": 65536,
            "slots": 2,
        },
        "sandbox": "on",
        "credentials": {"issued_at": "2026-01-22T04:05:06+00:00", "age_days": 12, "rotation": 1},
        "image": "sha256:0123456789abcdef",
        "drift": [],
    }


def test_a_large_forge_is_asked_for_the_crews_accounts_only(tmp_path: Path) -> None:
    """`muster status` asks every 3 s while somebody looks."""
    path = tmp_path / "live.toml"
    path.write_text(
        'name = "demo"\nrepo = "acme/demo"\nforge_url = "http://forge"\n[agents.dev-qwen]\n'
    )

    def script(request: Request) -> Answer:
        if request.path.endswith("/collaborators"):
            return Answer(json=[])
        told = {"id": 3, "login": "Dev-Qwen", "created": "2026-01-02T04:04:05+01:00"}
        if request.path == "/api/v1/admin/users":
            return Answer(json=50 * [told], headers={"X-Total-Count": "4000"})
        return Answer(json=told)

    with serving(script) as server:
        seen = Seen({"fired": {"forgejo:BotUser:id": "Fired"}})
        _ask_forge(seen, load(path), server.url, Administrator(pat="t"))
        assert sorted(path for _, path in server.asked()) == [
            "/api/v1/admin/users",
            "/api/v1/repos/acme/demo/collaborators",
            "/api/v1/users/dev-qwen",
            "/api/v1/users/fired",
        ]
    assert seen.users is not None
    assert seen.unseen == []


@pytest.mark.parametrize("variable", ["[" * 100_000, "5", "[]", '{"sandbox": ', "{}"])
def test_a_container_of_another_image_or_engine_has_a_row_too(variable: str) -> None:
    attributes = {
        "State": {"Health": None},
        "Config": {"Env": [f"{WORK_VARIABLE}={variable}", "NO_VALUE"]},
    }
    container: Any = SimpleNamespace(status="running", attrs=attributes)
    assert status._health(container) == "unchecked"  # noqa: SLF001
    assert status._sandbox(container) is None  # noqa: SLF001


def test_a_container_that_restarts_again_and_again_has_its_log_named(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    path.write_text(
        'name = "demo"\nrepo = "acme/demo"\nforge_url = "http://forge"\n[agents.dev-qwen]\n'
    )
    agent = load(path).agents["dev-qwen"]
    seen = Seen({"dev-qwen": {}}, containers={})
    container: Any = SimpleNamespace(status="restarting", attrs={"Image": "sha256:1"})
    assert list(status._docker_drift(agent, container, "running", seen)) == [  # noqa: SLF001
        "container crashes and restarts: muster logs dev-qwen shows why"
    ]


@pytest.mark.parametrize(
    ("login", "login_name", "said"),
    [
        ("Dev-Qwen", "muster:live/acme/dev-qwen", []),
        ("robot", "muster:live/acme/dev-qwen", ["was renamed to robot: muster preview"]),
        ("robot", "", ["account dev-qwen is gone: muster up"]),
        ("dev-qwen", "by-a-script", ["has lost its mark (login_name): muster up sets it again"]),
        ("dev-qwen", "muster:live/before/dev-qwen", ["name was changed: muster preview"]),
    ],
)
def test_an_account_that_was_changed_outside_comes_with_the_command_that_helps(
    login: str, login_name: str, said: list[str]
) -> None:
    user = SimpleNamespace(login=login, login_name=login_name, prohibit_login=False)
    seen = Seen({"dev-qwen": {"forgejo:BotUser:id": "dev-qwen"}})
    seen.users = {login.lower(): user}  # type: ignore[dict-item]
    agent: Any = SimpleNamespace(name="dev-qwen", forge_user="dev-qwen")
    found = list(status._forge_drift(agent, "muster:live/acme/dev-qwen", seen))  # noqa: SLF001
    assert len(found) == len(said)
    assert all(words in line for words, line in zip(said, found, strict=True))
