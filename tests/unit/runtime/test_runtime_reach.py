"""Which requests would have the endpoint reach other hosts for a session."""

import http.client
import json
from typing import Any

import pytest
from runtime.gateway import Gateway, Upstream
from runtime.reach import outside

IMAGE = {"type": "image", "source": {"type": "url", "url": "http://x.invalid/?data"}}


def request(*content: Any, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"model": "m", "messages": [{"role": "user", "content": list(content)}], **more}


@pytest.mark.parametrize(
    "asked",
    [
        request(mcp_servers=[{"type": "url", "url": "http://x.invalid"}]),
        request(container={"skills": []}),
        request(tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}]),
        request(tools=[{"name": "Bash"}, {"type": "web_search_20250305", "name": "web_search"}]),
        request(tools=[{"type": "code_execution_20250522", "name": "code_execution"}]),
        request(tools=[{"type": "mcp_toolset", "mcp_server_name": "x"}]),
        request(IMAGE),
        request({"type": "document", "source": {"type": "url", "url": "http://x.invalid"}}),
        request({"type": "tool_result", "tool_use_id": "1", "content": [IMAGE]}),
    ],
)
def test_a_request_that_leads_out_is_recognised(asked: dict[str, Any]) -> None:
    assert outside(asked)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"messages": "text", "tools": None},
        {"messages": [{"role": "user", "content": "a source of type url"}]},
        request({"type": "text", "text": '{"source": {"type": "url"}}'}),
        request({"type": "image", "source": {"type": "base64", "data": "eA=="}}),
        request({"type": "tool_use", "input": {"source": {"type": "url"}}}),
        request(tools=[{"name": "Bash", "input_schema": {"type": "object"}}]),
        request(tools=[{"type": "custom", "name": "Edit"}, {"type": "bash_20250124"}]),
    ],
)
def test_another_request_is_passed_on(asked: dict[str, Any]) -> None:
    assert outside(asked) is None


def test_the_gateway_refuses_it_and_asks_no_endpoint() -> None:
    nowhere = Upstream("http://127.0.0.1:9", lambda: "key", anthropic=False)
    with Gateway(nowhere, tokens=None) as gateway:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        body = json.dumps(request(mcp_servers=[{"url": "http://x.invalid"}]))
        connection.request("POST", "/v1/messages", body, {"x-api-key": gateway.key})
        answer = connection.getresponse()
        assert answer.status == 400
        assert b"mcp_servers is not offered" in answer.read()
        connection.close()
        assert gateway.failure is None
