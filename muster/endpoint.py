"""What an endpoint reports about itself, without inference: a request here never costs anything.

The agents' runtime imports this module. For `muster doctor` it also runs in a container on the
agents' network, in any image with Python 3.7 or later, next to `muster.hosts`. So both need the
standard library alone.

`/health` is not used: only llama-server has it without a catch. Ollama, LM Studio and hosted
endpoints do not have it, and LiteLLM's calls, and bills, every model.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

from muster.hosts import is_loopback, proxies, proxy_for

ANTHROPIC = "https://api.anthropic.com"
OAUTH_PREFIX = "sk-ant-oat"
"""Begins the tokens of Claude subscriptions, which `claude setup-token` prints."""

OAUTH_BETA = "oauth-2025-04-20"
"""The beta without which the Anthropic API refuses these tokens."""

TIMEOUT = 10.0
"""Seconds to wait for each sign of life from a server."""

REPLY_TIMEOUT = 300.0
"""Seconds to wait for a model's reply: the server may have to load the model, or be busy."""

SMALLEST_WINDOW = 32_768
ANSWER_LIMIT = 4 * 1024 * 1024
SHOWN_MODELS = 8
SHOWN_TEXT = 200
REPLY_TOKENS = 16

_SERVERS = {
    "library": "Ollama",
    "llamacpp": "llama-server",
    "organization_owner": "LM Studio",
    "sglang": "SGLang",
    "vllm": "vLLM",
}
"""Servers by `owned_by` in their lists of models."""

_WINDOWS = ("max_model_len", "context_length", "context_window", "max_input_tokens")
"""The window in lists of models: vLLM and SGLang; OpenRouter and Together; Groq; Anthropic."""

_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _UNAVAILABLE = (
    http.HTTPStatus.OK,
    http.HTTPStatus.BAD_REQUEST,
    http.HTTPStatus.UNAUTHORIZED,
    http.HTTPStatus.FORBIDDEN,
    http.HTTPStatus.NOT_FOUND,
    http.HTTPStatus.SERVICE_UNAVAILABLE,
)


@dataclass(frozen=True)
class Endpoint:
    """What a probe found.

    Attributes:
        reachable: Whether the endpoint answered; None if it was not asked.
        status: The HTTP status of the answer that decided.
        ms: Milliseconds to the first answer.
        server: The server's name, such as `llama-server`; None if it is not known.
        loading: Whether it is loading its model.
        refused: Whether it refused the key.
        serves_model: Whether it serves the model; None if it does not report that, or does not
            check the name.
        models: The models that it lists.
        window: The context window of one request, in tokens.
        slots: How many requests it works on at a time.
        cause: Why there was no answer, in the operating system's words.
        error: What is wrong and what to do, in one sentence.
    """

    reachable: bool | None
    status: int | None = None
    ms: int | None = None
    server: str | None = None
    loading: bool = False
    refused: bool = False
    serves_model: bool | None = None
    models: tuple[str, ...] = ()
    window: int | None = None
    slots: int | None = None
    cause: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Reply:
    """What became of one request for a message.

    Attributes:
        ok: Whether the model replied.
        seconds: How long that took.
        text: The reply's beginning, or what went wrong.
        tokens: Tokens that it used, read and written; None if the endpoint does not report them.
    """

    ok: bool
    seconds: float
    text: str
    tokens: int | None = None


@dataclass(frozen=True)
class Way:
    """How an endpoint is reached.

    Attributes:
        ca: Certificates in PEM to trust besides the system's.
        proxies: Proxies, as `muster.hosts.proxies` returns them, that win over the process's.
    """

    ca: str = field(default="", repr=False)
    proxies: tuple[tuple[str, str], ...] = ()

    def proxy(self, url: str) -> str | None:
        """Return the proxy by which a URL is reached, None if it is reached directly."""
        return proxy_for(url, {**proxies(os.environ), **dict(self.proxies)})

    def handlers(self, url: str) -> list[urllib.request.BaseHandler]:
        """Return what opens a URL this way."""
        context = ssl.create_default_context()
        if self.ca:
            context.load_verify_locations(cadata=self.ca)
        proxy = self.proxy(url)
        named = {} if proxy is None else {urlsplit(url).scheme: proxy}
        return [
            urllib.request.HTTPSHandler(context=context),
            urllib.request.ProxyHandler(named),
        ]


AS_HERE = Way()
"""As this process's environment says."""


class _NoAnswerError(Exception):
    """No answer came; the text is the cause."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect is an answer, and must not get the key."""

    def redirect_request(self, *_: object) -> None:
        """Leave the redirect as it is."""


