"""What an endpoint says about itself, asked without inference."""

import fnmatch
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from runtime.endpoint_client import Client, cause

ANTHROPIC_WINDOW = 200_000
SMALLEST_WINDOW = 32_768
LARGEST_OUTPUT = 32_000
OUTPUT_SHARE = 8
"""The part of the window, 1/8, that an answer may fill."""

RESERVED_OUTPUT = 20_000
"""Claude Code keeps at most this much of the window free for an answer."""

SHOWN_MODELS = 5
BASE_URL_WITH_V1 = "base_url must not end with /v1: Claude Code adds /v1/messages to it"


@dataclass(frozen=True)
class Endpoint:
    """What a probe found.

    Attributes:
        reachable: Whether the endpoint answered; None for the Anthropic API, which is not asked.
        status: The HTTP status of the answer that decided.
        ms: Milliseconds to the first answer.
        loading: Whether it is loading its model.
        refused: Whether it refused the key.
        serves_model: Whether it serves the model; None if it does not say, or does not check.
        models: The models that it lists.
        window: The context window of one request, in tokens.
        slots: How many requests it works on at a time.
        error: What is wrong and what to do, in one sentence.
    """

    reachable: bool | None
    status: int | None = None
    ms: int | None = None
    loading: bool = False
    refused: bool = False
    serves_model: bool | None = None
    models: tuple[str, ...] = ()
    window: int | None = None
    slots: int | None = None
    error: str | None = None


def probe(url: str | None, key: str, model: str | None, *, timeout: float) -> Endpoint:
    """Ask an endpoint for its models, its window and its slots.

    Args:
        url: Its address without a trailing slash; None is the Anthropic API.
        key: Its key.
        model: The model that the agent uses.
        timeout: Seconds to wait for each sign of life.
    """
    if url is None:
        return Endpoint(reachable=None, window=ANTHROPIC_WINDOW)
    with Client(url, key, timeout) as client:
        try:
            return _ask(client, model)
        except requests.RequestException as error:
            return Endpoint(reachable=False, error=_unreachable(url, error, timeout))


