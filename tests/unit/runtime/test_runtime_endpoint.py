"""What a probe finds at servers of each kind, and the limits that follow from it."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from issue_tracker import IssueTracker
from messages_api import Exchange, Server, serving
from runtime import work
from runtime.settings import load
from runtime.work import EndpointNotReadyError
from workshop import environment, services

from muster import endpoint
from muster.doctor import probe as probe_in_container
from muster.endpoint import Endpoint, ask_model, probe, too_small

KEY = "sk-0123456789"
OAUTH = "sk-ant-oat01-0123456789"
LOADING = (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
REFUSED = (401, {"error": {"code": 401, "message": "Invalid API Key"}})
PROPS = (200, {"default_generation_settings": {"n_ctx": 65536}, "total_slots": 2})

Pages = dict[str, tuple[int, Any]]


def models(*entries: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"object": "list", "data": list(entries)}


def llama_server(exchange: Exchange) -> None:
    pages = {"/v1/models": models(llama()), "/props": PROPS, "/v1/messages": (200, MESSAGE)}
    exchange.answer(*pages[exchange.path])


def llama(**more: object) -> dict[str, Any]:
    return {"id": "qwen.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 32768}, **more}


def ask(pages: Pages, model: str | None = "qwen", key: str = KEY) -> tuple[Endpoint, list[str]]:
    """Probe a server that has these pages; return what was found and what was asked."""

    def script(exchange: Exchange) -> None:
        exchange.answer(*pages.get(exchange.path, (404, {"detail": "Not Found"})))

    with serving(script) as server:
        found = probe(server.url, key, model, timeout=5)
        asked = [f"{each.handler.command} {each.path}" for each in server.requests]
        sent = {each.headers["x-api-key"] for each in server.requests}
        assert sent == {key or None}
    return found, asked


def test_the_key_goes_in_both_headers() -> None:
    with serving(lambda exchange: exchange.answer(*models())) as server:
        probe(server.url, KEY, "qwen", timeout=5)
    headers = server.requests[0].headers
    assert (headers["x-api-key"], headers["Authorization"]) == (KEY, f"Bearer {KEY}")


# llama-server


def test_llama_server_tells_window_and_slots() -> None:
    found, asked = ask({"/v1/models": models(llama()), "/props": PROPS})
    assert asked == ["GET /v1/models", "GET /props"]
    assert (found.reachable, found.status, found.error) == (True, 200, None)
    assert (found.window, found.slots, found.models) == (65536, 2, ("qwen.gguf",))
    assert found.ms is not None


def test_llama_server_does_not_check_the_models_name() -> None:
    found, _ = ask({"/v1/models": models(llama()), "/props": PROPS}, model="any")
    assert found.serves_model is None


@pytest.mark.parametrize("props", [(404, {}), (200, {"default_generation_settings": {"n_ctx": 0}})])
def test_llama_server_without_props_tells_the_window_in_its_models(props: tuple[int, Any]) -> None:
    found, _ = ask({"/v1/models": models(llama()), "/props": props})
    assert (found.window, found.slots, found.error) == (32768, None, None)


def test_a_window_of_zero_is_unknown() -> None:
    props = (200, {"default_generation_settings": {"n_ctx": 0}, "total_slots": 1})
    found, _ = ask({"/v1/models": models(llama(meta={"n_ctx": 0})), "/props": props})
    assert found.window is None


@pytest.mark.parametrize(
    "pages",
    [
        {"/v1/models": LOADING},
        # Older servers list the model while they load it.
        {"/v1/models": models(llama(meta=None)), "/props": LOADING},
    ],
)
def test_llama_server_may_be_loading(pages: Pages) -> None:
    found, _ = ask(pages)
    assert (found.reachable, found.status, found.loading) == (True, 503, True)
    assert "loading" in (found.error or "")


def test_llama_server_refuses_a_wrong_key_behind_its_public_list() -> None:
    found, _ = ask({"/v1/models": models(llama()), "/props": REFUSED})
    assert (found.refused, found.status) == (True, 401)
    assert "muster key" in (found.error or "")


# llama-server that runs several models


def routed(state: str, **more: object) -> Pages:
    return {
        "/v1/models": models(
            llama(id="other", status={"value": "unloaded"}),
            llama(id="team/qwen:Q4", aliases=["qwen"], status={"value": state}, **more),
        ),
        "/props?model=team%2Fqwen%3AQ4&autoload=false": PROPS,
    }


@pytest.mark.parametrize("model", ["qwen", "team/qwen:Q4"])
def test_a_router_tells_window_and_slots_of_a_loaded_model(model: str) -> None:
    found, _ = ask(routed("loaded"), model)
    assert (found.serves_model, found.window, found.slots) == (True, 65536, 2)


def test_a_router_is_not_made_to_load_a_model() -> None:
    found, asked = ask(routed("unloaded"))
    assert asked == ["GET /v1/models"]
    assert (found.serves_model, found.window, found.error) == (True, None, None)


def test_a_router_may_be_loading() -> None:
    assert ask(routed("loading"))[0].loading


def test_a_router_checks_the_models_name() -> None:
    found, _ = ask(routed("loaded"), "gone")
    assert found.serves_model is False
    assert "gone" in (found.error or "")


# Other servers


def test_vllm_tells_the_window() -> None:
    found, asked = ask({"/v1/models": models({"id": "qwen", "max_model_len": 40960})})
    assert (found.serves_model, found.window, found.slots) == (True, 40960, None)
    assert asked == ["GET /v1/models"]


def test_ollama_tells_the_window_of_a_loaded_model() -> None:
    pages = {
        "/v1/models": models({"id": "qwen:latest", "owned_by": "library"}),
        "/api/ps": (200, {"models": [{"name": "qwen:latest", "context_length": 65536}]}),
    }
    found, asked = ask(pages)
    assert (found.serves_model, found.window) == (True, 65536)
    assert asked == ["GET /v1/models", "GET /api/ps"]
    assert found.server == "Ollama"


@pytest.mark.parametrize(
    ("parameters", "window"), [("stop  <eos>\nnum_ctx    49152\n", 49152), ("stop  <eos>", None)]
)
def test_ollama_tells_the_window_that_a_modelfile_sets(parameters: str, window: int | None) -> None:
    pages = {
        "/v1/models": models({"id": "qwen:latest", "owned_by": "library"}),
        "/api/ps": (200, {"models": []}),
        "/api/show": (200, {"parameters": parameters, "model_info": {"x.context_length": 9}}),
    }
    found, asked = ask(pages)
    assert (found.window, found.error) == (window, None)
    assert asked[-1] == "POST /api/show"


@pytest.mark.parametrize(
    ("state", "window"), [({"loaded_context_length": 36864}, 36864), ({}, None)]
)
def test_lm_studio_tells_the_window_of_a_loaded_model_only(
    state: dict[str, int], window: int | None
) -> None:
    entry = {"id": "qwen", "max_context_length": 262144, **state}
    pages = {
        "/v1/models": models({"id": "qwen", "owned_by": "organization_owner"}),
        "/api/v0/models": models(entry),
    }
    found, asked = ask(pages)
    assert (found.serves_model, found.window) == (True, window)
    assert asked == ["GET /v1/models", "GET /api/v0/models"]


@pytest.mark.parametrize("name", ["qwen", "q*", "*"])
def test_litellm_is_not_asked_for_its_health(name: str) -> None:
    about = {"model_name": name, "litellm_params": {}, "model_info": {"max_input_tokens": 131072}}
    pages = {
        "/v1/models": models({"id": name, "owned_by": "openai"}),
        "/model/info": (200, {"data": [about]}),
    }
    found, asked = ask(pages)
    assert (found.server, found.serves_model, found.window) == ("LiteLLM", True, 131072)
    assert not any("health" in each for each in asked)


def test_litellm_without_a_database_refuses_a_wrong_key_with_400() -> None:
    error = {"message": "No connected db.", "type": "no_db_connection", "code": "400"}
    found, _ = ask({"/v1/models": (400, {"error": error})})
    assert (found.refused, found.status) == (True, 400)


@pytest.mark.parametrize("name", ["context_length", "context_window", "max_input_tokens"])
def test_hosted_endpoints_tell_the_window_in_their_models(name: str) -> None:
    found, asked = ask({"/v1/models": models({"id": "qwen", name: 131072})})
    assert (found.serves_model, found.window, asked) == (True, 131072, ["GET /v1/models"])


def test_a_list_of_models_may_have_several_pages() -> None:
    page = {"data": [{"id": "other"}], "has_more": True}
    alone = (200, {"id": "qwen", "max_input_tokens": 200_000})
    found, asked = ask({"/v1/models": (200, page), "/v1/models/qwen": alone})
    assert (found.serves_model, found.window) == (True, 200_000)
    assert ask({"/v1/models": (200, page)})[0].serves_model is False
    assert asked == ["GET /v1/models", "GET /v1/models/qwen"]


def test_a_server_that_lacks_the_model_is_named_with_what_it_serves() -> None:
    found, _ = ask({"/v1/models": models({"id": "qwen-2"}, {"id": "gemma"})})
    assert found.serves_model is False
    assert found.error == (
        "the endpoint does not serve qwen: set model to one that it serves (qwen-2, gemma)"
    )


def test_of_many_models_the_nearest_are_named() -> None:
    names = [{"id": f"vendor/other-{number}"} for number in range(300)]
    found, _ = ask({"/v1/models": models(*names, {"id": "vendor/qwen"})})
    assert "(vendor/qwen, " in (found.error or "")
    assert "and 293 others)" in (found.error or "")


def test_without_a_model_none_is_missed() -> None:
    found, _ = ask({"/v1/models": models({"id": "other"})}, model=None)
    assert (found.serves_model, found.error) == (None, None)


# Answers that say little


def test_a_server_without_a_list_of_models_may_do() -> None:
    found, _ = ask({})
    assert (found.reachable, found.status, found.error) == (True, 404, None)
    assert (found.serves_model, found.window) == (None, None)


def test_a_page_in_place_of_an_answer_is_not_a_refused_key() -> None:
    found, _ = ask({"/v1/models": (403, b"<html>Forbidden</html>")})
    assert not found.refused
    assert "a proxy or firewall in front of it" in (found.error or "")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_an_error(status: int) -> None:
    found, _ = ask({"/v1/models": (status, {"error": "no"})})
    assert (found.reachable, found.refused, found.status) == (True, True, status)
    assert KEY not in (found.error or "")


@pytest.mark.parametrize("status", [302, 500, 503])
def test_another_status_is_an_error(status: int) -> None:
    found, _ = ask({"/v1/models": (status, {})})
    assert (found.reachable, found.loading) == (True, False)
    assert f"HTTP {status}" in (found.error or "")


@pytest.mark.parametrize("body", [b"<html>", b"", [], {}, {"data": None}, {"data": 1}])
def test_an_answer_of_another_form_is_a_missing_model(body: object) -> None:
    found, _ = ask({"/v1/models": (200, body)})
    assert (found.reachable, found.serves_model, found.models) == (True, False, ())


def test_a_redirect_is_not_followed() -> None:
    with serving(lambda exchange: exchange.answer(200, {})) as other:

        def script(exchange: Exchange) -> None:
            exchange.answer(307, b"", Location=f"{other.url}/v1/models")

        with serving(script) as server:
            probe(server.url, KEY, "qwen", timeout=5)
    assert other.requests == []


def test_no_key_is_sent_if_there_is_none() -> None:
    assert ask({"/v1/models": models({"id": "qwen"})}, key="")[0].serves_model


def test_a_private_address_is_reached_without_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ask({"/v1/models": models({"id": "qwen"})})[0].reachable


def test_other_endpoints_are_reached_through_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(lambda exchange: exchange.answer(404, {})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert probe("http://model.invalid", KEY, "qwen", timeout=5).reachable
    assert proxy.paths == ["http://model.invalid/v1/models"]


# No answer


def test_a_proxy_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:word@127.0.0.1:1")
    found = probe("https://model.invalid", KEY, "qwen", timeout=5)
    assert found.error == (
        "cannot reach model.invalid through the proxy 127.0.0.1:1 (Connection refused): check the "
        "proxy, or add the host to NO_PROXY in env"
    )


def test_a_server_that_does_not_run_is_unreachable() -> None:
    with serving(lambda exchange: exchange.answer(200, {})) as server:
        pass
    found = probe(server.url, KEY, "qwen", timeout=5)
    assert (found.reachable, found.status) == (False, None)
    assert found.error is not None
    assert f"127.0.0.1:{server.port} (Connection refused)" in found.error
    assert "host.docker.internal" in found.error


def test_a_name_that_is_not_found_is_unreachable() -> None:
    found = probe("http://me:password@nowhere.invalid:8080", KEY, "qwen", timeout=5)
    assert found.reachable is False
    assert found.error is not None
    assert found.error.startswith("cannot reach nowhere.invalid:8080 (")
    assert "--host 0.0.0.0" in found.error


def test_a_silent_server_is_unreachable() -> None:
    def script(exchange: Exchange) -> None:
        exchange.wait_until_closed()

    with serving(script) as server:
        found = probe(server.url, KEY, "qwen", timeout=0.2)
    assert found.reachable is False
    assert "no answer within 0.2 s" in (found.error or "")


def test_a_server_that_fails_between_two_pages_is_unreachable() -> None:
    def script(exchange: Exchange) -> None:
        if exchange.path == "/props":
            exchange.cut()
        else:
            exchange.answer(*models(llama()))

    with serving(script) as server:
        assert probe(server.url, KEY, "qwen", timeout=5).reachable is False


# Windows


@pytest.mark.parametrize("window", [32_768, 65_536])
def test_a_window_from_32768_on_will_do(window: int) -> None:
    assert too_small(window) is None


def test_a_smaller_window_is_refused_with_advice() -> None:
    advice = too_small(32_767)
    assert advice is not None
    for part in ("32,767", "32,768", "-c 65536", "--parallel 1"):
        assert part in advice


# The Anthropic API


@pytest.fixture
def anthropic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Stand in for the Anthropic API: it lists a model, and checks how the key is sent."""

    def script(exchange: Exchange) -> None:
        bearer = exchange.headers["Authorization"] == f"Bearer {OAUTH}"
        with_token = bearer and exchange.headers["anthropic-beta"] == endpoint.OAUTH_BETA
        with_key = exchange.headers["x-api-key"] == KEY and not exchange.headers["Authorization"]
        if not (with_token or with_key):
            exchange.answer(401, {"error": {"type": "authentication_error", "message": "invalid"}})
        elif exchange.path == "/v1/models?limit=1000":
            exchange.answer(200, {"data": [{"type": "model", "id": "claude-new-1"}]})
        elif exchange.path == "/v1/models/claude-new":
            exchange.answer(200, {"type": "model", "id": "claude-new-1"})
        elif exchange.path == "/v1/messages":
            exchange.answer(200, MESSAGE)
        else:
            exchange.answer(404, {"error": {"type": "not_found_error", "message": "no"}})

    with serving(script) as server:
        monkeypatch.setattr(endpoint, "ANTHROPIC", server.url)
        yield server


