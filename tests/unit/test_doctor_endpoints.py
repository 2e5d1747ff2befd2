"""What the doctor makes of what endpoints report, as a container on the agents' network saw it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from muster.doctor import endpoints, mends, probe
from muster.doctor.findings import Finding
from muster.doctor.probe import Answer, Page, Question, View
from muster.doctor.subject import Subject
from muster.endpoint import Endpoint, Reply
from muster.roster import load

LLAMA = "http://host.docker.internal:8081"
VLLM = "http://10.0.0.5:8000"
TOML = f"""\
name = "acme"
repo = "acme/site"
forge_url = "http://forge"

[agents.dev-qwen]
base_url = "{LLAMA}"
model = "qwen"

[agents.review-qwen]
base_url = "{LLAMA}"
model = "qwen"
context_window = 65536

[agents.dev-vllm]
base_url = "{VLLM}"
model = "gemma"

[agents.dev-claude]
model = "opus"
"""
KEY = "sk-ant-api03-secret"
UP = Endpoint(reachable=True, status=200, serves_model=True, window=131072)
LLAMA_SERVER = Endpoint(
    reachable=True, status=200, server="llama-server", models=("a.gguf",), window=65536, slots=1
)


class Inside:
    """Stands in for the container: answers as a test wants, and keeps what it was asked."""

    def __init__(self, found: Mapping[str | None, Endpoint], reply: Reply | None = None) -> None:
        self.found, self.reply = found, reply
        self.asked: Sequence[Question] = ()

    def look(
        self, _: object, pages: Sequence[Page], questions: Sequence[Question], **__: object
    ) -> View:
        self.asked = questions
        answers = {
            each: (self.found.get(each.url, UP), self.reply if each.ask else None)
            for each in questions
        }
        return View({page: Answer(200, "") for page in pages}, answers, 0.0)


def found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inside: Inside,
    *,
    key: str = KEY,
    ask_model: bool = False,
) -> list[Finding]:
    """Return what the doctor reports of the endpoints, the forge left out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(endpoints, "has_network", lambda *_: True)
    monkeypatch.setattr(probe, "has_network", lambda *_: True)
    monkeypatch.setattr(probe, "local_image_id", lambda *_: "sha256:1")
    monkeypatch.setattr(endpoints, "_listens_here", lambda _: False)
    monkeypatch.setattr(probe, "look", inside.look)
    path = Path("acme.toml")
    path.write_text(TOML)
    subject = Subject({"ANTHROPIC_API_KEY": key}, mends.Muster(None))
    subject.roster_path.put(path)
    subject.roster.put(load(path))
    subject.stack.put("acme")
    subject.configuration.put({})
    subject.client.put(None)  # type: ignore[arg-type]
    return list(endpoints.served(subject, ask_model=ask_model))[1:]


Report = tuple[bool | None, str, str]


def report(*given: Any, **options: Any) -> list[Report]:  # noqa: ANN401
    return [(each.ok, each.message, each.mend) for each in found(*given, **options)]


def test_each_endpoint_is_described_once_for_the_agents_that_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside({LLAMA: LLAMA_SERVER, None: Endpoint(reachable=True, status=200)})
    where = "seen from network muster-acme"
    assert report(tmp_path, monkeypatch, inside) == [
        (
            True,
            (
                f"{LLAMA} (dev-qwen, review-qwen): llama-server, serves a.gguf under any name, "
                f"window 65,536 tokens, 1 slot, {where}"
            ),
            "",
        ),
        (True, f"{VLLM} (dev-vllm): serves gemma, window 131,072 tokens, {where}", ""),
        (True, f"the Anthropic API (dev-claude): accepts the key, {where}", ""),
    ]
    assert [each.ask for each in inside.asked] == [False] * 3