def claude_limits(window: int, compact_pct: float) -> dict[str, str]:
    """Return the environment that makes Claude Code compact at a part of the window.

    Claude Code 2.1.331 compacts above min(effective x PCT / 100, effective - 13000), where
    effective = window - min(output, 20000). In windows below about 47,000 tokens the second term
    is the smaller one, so that compaction comes before 60 % of the window.

    Args:
        window: The context window in tokens.
        compact_pct: The part of the window, in percent.
    """
    output = min(window // OUTPUT_SHARE, LARGEST_OUTPUT)
    effective = window - min(output, RESERVED_OUTPUT)
    pct = min(100.0, window * compact_pct / effective)
    return {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(window),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(output),
        "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": f"{pct:.2f}",
    }


def too_small(window: int) -> str | None:
    """Return what to do about a window in which Claude Code cannot work; None if it can."""
    if window >= SMALLEST_WINDOW:
        return None
    return (
        f"the model's context window has {window:,} tokens, but Claude Code needs at least "
        f"{SMALLEST_WINDOW:,}: start llama-server with -c 65536 --parallel 1 "
        "(-c is shared by all slots of --parallel)"
    )


def _ask(client: Client, model: str | None) -> Endpoint:
    answer = client.get("/v1/models")
    entries = answer.objects("data")
    models = tuple(str(entry.get("id")) for entry in entries)
    found = Endpoint(reachable=True, status=answer.status, ms=answer.ms, models=models)
    if answer.is_loading:
        return _loading(found)
    if answer.is_refusal:
        return _refused(found)
    if answer.status == requests.codes.not_found:  # The Messages API alone is enough.
        return replace(found, error=BASE_URL_WITH_V1 if client.url.endswith("/v1") else None)
    if answer.status != requests.codes.ok:
        return replace(found, error=f"the endpoint answered HTTP {answer.status} to /v1/models")
    if any(entry.get("owned_by") == "llamacpp" for entry in entries):
        return _ask_llama_server(client, found, entries, model)
    return _ask_other(client, found, entries, model)


def _ask_llama_server(
    client: Client, found: Endpoint, entries: list[dict[str, Any]], model: str | None
) -> Endpoint:
    if "status" in entries[0]:
        return _ask_router(client, found, entries, model)
    return _with_props(client, found, entries[0], "/props")


def _ask_router(
    client: Client, found: Endpoint, entries: list[dict[str, Any]], model: str | None
) -> Endpoint:
    """Ask a llama-server that runs one server per model; it checks the model's name."""
    if model is None:
        return found
    entry = _entry_of(model, entries)
    if entry is None:
        return _without_model(found, model)
    found = replace(found, serves_model=True)
    state = _text(entry.get("status"), "value")
    if state == "loading":
        return _loading(found)
    if state not in {"loaded", "sleeping"}:
        return found
    name = quote(str(entry.get("id")), safe="")
    return _with_props(client, found, entry, f"/props?model={name}&autoload=false")


def _with_props(client: Client, found: Endpoint, entry: dict[str, Any], path: str) -> Endpoint:
    props = client.get(path)
    if props.is_loading:
        return _loading(replace(found, status=props.status))
    if props.is_refusal:  # llama-server lists its models to everybody.
        return _refused(replace(found, status=props.status))
    settings = props.body if isinstance(props.body, dict) else {}
    window = _number(settings.get("default_generation_settings"), "n_ctx")
    return replace(
        found,
        window=window or _number(entry.get("meta"), "n_ctx"),
        slots=_number(settings, "total_slots"),
    )


def _ask_other(
    client: Client, found: Endpoint, entries: list[dict[str, Any]], model: str | None
) -> Endpoint:
    if model is None:
        return found
    entry = _entry_of(model, entries)
    if entry is None:
        return _without_model(found, model)
    window = _number(entry, "max_model_len")  # vLLM
    if window is None and entry.get("owned_by") == "organization_owner":
        window = _window_of_lm_studio(client, str(entry.get("id")))
    elif window is None:
        window = _window_of_ollama(client, str(entry.get("id")))
    return replace(found, serves_model=True, window=window)


def _window_of_lm_studio(client: Client, model: str) -> int | None:
    """Return the window of a loaded model; `max_context_length` is only what it could have."""
    for entry in client.get("/api/v0/models").objects("data"):
        if entry.get("id") == model:
            return _number(entry, "loaded_context_length")
    return None


def _window_of_ollama(client: Client, model: str) -> int | None:
    """Return the window of a loaded model, or the one that its Modelfile sets."""
    running = client.get("/api/ps")
    if not (isinstance(running.body, dict) and "models" in running.body):
        return None
    for entry in running.objects("models"):
        if entry.get("name") == model:
            return _number(entry, "context_length")
    shown = client.post("/api/show", {"model": model})
    setting = re.search(r"^num_ctx\s+(\d+)", _text(shown.body, "parameters"), re.MULTILINE)
    return int(setting[1]) if setting else None


def _entry_of(model: str, entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return a model's entry: by name, by alias, by Ollama's default tag, by LiteLLM's wildcard."""
    for entry in entries:
        name = str(entry.get("id"))
        aliases = entry.get("aliases") or ()
        if model == name or model in aliases or name == f"{model}:latest":
            return entry
        if "*" in name and fnmatch.fnmatchcase(model, name):
            return entry
    return None


def _loading(found: Endpoint) -> Endpoint:
    return replace(found, loading=True, error="the endpoint is loading its model; wait")


def _refused(found: Endpoint) -> Endpoint:
    message = f"the endpoint refused the key (HTTP {found.status}): check the agent's api_key"
    return replace(found, refused=True, error=message)


def _without_model(found: Endpoint, model: str) -> Endpoint:
    names = ", ".join(found.models[:SHOWN_MODELS]) or "no model"
    more = ", …" if len(found.models) > SHOWN_MODELS else ""
    message = (
        f"the endpoint does not serve {model}: set model to one that it serves ({names}{more})"
    )
    return replace(found, serves_model=False, error=message)


def _unreachable(url: str, error: requests.RequestException, timeout: float) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if isinstance(error, requests.exceptions.SSLError):
        return f"{host} is not trusted ({cause(error)}): add its CA to the agent's image"
    reason = (
        f"no answer within {timeout:g} s" if isinstance(error, requests.Timeout) else cause(error)
    )
    if parts.hostname in {"localhost", "127.0.0.1", "::1"}:
        return (
            f"cannot reach {host} ({reason}): in the agent's container this is the container "
            "itself; use host.docker.internal in base_url"
        )
    return (
        f"cannot reach {host} ({reason}): start the model server on an address that containers "
        "reach (llama-server: --host 0.0.0.0), or correct base_url"
    )


def _text(value: object, name: str) -> str:
    return str(value.get(name, "")) if isinstance(value, dict) else ""


def _number(value: object, name: str) -> int | None:
    number = value.get(name) if isinstance(value, dict) else None
    return number if isinstance(number, int) and number > 0 else None