@pytest.mark.parametrize("key", [KEY, OAUTH])
@pytest.mark.parametrize(
    ("model", "serves"),
    [
        ("claude-new-1", True),
        ("claude-new-1[1m]", True),
        ("claude-new", True),
        ("claude-old", False),
        ("opus", None),
        (None, None),
    ],
)
def test_the_anthropic_api_lists_models_to_both_kinds_of_keys(
    anthropic: Server,
    key: str,
    model: str | None,
    serves: bool | None,  # noqa: FBT001
) -> None:
    found = probe(None, key, model)
    assert (found.reachable, found.status, found.refused) == (True, 200, False)
    assert found.serves_model is serves
    assert all(each.handler.command == "GET" for each in anthropic.requests)


@pytest.mark.parametrize("key", ["sk-ant-api03-wrong", "sk-ant-oat01-wrong"])
def test_the_anthropic_api_refuses_wrong_keys(anthropic: Server, key: str) -> None:
    found = probe(None, key, "opus")
    assert (found.refused, found.status, len(anthropic.requests)) == (True, 401, 1)


def test_an_agent_waits_while_the_anthropic_api_refuses_its_key(
    anthropic: Server, tmp_path: Path
) -> None:
    given = environment(ANTHROPIC_API_KEY="sk-ant-wrong")
    del given["ANTHROPIC_BASE_URL"]
    agent = services(tmp_path, IssueTracker(), load(given))
    with pytest.raises(EndpointNotReadyError, match="refused the key"):
        work.probe(agent)
    assert isinstance(agent.reporter.state.endpoint, dict)
    assert agent.reporter.state.endpoint["status"] == 401
    assert [each.path for each in anthropic.requests] == ["/v1/models?limit=1000"]


