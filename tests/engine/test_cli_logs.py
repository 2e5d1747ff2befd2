"""`muster logs` and `muster status` of containers that log what a test wants."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from asking import ended, wait_until
from forge_server import ForgeServer
from stand_in import DATA, FOREVER, line, printing, stand_in
from workplace import Workplace

TASK = {"kind": "issue", "number": 12, "title": "Greet people", "url": "http://forge/12"}
RECORDED = Path(__file__).parents[1] / "unit" / "session.jsonl"
TOKEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def place(
    server: ForgeServer,
    docker_client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workplace]:
    """A project of which nobody is hired."""
    folder = tmp_path_factory.mktemp("place")
    with Workplace(folder, server, docker_client, f"t{secrets.token_hex(3)}") as made:
        made.roster(made.agent("dev-qwen") + made.agent("dev-off", enabled=False))
        yield made


@pytest.fixture(autouse=True)
def _no_container(place: Workplace) -> Iterator[None]:
    """Leave no container behind."""
    yield
    for container in place.client.containers.list(all=True, filters=place._mine):  # noqa: SLF001
        container.remove(force=True, v=True)


def test_a_log_is_for_people_and_with_json_as_it_is(place: Workplace) -> None:
    took = line('Took #12 "Greet people".', state="working", task=TASK)
    cycles = [line(f"Nothing to do ({number}).", event="cycle") for number in range(3)]
    lines = [took, *cycles, f"a traceback with {TOKEN}"]
    container = stand_in(place, "dev-qwen", printing(*lines))
    container.wait()

    printed = place.muster("logs", "dev-qwen").splitlines()
    assert [each[9:] for each in printed[1:3]] == [
        'working    Took #12 "Greet people".',
        "idle       Nothing to do (0).",
    ]
    assert printed[3:] == ["a traceback with …"]
    raw = place.muster("logs", "dev-qwen", "--json").splitlines()
    assert raw == [took, *cycles, "a traceback with …"]
    assert place.muster("logs", "dev-qwen", "--since", "2030-01-01") == ""


def test_a_log_can_be_followed_until_ctrl_c(place: Workplace) -> None:
    later = f"until [ -e /tmp/go ]; do sleep 0.1; done; {printing(line('The second.'))}"
    script = f"{printing(line('The first.'))}\n{later}\n{FOREVER}"
    container = stand_in(place, "dev-qwen", script)
    with place.terminal("muster logs dev-qwen --follow") as child:
        child.expect("idle       The first.")
        container.exec_run(["touch", "/tmp/go"])  # noqa: S108
        child.expect("idle       The second.")
        child.sendintr()
        assert ended(child) == 130


def test_the_last_session_is_told_from_a_container_that_runs_or_has_ended(place: Workplace) -> None:
    recorded = RECORDED.read_text()
    half = '{"type": "assistant", "message": {"content": [{"type": "te'
    write = printing(*recorded.splitlines()).replace(
        "cat <<", f"cat > {DATA}/sessions/last.jsonl <<"
    )
    script = f"mkdir {DATA}/sessions\n{write}\nprintf '{half}' >> {DATA}/sessions/last.jsonl"
    container = stand_in(
        place, "dev-qwen", f"{script}\necho written\n{FOREVER}", volumes=[f"{place.name}-d:{DATA}"]
    )
    try:
        wait_until(lambda: b"written" in container.logs())
        running = place.muster("logs", "dev-qwen", "--session")
        raw = place.muster("logs", "dev-qwen", "--session", "--json")
        container.stop(timeout=1)
        assert place.muster("logs", "dev-qwen", "--session") == running
    finally:
        container.remove(force=True, v=True)
        place.client.volumes.get(f"{place.name}-d").remove()
    assert running.splitlines()[:5:2] == [
        "Claude Code 2.1.331, model scripted",
        "I read the file first.",
        "$ cat greet.py; seq 1 60",
    ]
    assert running.splitlines()[-1] == "Result: success, 7 turns, 10,084 tokens, 0.3 s"
    assert raw == recorded


def test_an_agent_without_a_session_says_so(place: Workplace) -> None:
    container = stand_in(place, "dev-qwen", FOREVER)
    assert "has no session yet" in place.muster("logs", "dev-qwen", "--session", expect=1)
    # What the container shows as a link may lead to its secrets, which Docker would read as root.
    container.exec_run(["mkdir", f"{DATA}/sessions"])
    container.exec_run(["ln", "-s", "/etc/shadow", f"{DATA}/sessions/last.jsonl"])
    printed = place.muster("logs", "dev-qwen", "--session", expect=1)
    assert "has no session yet" in printed
    assert "root:" not in printed
    assert "--since" in place.muster("logs", "dev-qwen", "--session", "--since", "1h", expect=2)


def test_an_agent_without_a_container_says_which_command_creates_it(place: Workplace) -> None:
    assert "muster up creates it" in place.muster("logs", "dev-qwen", "--session", expect=1)
    assert "muster start dev-off creates it" in place.muster("logs", "dev-off", expect=1)


def test_the_status_is_the_last_line_that_can_be_read(place: Workplace) -> None:
    queue = {"position": 2, "length": 3}
    waits = line("", state="waiting", waiting_for="queue", queue=queue, task=TASK, pull=13)
    variable = {"MUSTER_WORK": json.dumps({"sandbox": "off"})}
    script = f"{printing(waits, '[]', 'a traceback')}\n{FOREVER}"
    container = stand_in(place, "dev-qwen", script, environment=variable)
    wait_until(lambda: b"traceback" in container.logs())

    row = place.status()["dev-qwen"]
    assert (row["state"], row["waiting_for"], row["queue"]) == ("waiting", "queue", queue)
    assert (row["task"], row["pull"], row["sandbox"]) == (TASK, 13, "off")
    printed = place.muster("status", "--wide", expect=1)
    assert "\x1b" not in printed
    assert re.search(r"waiting: queue 2/3  \d+s +#12 → #13  ok", printed)
    assert printed.splitlines()[1].split()[-3:] == ["ROLES", "BOT", "USER"]
    assert 'dev-qwen: sandbox = "off"' in printed


def test_a_container_of_another_image_has_a_status(place: Workplace) -> None:
    others = ("text", '{"time": 5, "state": []}', '{"time": "2026-01-01", "endpoint": [5]}')
    container = stand_in(place, "dev-qwen", f"{printing(*others)}\n{FOREVER}", "muster-forge")
    wait_until(lambda: bool(container.logs()))
    row = place.status()["dev-qwen"]
    assert (row["actual"], row["state"], row["sandbox"]) == ("running", None, None)
    assert "dev-qwen  running" in place.muster("status", expect=1)
