"""What a probe finds at servers of each kind, and the limits that follow from it."""

from typing import Any

import pytest
from messages_api import Exchange, serving
from runtime.endpoint import Endpoint, claude_limits, probe, too_small

KEY = "sk-0123456789"
LOADING = (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
REFUSED = (401, {"error": {"code": 401, "message": "Invalid API Key"}})
PROPS = (200, {"default_generation_settings": {"n_ctx": 65536}, "total_slots": 2})

Pages = dict[str, tuple[int, Any]]


def models(*entries: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"object": "list", "data": list(entries)}


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


def test_the_anthropic_api_is_not_called() -> None:
    assert probe(None, KEY, "claude", timeout=1) == Endpoint(reachable=None, window=200_000)


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
    assert "api_key" in (found.error or "")


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
    found, asked = ask({"/v1/models": models({"id": name, "owned_by": "openai"})})
    assert (found.serves_model, found.window, found.error) == (True, None, None)
    assert not any("health" in each for each in asked)


def test_a_server_that_lacks_the_model_is_named_with_what_it_serves() -> None:
    names = [{"id": f"model-{number}"} for number in range(9)]
    found, _ = ask({"/v1/models": models(*names)})
    assert found.serves_model is False
    assert found.error is not None
    assert "does not serve qwen" in found.error
    assert "model-0" in found.error
    assert "model-8" not in found.error


def test_without_a_model_none_is_missed() -> None:
    found, _ = ask({"/v1/models": models({"id": "other"})}, model=None)
    assert (found.serves_model, found.error) == (None, None)


# Answers that say little


def test_a_server_without_a_list_of_models_may_do() -> None:
    found, _ = ask({})
    assert (found.reachable, found.status, found.error) == (True, 404, None)
    assert (found.serves_model, found.window) == (None, None)


def test_an_address_that_ends_with_v1_is_an_error() -> None:
    with serving(lambda exchange: exchange.answer(404, {})) as server:
        found = probe(f"{server.url}/v1", KEY, "qwen", timeout=5)
    assert "must not end with /v1" in (found.error or "")


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


@pytest.mark.parametrize("body", [b"<html>", b"", [], {"data": None}, {"data": ["qwen"]}])
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


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ask({"/v1/models": models({"id": "qwen"})})[0].reachable


# No answer


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


# Limits


@pytest.mark.parametrize(
    ("window", "compact_pct", "limits"),
    [
        (65536, 60, ("65536", "8192", "68.57")),
        (131072, 60, ("131072", "16384", "68.57")),
        (200_000, 60, ("200000", "25000", "66.67")),
        (200_000, 95, ("200000", "25000", "100.00")),
        (1_000_000, 60, ("1000000", "32000", "61.22")),
    ],
)
def test_claude_code_is_limited_to_the_window(
    window: int, compact_pct: int, limits: tuple[str, str, str]
) -> None:
    assert claude_limits(window, compact_pct) == dict(
        zip(
            (
                "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
                "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
                "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE",
            ),
            limits,
            strict=True,
        )
    )


@pytest.mark.parametrize("window", [48_000, 65_536, 131_072, 200_000, 1_000_000])
@pytest.mark.parametrize("compact_pct", [20, 50, 60])
def test_compaction_starts_at_the_rosters_part_of_the_window(window: int, compact_pct: int) -> None:
    limits = claude_limits(window, compact_pct)
    output = int(limits["CLAUDE_CODE_MAX_OUTPUT_TOKENS"])
    effective = window - min(output, 20_000)  # as measured on Claude Code 2.1.331
    percent = float(limits["CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"])
    start = min(effective * percent / 100, effective - 13_000)
    assert start == pytest.approx(window * compact_pct / 100, rel=0.001)


@pytest.mark.parametrize("window", [32_768, 65_536])
def test_a_window_from_32768_on_will_do(window: int) -> None:
    assert too_small(window) is None


def test_a_smaller_window_is_refused_with_advice() -> None:
    advice = too_small(32_767)
    assert advice is not None
    for part in ("32,767", "32,768", "-c 65536", "--parallel 1"):
        assert part in advice