@pytest.mark.parametrize(
    ("answer", "said", "mend"),
    [
        (
            Endpoint(reachable=False, cause="Connection refused", error="cannot reach it"),
            (
                'acme.toml:6: agent "dev-qwen", base_url: '
                f"{LLAMA} (dev-qwen, review-qwen): does not answer inside network muster-acme: "
                "Connection refused. Start it, with its model, or correct base_url"
            ),
            "llama-server --host 0.0.0.0 --port 8081",
        ),
        (
            Endpoint(reachable=True, status=503, loading=True, error="it is loading"),
            (
                'acme.toml:6: agent "dev-qwen", base_url: '
                f"{LLAMA} (dev-qwen, review-qwen): it is loading"
            ),
            "muster doctor",
        ),
        (
            Endpoint(reachable=True, status=401, refused=True, error="it refused the key"),
            (
                'acme.toml:5: agent "dev-qwen", api_key: '
                f"{LLAMA} (dev-qwen, review-qwen): it refused the key"
            ),
            "muster key dev-qwen",
        ),
        (
            Endpoint(reachable=True, status=200, serves_model=False, error="it serves a, b"),
            (
                'acme.toml:7: agent "dev-qwen", model: '
                f"{LLAMA} (dev-qwen, review-qwen): it serves a, b"
            ),
            "${EDITOR:-vi} +7 acme.toml",
        ),
        (
            Endpoint(reachable=True, status=500, error="HTTP 500\x1b[31m"),
            f'acme.toml:6: agent "dev-qwen", base_url: {LLAMA} (dev-qwen, review-qwen): HTTP 500',
            "${EDITOR:-vi} +6 acme.toml",
        ),
    ],
)
def test_what_is_wrong_is_named_at_its_line_with_what_fixes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Endpoint, said: str, mend: str
) -> None:
    lines = report(tmp_path, monkeypatch, Inside({LLAMA: answer}))
    assert [line for line in lines if not line[0]] == [(False, said, mend)]


def test_a_window_that_is_unknown_or_small_is_a_warning_for_each_agent_that_sets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Endpoint(reachable=True, status=200, serves_model=True, window=8192)
    unknown = Endpoint(reachable=True, status=404)
    lines = found(tmp_path, monkeypatch, Inside({LLAMA: small, VLLM: unknown}))
    warned = [line.message for line in lines if line.is_warning]
    assert warned[0].startswith('acme.toml:5: agent "dev-qwen", context_window: the model')
    assert "needs at least 32,768" in warned[0]
    assert warned[1].endswith(
        "the endpoint does not report its context window: set context_window, "
        "e.g. context_window = 65536"
    )
    assert len(warned) == 2
    assert any("does not list its models" in line.message for line in lines)


def test_a_model_is_asked_only_if_that_is_wanted_and_its_reply_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside({LLAMA: LLAMA_SERVER}, Reply(ok=True, seconds=1.23, text="ready", tokens=15))
    lines = report(tmp_path, monkeypatch, inside, ask_model=True)
    assert (
        True,
        f'{LLAMA} (dev-qwen, review-qwen): qwen replied "ready" in 1.2 s, 15 tokens',
        "",
    ) in lines
    assert len(lines) == 6


def test_a_model_that_does_not_reply_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside({}, Reply(ok=False, seconds=0.4, text="HTTP 404: Not Found"))
    lines = report(tmp_path, monkeypatch, inside, ask_model=True)
    bad = [message for ok, message, _ in lines if ok is False]
    assert bad[0] == (
        f'acme.toml:6: agent "dev-qwen", base_url: {LLAMA} (dev-qwen, review-qwen): qwen did not '
        "reply, after 0.4 s: HTTP 404: Not Found"
    )
    assert len(bad) == 3


def test_the_token_of_a_subscription_asks_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside({}, Reply(ok=True, seconds=1.0, text="ready"))
    lines = report(tmp_path, monkeypatch, inside, key="sk-ant-oat01-secret", ask_model=True)
    assert lines[-1][0] is None
    assert "Claude Code alone" in lines[-1][1]
    assert [each.ask for each in inside.asked] == [True, True, False]


def test_keys_are_in_no_repr() -> None:
    assert KEY not in repr(Question(None, KEY, None))
