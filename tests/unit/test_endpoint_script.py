"""The scripted endpoint, spoken to over HTTP."""

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from endpoint import ScriptedEndpoint
from script import Script, ScriptError

FOLDER = Path(__file__).parents[2] / "images" / "endpoint"

SCRIPT: dict[str, Any] = {
    "window": 40000,
    "slots": 2,
    "plays": [
        {
            "when": "Add a file",
            "steps": [
                {"tool": "Edit", "input": {"file_path": "{cwd}/a", "more": ["{cwd}", 1]}},
                {"text": "I run it.", "tool": "Bash", "input": {"command": "ls"}},
                {"text": "Done."},
            ],
        },
        {"when": "Wait", "steps": [{"text": "Late.", "delay": 20}]},
        {"when": "Be cut", "steps": [{"text": "A sentence.", "cut": True}]},
        {"when": "Stall", "steps": [{"text": "A sentence.", "stall": 20}]},
        {"when": "Fail", "steps": [{"status": 529, "error": "busy"}]},
        {"when": "Recover", "steps": [{"text": "Fine.", "status": 500, "times": 2}]},
    ],
}


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint(SCRIPT) as started:
        yield started


def body(prompt: str, steps: int = 0, **more: object) -> dict[str, Any]:
    """Return a request after so many answers."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    for _ in range(steps):
        messages.append({"role": "assistant", "content": "…"})
        messages.append({"role": "user", "content": [{"type": "text", "text": "Go on"}]})
    system = [{"type": "text", "text": "Be careful."}, {"type": "text", "text": "CWD: /the/tree\n"}]
    return {"model": "any", "max_tokens": 100, "system": system, "messages": messages, **more}


def post(
    endpoint: ScriptedEndpoint, prompt: str, steps: int = 0, **more: object
) -> requests.Response:
    url = f"{endpoint.url}/v1/messages?beta=true"
    return requests.post(url, json=body(prompt, steps, **more), timeout=10)


def events(answer: requests.Response) -> list[dict[str, Any]]:
    lines = answer.content.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def abandon(endpoint: ScriptedEndpoint, prompt: str) -> None:
    """Send a request, wait until it is counted, and hang up."""
    with closing(http.client.HTTPConnection(endpoint.address, endpoint.port)) as connection:
        connection.request("POST", "/v1/messages", json.dumps(body(prompt)))
        eventually(lambda: endpoint.now == 1)


def test_the_step_is_the_number_of_answers_so_far(endpoint: ScriptedEndpoint) -> None:
    names = [post(endpoint, "Add a file", steps).json()["content"][-1] for steps in (0, 1, 2)]
    assert [block.get("name") or block["text"] for block in names] == ["Edit", "Bash", "Done."]


def test_the_last_text_is_repeated_after_the_last_step(endpoint: ScriptedEndpoint) -> None:
    assert post(endpoint, "Add a file", 9).json()["content"] == [{"type": "text", "text": "Done."}]


def test_a_tools_input_names_the_requests_working_directory(endpoint: ScriptedEndpoint) -> None:
    [call] = post(endpoint, "Add a file").json()["content"]
    assert call["input"] == {"file_path": "/the/tree/a", "more": ["/the/tree", 1]}


def test_a_text_and_a_tool_call_can_be_one_answer(endpoint: ScriptedEndpoint) -> None:
    answer = post(endpoint, "Add a file", 1).json()
    assert [block["type"] for block in answer["content"]] == ["text", "tool_use"]
    assert answer["stop_reason"] == "tool_use"


def test_an_unknown_prompt_gets_a_text_that_says_so(endpoint: ScriptedEndpoint) -> None:
    [block] = post(endpoint, "Something else").json()["content"]
    assert "no play matches" in block["text"]


def test_a_play_is_chosen_by_the_first_message_alone(endpoint: ScriptedEndpoint) -> None:
    request = body("Add a file", 1)
    request["messages"][-1]["content"][0]["text"] = "Fail"
    answer = requests.post(f"{endpoint.url}/v1/messages", json=request, timeout=10)
    assert answer.json()["content"][-1]["name"] == "Bash"


def test_a_stream_holds_the_same_message(endpoint: ScriptedEndpoint) -> None:
    whole = post(endpoint, "Add a file", 1).json()
    stream = events(post(endpoint, "Add a file", 1, stream=True))
    assert stream[0]["type"] == "message_start"
    assert stream[-1]["type"] == "message_stop"
    deltas = [event["delta"] for event in stream if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == whole["content"][0]["text"]
    written = "".join(delta.get("partial_json", "") for delta in deltas)
    assert json.loads(written) == whole["content"][1]["input"]
    assert stream[-2]["delta"]["stop_reason"] == whole["stop_reason"]


def test_a_cut_stream_ends_in_the_middle(endpoint: ScriptedEndpoint) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(endpoint, "Be cut", stream=True)


def test_a_stalled_stream_begins_and_then_is_silent(endpoint: ScriptedEndpoint) -> None:
    url = f"{endpoint.url}/v1/messages"
    with requests.post(url, json=body("Stall", stream=True), stream=True, timeout=0.3) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines) == b"event: message_start"
        with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
            list(lines)


def test_a_status_is_answered_in_anthropics_shape(endpoint: ScriptedEndpoint) -> None:
    answer = post(endpoint, "Fail", stream=True)
    assert answer.status_code == 529
    assert answer.json()["error"] == {"type": "overloaded_error", "message": "busy"}


def test_a_fault_with_times_ends_after_so_many(endpoint: ScriptedEndpoint) -> None:
    assert [post(endpoint, "Recover").status_code for _ in range(4)] == [500, 500, 200, 200]


def test_concurrent_requests_are_counted(endpoint: ScriptedEndpoint) -> None:
    together = threading.Barrier(3)
    endpoint.script = Script.parse({"plays": [{"when": "", "steps": [{"text": "x", "delay": 1}]}]})

    def ask(_: int) -> None:
        together.wait()
        post(endpoint, "Anything")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ask, range(3)))
    assert (endpoint.served, endpoint.now, endpoint.most_at_once) == (3, 0, 3)


def test_requests_one_after_another_are_never_counted_as_two(endpoint: ScriptedEndpoint) -> None:
    for number in range(60):
        post(endpoint, "Add a file", stream=bool(number % 2))
    assert endpoint.most_at_once == 1


def test_a_client_that_hangs_up_is_no_longer_counted(endpoint: ScriptedEndpoint) -> None:
    abandon(endpoint, "Wait")
    eventually(lambda: endpoint.now == 0)


def test_overlapping_sessions_show_in_their_order(endpoint: ScriptedEndpoint) -> None:
    for session in ("a", "a", "b", "a"):
        user = json.dumps({"session_id": session})
        post(endpoint, "Add a file", metadata={"user_id": user})
    seen = requests.get(f"{endpoint.url}/_seen", timeout=10).json()
    assert seen["sessions"] == ["a", "b", "a"]


def test_as_many_bodies_are_kept_as_are_asked_for() -> None:
    with ScriptedEndpoint(SCRIPT, record=2) as endpoint:
        for steps in (0, 1, 2):
            post(endpoint, "Add a file", steps)
        assert endpoint.seen()["requests"] == 3
        assert endpoint.seen()["bodies"] == [body("Add a file", 1), body("Add a file", 2)]


def test_the_window_and_the_slots_are_reported_as_llama_server_does(
    endpoint: ScriptedEndpoint,
) -> None:
    props = requests.get(f"{endpoint.url}/props", timeout=10).json()
    [model] = requests.get(f"{endpoint.url}/v1/models", timeout=10).json()["data"]
    assert props["default_generation_settings"]["n_ctx"] == model["meta"]["n_ctx"] == 40000
    assert props["total_slots"] == 2


def test_every_answer_is_labelled_as_a_script(endpoint: ScriptedEndpoint) -> None:
    [model] = requests.get(f"{endpoint.url}/v1/models", timeout=10).json()["data"]
    answer = post(endpoint, "Add a file")
    assert (model["id"], model["owned_by"]) == ("scripted", "llamacpp")
    assert answer.json()["model"] == "scripted"
    assert answer.headers["X-Scripted"] == "true"


def test_tokens_can_be_counted(endpoint: ScriptedEndpoint) -> None:
    url = f"{endpoint.url}/v1/messages/count_tokens"
    few, more = (
        requests.post(url, json=body(prompt), timeout=10).json()["input_tokens"]
        for prompt in ("short", "long " * 100)
    )
    assert 0 < few < more


def test_a_loading_endpoint_answers_503_until_it_has_loaded(endpoint: ScriptedEndpoint) -> None:
    endpoint.loading = True
    assert requests.get(f"{endpoint.url}/health", timeout=10).status_code == 503
    assert post(endpoint, "Add a file").status_code == 503
    endpoint.loading = False
    assert requests.get(f"{endpoint.url}/health", timeout=10).json() == {"status": "ok"}


def test_a_stopped_endpoint_answers_on_no_connection_and_can_start_again() -> None:
    with requests.Session() as client:
        with ScriptedEndpoint(SCRIPT) as endpoint:
            client.get(f"{endpoint.url}/health", timeout=10)
        with pytest.raises(requests.exceptions.ConnectionError):
            client.get(f"{endpoint.url}/health", timeout=10)
        with ScriptedEndpoint(SCRIPT, port=endpoint.port) as again:
            assert client.get(f"{again.url}/health", timeout=10).ok


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "the script needs plays"),
        ({"plays": [], "windows": 1}, "the script: unknown key 'windows'; known keys are plays,"),
        ({"plays": [{"when": "x"}]}, "play 1 needs steps"),
        ({"plays": [{"when": "(", "steps": []}]}, "play 1: `when` is not a valid regular"),
        ({"plays": [{"when": "x", "steps": [{"delay": 1}]}]}, "play 1, step 1 needs text, tool or"),
        ({"plays": [{"when": "x", "steps": [{"texts": ""}]}]}, "play 1, step 1: unknown key"),
    ],
)
def test_a_wrong_script_is_refused_with_its_place(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ScriptError, match=f"^{re.escape(message)}"):
        Script.parse(raw)


def test_a_script_that_is_missing_ends_the_server_with_one_line(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, FOLDER / "endpoint.py", tmp_path / "none.json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"scripted endpoint: cannot read {tmp_path / 'none.json'}: No such file or directory\n"
    )


def test_the_demos_script_reviews_a_line_that_its_change_has() -> None:
    review, change = Script.load(FOLDER / "demo.json").plays
    [found] = re.findall(r"```json\n(.*)\n```", review.steps[-1].text or "")
    verdict = json.loads(found)
    [comment] = verdict["comments"]
    [edit] = [step for step in change.steps if step.input.get("file_path") == "{cwd}/greet.py"][1:]
    assert verdict["verdict"] == "comment"
    assert comment["path"] == "greet.py"
    assert comment["line"] <= len(edit.input["new_string"].splitlines())