@dataclass(frozen=True)
class _Answer:
    status: int
    ms: int
    body: Any  # the JSON; None if it is not JSON

    @property
    def is_loading(self) -> bool:
        return self.status == _UNAVAILABLE and "loading model" in str(self.body).lower()

    @property
    def is_refusal(self) -> bool:
        if self.status == _FORBIDDEN:
            return self.body is not None  # else a proxy or a firewall answered, with a page
        # LiteLLM without a database takes only its master key, and answers 400 to any other
        # (BerriAI/litellm#12273).
        without_database = "no_db_connection" in str(self.body)
        return self.status == _UNAUTHORIZED or (self.status == _BAD_REQUEST and without_database)

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Return the objects of a list in the body; nothing if the body has another form."""
        # Together answers with the list alone.
        values = self.body.get(name) if isinstance(self.body, dict) else self.body
        return [each for each in values or () if isinstance(each, dict)] if _is_list(values) else []


class _Client:
    """Sends requests to one endpoint.

    Its methods raise `_NoAnswerError`.
    """

    def __init__(self, url: str | None, key: str, timeout: float, way: Way) -> None:
        self.url = url or ANTHROPIC
        self.is_anthropic = url is None
        self._timeout = timeout
        self._headers = {"User-Agent": "muster", "anthropic-version": "2023-06-01"}
        if key:
            self._headers.update(self._authorization(key))
        self._opener = urllib.request.build_opener(_StayHere, *way.handlers(self.url))

    def _authorization(self, key: str) -> dict[str, str]:
        if not self.is_anthropic:  # servers differ in which one they read
            return {"x-api-key": key, "Authorization": "Bearer " + key}
        if key.startswith(OAUTH_PREFIX):
            return {"Authorization": "Bearer " + key, "anthropic-beta": OAUTH_BETA}
        return {"x-api-key": key}

    def get(self, path: str) -> _Answer:
        return self.send(path, None)

    def send(self, path: str, body: object) -> _Answer:
        """Send a GET request, or a POST request if there is a body."""
        headers = dict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        began = time.monotonic()
        try:
            request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310
            status, text = self._answer(request)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _NoAnswerError(_cause(error, self._timeout)) from None
        ms = round((time.monotonic() - began) * 1000)
        try:
            return _Answer(status, ms, json.loads(text))
        except (ValueError, RecursionError):
            return _Answer(status, ms, None)

    def _answer(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return answer.status, answer.read(ANSWER_LIMIT)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(ANSWER_LIMIT)


def probe(
    url: str | None, key: str, model: str | None, *, way: Way = AS_HERE, timeout: float = TIMEOUT
) -> Endpoint:
    """Ask an endpoint for its models, its window and its slots.

    Args:
        url: Its address without a trailing slash; None is the Anthropic API.
        key: Its key; empty for none.
        model: The model that the agent uses.
        way: How it is reached.
        timeout: Seconds to wait for each sign of life.
    """
    client = _Client(url, key, timeout, way)
    try:
        return _ask_anthropic(client, key, model) if url is None else _ask(client, model)
    except _NoAnswerError as error:
        cause = str(error)
        message = _unreachable(client.url, cause, way.proxy(client.url))
        return Endpoint(reachable=False, cause=cause, error=message)


def too_small(window: int) -> str | None:
    """Return what to do about a window in which Claude Code cannot work; None if it can."""
    if window >= SMALLEST_WINDOW:
        return None
    return (
        f"the model's context window has {window:,} tokens, but Claude Code needs at least "
        f"{SMALLEST_WINDOW:,}: start llama-server with -c 65536 --parallel 1 "
        "(-c is shared by all slots of --parallel)"
    )


def ask_model(
    url: str | None,
    key: str,
    model: str | None,
    *,
    way: Way = AS_HERE,
    timeout: float = REPLY_TIMEOUT,
) -> Reply:
    """Have the model write a word; this is the one request that may cost something."""
    client = _Client(url, key, timeout, way)
    began = time.monotonic()
    try:
        if model is None:  # Claude Code chooses; any will do
            listed = client.get("/v1/models?limit=1000")
            model = _text([*listed.objects("data"), {}][0], "id")
        answer = client.send(
            "/v1/messages",
            {
                "model": model,
                "max_tokens": REPLY_TOKENS,
                "messages": [{"role": "user", "content": "Reply with the word: ready"}],
            },
        )
    except _NoAnswerError as error:
        return Reply(ok=False, seconds=time.monotonic() - began, text=str(error))
    seconds = time.monotonic() - began
    content = answer.body.get("content") if isinstance(answer.body, dict) else None
    if answer.status != _OK or not isinstance(content, list):
        return Reply(ok=False, seconds=seconds, text=_complaint(answer, key))
    blocks = answer.objects("content")
    text = "".join(str(each.get("text", "")) for each in blocks).strip()
    return Reply(ok=True, seconds=seconds, text=text[:SHOWN_TEXT], tokens=_tokens(answer.body))


def _tokens(body: dict[str, Any]) -> int | None:
    used = [_number(body.get("usage"), name) for name in ("input_tokens", "output_tokens")]
    known = [each for each in used if each is not None]
    return sum(known) if known else None


def _complaint(answer: _Answer, key: str) -> str:
    """Return why there is no reply, without the key, which servers may quote."""
    body = answer.body
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail")
    text = " ".join(str(error or "").split())
    text = (text.replace(key, "…") if key else text)[:SHOWN_TEXT]
    said = f"HTTP {answer.status}" + (f": {text}" if text else "")
    if answer.status == _NOT_FOUND and "model" not in text.lower():
        said += " (Claude Code needs a server with the Messages API, /v1/messages)"
    return said


def _ask(client: _Client, model: str | None) -> Endpoint:
    answer = client.get("/v1/models")
    entries = answer.objects("data")
    found = _listed(answer)
    if found.error is not None or answer.status == _NOT_FOUND:
        return found  # the Messages API alone is enough
    if found.server == "llama-server":
        return _ask_llama_server(client, found, entries, model)
    if model is None:
        return found
    entry = _entry_of(model, entries)
    if entry is None and isinstance(answer.body, dict) and answer.body.get("has_more"):
        entry = _entry_alone(client, model)
    if entry is None:
        return _without_model(found, model)
    return _ask_other(client, replace(found, serves_model=True), entry)


def _listed(answer: _Answer) -> Endpoint:
    """Return what the answer to `/v1/models` tells."""
    entries = answer.objects("data")
    found = Endpoint(
        reachable=True,
        status=answer.status,
        ms=answer.ms,
        models=tuple(str(entry.get("id")) for entry in entries),
        server=_SERVERS.get(str(entries[0].get("owned_by"))) if entries else None,
    )
    if answer.is_loading:
        return _loading(found)
    if answer.is_refusal:
        return _refused(found)
    if answer.status in {_OK, _NOT_FOUND}:
        return found
    said = f"the endpoint answered HTTP {answer.status} to /v1/models"
    if answer.status == _FORBIDDEN:
        said += ", with a page that is not JSON: a proxy or firewall in front of it refuses"
    return replace(found, error=said)


def _ask_anthropic(client: _Client, key: str, model: str | None) -> Endpoint:
    answer = client.get("/v1/models?limit=1000")
    if answer.status == _FORBIDDEN and key.startswith(OAUTH_PREFIX):
        # The token of a subscription may do inference alone.
        return Endpoint(reachable=True, status=answer.status, ms=answer.ms)
    found = _listed(answer)
    if found.error is not None or model is None:
        return found
    name = model.replace("[1m]", "")
    entry = _entry_of(name, answer.objects("data"))
    if entry is None and not name.startswith("claude-"):
        return found  # Claude Code has short names: opus, sonnet, haiku
    if entry is None and _entry_alone(client, name) is None:
        return _without_model(found, name)
    return replace(found, serves_model=True)


def _ask_llama_server(
    client: _Client, found: Endpoint, entries: list[dict[str, Any]], model: str | None
) -> Endpoint:
    if "status" in entries[0]:
        return _ask_router(client, found, entries, model)
    return _with_props(client, found, entries[0], "/props")


def _ask_router(
    client: _Client, found: Endpoint, entries: list[dict[str, Any]], model: str | None
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


def _with_props(client: _Client, found: Endpoint, entry: dict[str, Any], path: str) -> Endpoint:
    props = client.get(path)
    if props.is_loading:
        return _loading(replace(found, status=props.status))
    if props.is_refusal:  # llama-server lists its models to everybody
        return _refused(replace(found, status=props.status))
    settings = props.body if isinstance(props.body, dict) else {}
    window = _number(settings.get("default_generation_settings"), "n_ctx")
    return replace(
        found,
        window=window or _number(entry.get("meta"), "n_ctx"),
        slots=_number(settings, "total_slots"),
    )


def _ask_other(client: _Client, found: Endpoint, entry: dict[str, Any]) -> Endpoint:
    """Ask a server for the window of a model that it lists, each in its own way."""
    windows = (_number(entry, name) for name in _WINDOWS)
    window = next((each for each in windows if each is not None), None)
    if window is not None:
        return replace(found, window=window)
    model = str(entry.get("id"))
    if found.server == "LM Studio":
        return replace(found, window=_window_of_lm_studio(client, model))
    running = client.get("/api/ps")
    if isinstance(running.body, dict) and "models" in running.body:
        return replace(found, server="Ollama", window=_window_of_ollama(client, running, model))
    about = client.get("/model/info").objects("data")
    if any("litellm_params" in each for each in about):
        return replace(found, server="LiteLLM", window=_window_of_litellm(about, model))
    return found


def _window_of_lm_studio(client: _Client, model: str) -> int | None:
    """Return the window of a loaded model; `max_context_length` is only what it could have."""
    for entry in client.get("/api/v0/models").objects("data"):
        if entry.get("id") == model:
            return _number(entry, "loaded_context_length")
    return None


def _window_of_ollama(client: _Client, running: _Answer, model: str) -> int | None:
    """Return the window of a loaded model, or the one that its Modelfile sets."""
    for entry in running.objects("models"):
        if entry.get("name") == model:
            return _number(entry, "context_length")
    shown = client.send("/api/show", {"model": model})
    setting = re.search(r"^num_ctx\s+(\d+)", _text(shown.body, "parameters"), re.MULTILINE)
    return int(setting[1]) if setting else None


def _window_of_litellm(about: list[dict[str, Any]], model: str) -> int | None:
    for entry in about:
        if entry.get("model_name") == model:
            return _number(entry.get("model_info"), "max_input_tokens")
    return None


def _entry_alone(client: _Client, model: str) -> dict[str, Any] | None:
    """Return a model's entry that is not on the first page of the list."""
    answer = client.get("/v1/models/" + quote(model, safe=""))
    is_entry = answer.status == _OK and isinstance(answer.body, dict)
    return answer.body if is_entry else None


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
    message = f"the endpoint refused the key (HTTP {found.status}): set another one with muster key"
    return replace(found, refused=True, error=message)