# One real request

MESSAGE = {
    "type": "message",
    "content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "ready"}],
    "usage": {"input_tokens": 12, "output_tokens": 3},
}


def test_a_model_that_is_asked_replies_within_few_tokens() -> None:
    with serving(lambda exchange: exchange.answer(200, MESSAGE)) as server:
        reply = ask_model(server.url, KEY, "qwen", timeout=5)
    [sent] = server.requests
    assert (reply.ok, reply.text, reply.tokens) == (True, "ready", 15)
    assert 0 < reply.seconds < 5
    assert (sent.path, sent.json["model"], sent.json["max_tokens"]) == ("/v1/messages", "qwen", 16)


def test_without_a_model_the_first_of_the_list_is_asked(anthropic: Server) -> None:
    assert ask_model(None, KEY, None, timeout=5).ok
    assert anthropic.requests[-1].json["model"] == "claude-new-1"


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (404, {"detail": "Not Found"}, "HTTP 404: Not Found (Claude Code needs a server with"),
        (404, {"error": {"message": "model 'qwen' not found"}}, "HTTP 404: model 'qwen' not found"),
        (401, {"error": {"message": f"wrong: {KEY}"}}, "HTTP 401: wrong: …"),
        (500, b"<html>", "HTTP 500"),
        (200, {"choices": []}, "HTTP 200"),
    ],
)
def test_a_model_that_does_not_reply_says_why(status: int, body: object, text: str) -> None:
    with serving(lambda exchange: exchange.answer(status, body)) as server:
        reply = ask_model(server.url, KEY, "qwen", timeout=5)
    assert not reply.ok
    assert reply.text.startswith(text)
    assert KEY not in reply.text


