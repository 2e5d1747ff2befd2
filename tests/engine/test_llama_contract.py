"""What Claude Code sends, and that the real llama-server serves it."""

import json
from collections.abc import Iterator
from pathlib import Path

import claude_code
import pytest
import requests
import tiny_model
from endpoint import ScriptedEndpoint
from llama_server import llama_server

SCRIPT = {
    "plays": [
        {
            "when": "",
            "steps": [{"tool": "Bash", "input": {"command": "echo called"}}, {"text": "Done."}],
        }
    ]
}

BETAS = ["claude-code-20250219", "interleaved-thinking-2025-05-14", "effort-2025-11-24"]
BODY = {
    *("max_tokens", "messages", "metadata", "model", "output_config", "stream", "system"),
    *("thinking", "tools"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("llama")
    tiny_model.write(folder / "tiny.gguf")
    with llama_server(folder / "tiny.gguf", folder / "server.log") as url:
        yield url


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint(SCRIPT) as started:
        yield started


def test_llama_server_refuses_a_system_message_after_the_first(server: str) -> None:
    messages = [{"role": "user", "content": "Hello"}, {"role": "system", "content": "Hello"}]
    request = {"model": "any", "max_tokens": 10, "messages": messages}
    answer = requests.post(f"{server}/v1/messages", json=request, timeout=10)
    assert answer.status_code == 500
    assert "System message must be at the beginning" in answer.text


def test_a_session_at_llama_server_calls_a_tool_and_ends_as_completed(
    server: str, tmp_path: Path
) -> None:
    session = claude_code.run("Call the tool.", server, tmp_path)
    assert session.code == 0
    assert not [message for message in session.messages if message.get("subtype") == "api_retry"]
    [results] = [message["message"] for message in session.messages if message["type"] == "user"]
    assert results["content"][0]["content"] == "called"
    assert session.result["is_error"] is False
    assert session.result["terminal_reason"] == "completed"
    assert session.result["result"] == tiny_model.ANSWER


def test_requests_have_the_shape_that_the_runtime_relies_on(
    endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    """If a new version of Claude Code fails here, check the gateway against it, then adapt this."""
    session = claude_code.run("Call the tool.", endpoint.url, tmp_path)
    assert session.code == 0
    first, second = endpoint.requests
    assert first.path == "/v1/messages?beta=true"
    assert first.headers["x-api-key"] == "the-key"
    assert "authorization" not in first.headers
    assert first.headers["anthropic-version"] == "2023-06-01"
    assert first.headers["anthropic-beta"].split(",") == BETAS
    assert set(first.body) == BODY
    assert first.body["stream"] is True
    assert first.body["model"] == claude_code.MODEL
    assert [tool["name"] for tool in first.body["tools"]] == ["Bash", "Edit", "Read"]
    assert f"CWD: {tmp_path / 'tree'}\n" in first.body["system"][1]["text"]
    assert [message["role"] for message in first.body["messages"]] == ["user"]
    assert [message["role"] for message in second.body["messages"]] == ["user", "assistant", "user"]
    assert first.session == second.session == session.result["session_id"]


def test_the_first_request_stays_small_for_slow_models(
    endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    claude_code.run("Call the tool.", endpoint.url, tmp_path)
    assert len(json.dumps(endpoint.requests[0].body)) < 5000
