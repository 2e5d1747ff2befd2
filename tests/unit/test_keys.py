"""Whose key is whose, and how `muster key` keeps them."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from muster import docker, keys
from muster.cli import endpoint_keys
from muster.cli.screen import Screen
from muster.doctor import probe
from muster.doctor.findings import NotAskedError
from muster.doctor.probe import Question, View
from muster.endpoint import ANTHROPIC, Endpoint
from muster.errors import MusterError
from muster.keys import Keys, KeysError
from muster.roster import Agent, Roster, load

URL = "https://llm.example.org"
KEY, OAUTH = "sk-llm-0123456789", "sk-ant-oat01-0123456789"
TOML = f"""\
name = "acme"
repo = "acme/site"
forge_url = "http://forge"

[agents.dev-own]
base_url = "{URL}/v1"
model = "qwen"

[agents.review-own]
base_url = "{URL}"
model = "qwen"

[agents.dev-local]
base_url = "http://host.docker.internal:8081"
model = "qwen"

[agents.dev-claude]
"""


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    path = tmp_path / "acme.toml"
    path.write_text(TOML)
    return load(path)


# Which key


def of(roster: Roster, found: Keys) -> dict[str, str | None]:
    return {name: found.of(agent) for name, agent in roster.agents.items()}


def test_an_agents_own_key_comes_before_its_endpoints_and_a_placeholder_last(
    roster: Roster,
) -> None:
    found = Keys("anthropic", {"dev-own": "of the agent", URL: "of the endpoint"})
    assert of(roster, found) == {
        "dev-own": "of the agent",
        "review-own": "of the endpoint",
        "dev-local": "sk-no-key-required",
        "dev-claude": "anthropic",
    }
    assert found.real(roster.agents["dev-local"]) is None
    assert of(roster, Keys(None, {"dev-claude": "own"}))["dev-claude"] == "own"
    assert of(roster, Keys())["dev-claude"] is None


def test_an_anthropic_key_never_goes_to_an_own_endpoint(roster: Roster) -> None:
    found = of(roster, Keys("anthropic"))
    assert [name for name, key in found.items() if key == "anthropic"] == ["dev-claude"]


def test_urls_are_read_in_any_form() -> None:
    configured = {"keys": json.dumps({f"{URL}/v1/messages": KEY, "dev-own": KEY})}
    assert keys.find({}, configured.get) == Keys(None, {URL: KEY, "dev-own": KEY})


@pytest.mark.parametrize(
    "written", ["[]", '"x"', "{", '{"a": 1}', '{"a": ""}', '{"a": {"b": "c"}}']
)
def test_other_forms_of_keys_are_told_without_them(written: str) -> None:
    with pytest.raises(KeysError, match="muster key NAME") as error:
        keys.find({}, {"keys": written}.get)
    assert '"c"' not in str(error.value)


def test_keys_are_in_no_repr() -> None:
    assert KEY not in repr(Keys(KEY, {"a": KEY}))


@pytest.mark.parametrize(
    ("name", "key", "variable"),
    [
        ("dev-claude", "sk-ant-api03-x", "ANTHROPIC_API_KEY"),
        ("dev-claude", OAUTH, "CLAUDE_CODE_OAUTH_TOKEN"),
        ("dev-own", OAUTH, "ANTHROPIC_API_KEY"),
    ],
)
def test_claude_code_gets_each_kind_of_key_in_its_variable(
    roster: Roster, name: str, key: str, variable: str
) -> None:
    assert keys.variable(roster.agents[name], key) == variable


# muster key


class StandInEngine:
    """Keeps configuration as Pulumi would."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def keep_secret(self, key: str, value: str) -> None:
        self.kept[key] = value

    def forget(self, key: str) -> None:
        del self.kept[key]

    def configuration(self) -> dict[str, str]:
        own = {
            json.loads(key[len("keys[") : -1]): value
            for key, value in self.kept.items()
            if key.startswith("keys[")
        }
        return {"keys": json.dumps(own)} | {
            key: value for key, value in self.kept.items() if not key.startswith("keys[")
        }


class StandInSession:
    """A session on a roster, without Pulumi."""

    stack = "acme"

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.engine = StandInEngine()
        self.screen = Screen(as_json=True)

    def roster(self) -> Roster:
        return self._roster

    def agents(self, names: Sequence[str]) -> list[Agent]:
        if names[0] not in self._roster.agents:
            raise MusterError(f"no agent {names[0]}")
        return [self._roster.agents[name] for name in names]

    @contextmanager
    def alone(self) -> Iterator[None]:
        yield


UP = Endpoint(reachable=True, status=200, models=("qwen",))
REFUSED = Endpoint(reachable=True, status=401, refused=True, error="refused")
DOWN = Endpoint(reachable=False, cause="Connection refused", error="cannot reach it")