# In a container


def run(folder: Path, pages: list[dict[str, Any]], *questions: dict[str, Any]) -> dict[str, Any]:
    for name, text in probe_in_container.files({"pages": pages, "endpoints": questions}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    command = [sys.executable, "-I", "-c", probe_in_container.SCRIPT, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_it_answers_questions_without_muster_and_says_why_nothing_answered(tmp_path: Path) -> None:
    with serving(llama_server) as server, serving(lambda each: each.answer(302, {})) as moved:
        asked = {"key": KEY, "model": "qwen", "way": {}}
        up = {"url": server.url, "ask": True, **asked}
        down = {"url": "http://127.0.0.1:1", "ask": True, **asked}
        urls = [moved.url, "http://127.0.0.1:1/", "http://no.invalid/"]
        document = run(tmp_path, [{"url": url, "way": {}} for url in urls], up, down)
    assert document["pages"] == [
        {"status": 302, "error": ""},
        {"status": None, "error": "Connection refused"},
        {"status": None, "error": "the host name is not known"},
    ]
    first, second = document["endpoints"]
    assert (first["found"]["window"], first["reply"]["text"]) == (65536, "ready")
    assert (second["found"]["cause"], second["reply"]) == ("Connection refused", None)


def test_it_runs_with_the_oldest_python_that_it_promises() -> None:
    for name, text in probe_in_container.files({}).items():
        if name.endswith(".py"):
            ast.parse(text, feature_version=(3, 7))


def test_it_takes_an_agents_proxies_there(tmp_path: Path) -> None:
    with serving(lambda exchange: exchange.answer(200, {})) as proxy:
        way = {"proxies": [["http_proxy", proxy.url], ["no_proxy", "excepted.invalid"]]}
        pages = [
            {"url": f"http://{host}.invalid/v1/models", "way": way}
            for host in ("model", "excepted")
        ]
        document = run(tmp_path, pages)
    assert [page["status"] for page in document["pages"]] == [200, None]
    assert proxy.paths == ["http://model.invalid/v1/models"]