def _without_model(found: Endpoint, model: str) -> Endpoint:
    nearest = found.models
    if len(nearest) > SHOWN_MODELS:
        nearest = tuple(difflib.get_close_matches(model, nearest, n=SHOWN_MODELS, cutoff=0))
    names = ", ".join(nearest) or "no model"
    more = len(found.models) - len(nearest)
    others = f" and {more} other{'s' if more > 1 else ''}" if more > 0 else ""
    message = (
        f"the endpoint does not serve {model}: set model to one that it serves ({names}{others})"
    )
    return replace(found, serves_model=False, error=message)


def _unreachable(url: str, cause: str, proxy: str | None) -> str:
    host = _host(url)
    if proxy is not None:
        return (
            f"cannot reach {host} through the proxy {_host(proxy)} ({cause}): check the proxy, or "
            "add the host to NO_PROXY in env"
        )
    if url == ANTHROPIC:
        return f"cannot reach {host} ({cause}): check the network and its proxy"
    if is_loopback(url):
        return (
            f"cannot reach {host} ({cause}): in the agent's container this is the container "
            "itself; use host.docker.internal in base_url"
        )
    return (
        f"cannot reach {host} ({cause}): start the model server on an address that containers "
        "reach (llama-server: --host 0.0.0.0), or correct base_url"
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _cause(error: BaseException, timeout: float) -> str:
    """Return why a request failed, without the address or the headers, which errors may quote."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.timeout):
        return f"no answer within {timeout:g} s"
    if isinstance(reason, socket.gaierror):
        return "the host name is not known"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {reason.verify_message}"
    return getattr(reason, "strerror", None) or type(reason).__name__


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _text(value: object, name: str) -> str:
    return str(value.get(name, "")) if isinstance(value, dict) else ""


def _number(value: object, name: str) -> int | None:
    number = value.get(name) if isinstance(value, dict) else None
    is_number = isinstance(number, int) and not isinstance(number, bool) and number > 0
    return number if is_number else None


# In a container, for the doctor


def page(question: dict[str, Any]) -> dict[str, object]:
    """GET a page; return its status, or why no answer came."""
    client = _Client(question["url"], "", TIMEOUT, Way(**question["way"]))
    try:
        return {"status": client.get("").status, "error": ""}
    except _NoAnswerError as error:
        return {"status": None, "error": str(error)}


def answered(question: dict[str, Any]) -> dict[str, object]:
    """Probe an endpoint, and ask its model if that is wanted."""
    wanted = question["url"], question["key"], question["model"]
    way = Way(**question["way"])
    found = probe(*wanted, way=way)
    reply = ask_model(*wanted, way=way) if question["ask"] and found.error is None else None
    return {
        "found": dataclasses.asdict(found),
        "reply": dataclasses.asdict(reply) if reply else None,
    }


def main(path: str) -> None:
    """Answer the questions of a file all at once, and print what came as one JSON document."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        asked = json.load(file)
    now = time.time()
    with ThreadPoolExecutor(len(asked["pages"]) + len(asked["endpoints"])) as pool:
        pages = pool.map(page, asked["pages"])
        endpoints = pool.map(answered, asked["endpoints"])
        document = {"time": now, "pages": list(pages), "endpoints": list(endpoints)}
    print(json.dumps(document))  # noqa: T201 - that is what it is for