@pytest.fixture
def session(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> StandInSession:
    @contextmanager
    def engine(_: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(docker, "engine", engine)
    return StandInSession(roster)


def answering(
    monkeypatch: pytest.MonkeyPatch, with_key: Endpoint, without: Endpoint = REFUSED
) -> list[Question]:
    asked: list[Question] = []

    def view(_: object, __: object, ___: object, questions: list[Question]) -> View:
        asked.extend(questions)
        return View({}, {each: (with_key if each.key else without, None) for each in questions}, 0)

    monkeypatch.setattr(probe, "view", view)
    return asked


def keep(session: StandInSession, target: str, key: str = KEY) -> None:
    endpoint_keys.keep(session, target, key)  # type: ignore[arg-type]


def remove(session: StandInSession, target: str) -> None:
    endpoint_keys.remove(session, target)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "place", "url", "agents"),
    [
        ("dev-own", 'keys["dev-own"]', URL, ["dev-own"]),
        (f"{URL}/v1/", f'keys["{URL}"]', URL, ["dev-own", "review-own"]),
        ("http://10.0.0.9:1", 'keys["http://10.0.0.9:1"]', "http://10.0.0.9:1", []),
        ("dev-claude", 'keys["dev-claude"]', None, ["dev-claude"]),
        (ANTHROPIC, "anthropicApiKey", None, ["dev-claude"]),
        (f"{ANTHROPIC}/v1/messages", "anthropicApiKey", None, ["dev-claude"]),
    ],
)
def test_a_key_is_tested_and_stored_for_an_agent_or_an_endpoint(  # noqa: PLR0913, PLR0917
    session: StandInSession,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    target: str,
    place: str,
    url: str | None,
    agents: list[str],
) -> None:
    asked = answering(monkeypatch, UP)
    keep(session, target)
    assert session.engine.kept == {place: KEY}
    assert asked == [Question(url, KEY, None), Question(url, "", None)]
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert (report["tested"], report["agents"]) == (True, agents)
    assert KEY not in printed.out + printed.err
    remove(session, target)
    assert session.engine.kept == {}


def test_a_key_that_is_refused_changes_nothing(
    session: StandInSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.engine.keep_secret('keys["dev-own"]', "before")
    answering(monkeypatch, REFUSED)
    with pytest.raises(MusterError, match="refused the key") as error:
        keep(session, "dev-own")
    assert session.engine.kept == {'keys["dev-own"]': "before"}
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("with_key", "without", "why"),
    [
        (DOWN, DOWN, "cannot reach it"),
        (UP, UP, "also answers without a key"),
        (Endpoint(reachable=True, status=403), REFUSED, None),
    ],
)
def test_a_key_that_cannot_be_tested_is_stored_and_that_is_said(  # noqa: PLR0913, PLR0917
    session: StandInSession,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    with_key: Endpoint,
    without: Endpoint,
    why: str | None,
) -> None:
    answering(monkeypatch, with_key, without)
    keep(session, "dev-own")
    assert session.engine.kept == {'keys["dev-own"]': KEY}
    printed = capsys.readouterr()
    assert why is None or why in printed.err
    assert json.loads(printed.out)["tested"] is (why is None)


def test_without_docker_a_key_is_stored_untested(
    session: StandInSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def view(*_: object) -> View:
        raise NotAskedError("no image has a python3 to ask with")

    monkeypatch.setattr(probe, "view", view)
    keep(session, "dev-own")
    assert session.engine.kept == {'keys["dev-own"]': KEY}


def test_a_key_that_is_not_there_is_not_removed(session: StandInSession) -> None:
    for target in ("dev-own", "fired", URL, ANTHROPIC):
        with pytest.raises(MusterError, match=f"has no key of {target}"):
            remove(session, target)


def test_the_key_of_a_fired_agent_can_be_removed(session: StandInSession) -> None:
    session.engine.keep_secret('keys["fired"]', KEY)
    remove(session, "fired")
    assert session.engine.kept == {}


def test_an_unknown_agent_or_a_wrong_url_gets_no_key(
    session: StandInSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, UP)
    with pytest.raises(MusterError):
        keep(session, "nobody")
    with pytest.raises(typer.BadParameter):
        keep(session, "http://localhost:8081")
    assert session.engine.kept == {}


@pytest.mark.parametrize("text", ["", "\n", "two words\n", "schlüssel\n", "a\x1bb\n"])
def test_what_is_no_key_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(typer.BadParameter) as error:
        endpoint_keys.read(Screen())
    assert not text.strip() or text.strip() not in str(error.value)


def test_a_key_is_the_first_line_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f" {KEY}\r\nmore\n"))
    assert endpoint_keys.read(Screen()) == KEY
