"""The agent's settings: what the container's environment may and must say."""

import json
from pathlib import Path
from typing import Any

import pytest
from runtime.settings import REQUIRED, Credential, CredentialError, SettingsError, load
from workshop import KEY, TOKEN, WORK, environment, settings


def test_the_environment_of_a_hired_agent_becomes_its_settings() -> None:
    made = settings(
        AGENT_FORMULA="formulas/own.toml",
        AGENT_ROLES="dev,review",
        ANTHROPIC_BASE_URL="http://models:8080/",
        CLAUDE_AUTOCOMPACT_PCT_OVERRIDE="75",
        CLAUDE_MODEL="qwen",
        FORGE_URL="http://forge:3000/git/",
    )

    assert (made.agent, made.project, made.repo) == ("dev-qwen", "greet", "ann/greet")
    assert made.roles == ("dev", "review")
    assert made.formula == "formulas/own.toml"
    assert made.forge_url == "http://forge:3000/git"
    assert made.endpoint_url == made.endpoint_name == "http://models:8080"
    assert (made.primary_branch, made.poll_interval) == ("main", 30)
    assert (made.model, made.compact_pct) == ("qwen", 75)
    assert (made.forge_token.read(), made.api_key.read()) == (TOKEN, KEY)


def test_the_bot_user_and_its_permission_arrive() -> None:
    made = settings(FORGE_BOT_USER_DEV_QWEN="Dev-Qwen", FORGE_PERMISSION="read")
    assert (made.bot_user, made.bot_email, made.may_write) == ("Dev-Qwen", "", False)
    assert settings().may_write


def test_the_rosters_variables_arrive_apart_from_proxies_and_without_all_others() -> None:
    made = settings(
        MUSTER_ENV="LANG,HTTPS_PROXY,no_proxy,GONE",
        LANG="C.UTF-8",
        HTTPS_PROXY="http://proxy:3128",
        no_proxy="corp",
        OTHER="x",
    )
    assert made.env == {"LANG": "C.UTF-8"}
    assert made.proxies == {"https_proxy": "http://proxy:3128", "no_proxy": "corp"}
    assert settings().env == {}


def test_every_work_setting_arrives_as_the_roster_says_it() -> None:
    different = {
        name: [*value, "more"]
        if isinstance(value, list)
        else not value
        if isinstance(value, bool)
        else value + 1
        if isinstance(value, int)
        else f"other {value}"
        for name, value in WORK.items()
    }

    work = settings(different).work

    assert {name: getattr(work, name) for name in WORK} == different


def test_without_an_endpoint_the_agent_uses_the_anthropic_api() -> None:
    made = settings(ANTHROPIC_BASE_URL="")

    assert made.endpoint_url is None
    assert made.endpoint_name == "the Anthropic API"


def test_a_subscriptions_token_is_the_anthropic_apis_key() -> None:
    token = "sk-ant-oat01-made-up"
    only = {"ANTHROPIC_BASE_URL": "", "ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": token}
    assert settings(None, **only).api_key.read() == token
    assert settings(CLAUDE_CODE_OAUTH_TOKEN=token).api_key.read() == KEY


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("AGENT_FORMULA", "formula", None),
        ("CLAUDE_MODEL", "model", None),
        ("CLAUDE_AUTOCOMPACT_PCT_OVERRIDE", "compact_pct", 60),
    ],
)
@pytest.mark.parametrize("is_empty", [True, False])
def test_what_may_be_left_out_may_be_empty(
    name: str, field: str, value: object, *, is_empty: bool
) -> None:
    made = settings(None, **({name: ""} if is_empty else {}))

    assert getattr(made, field) == value


def error(**changes: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environment(None, **changes))
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message
    assert KEY not in message
    return message


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_variable_that_is_empty_is_named(name: str) -> None:
    assert error(**{name: ""}) == f"missing in the environment: {name}"


def test_all_missing_variables_are_named_at_once() -> None:
    message = error(AGENT_NAME="", FORGE_TOKEN="", ANTHROPIC_BASE_URL="", ANTHROPIC_API_KEY="")

    for name in ("AGENT_NAME", "FORGE_TOKEN_FILE or FORGE_TOKEN", "ANTHROPIC_API_KEY_FILE"):
        assert name in message


def test_an_endpoint_needs_no_key() -> None:
    assert not settings(ANTHROPIC_API_KEY="").api_key.is_given


@pytest.mark.parametrize("name", ["POLL_INTERVAL", "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "²", " 5", "5\n"])
def test_a_number_that_is_none_is_named_with_its_value(name: str, value: str) -> None:
    assert error(**{name: value}) == f"{name} must be a whole number from 1 on (got {value!r})"


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        "null",
        json.dumps(WORK | {"speed": "high"}),
        json.dumps({name: value for name, value in WORK.items() if name != "label"}),
    ],
)
def test_work_settings_of_another_version_ask_for_the_image_that_fits(value: str) -> None:
    assert "Use the image of the Muster version that hired the agent" in error(MUSTER_WORK=value)


def test_settings_can_be_printed_without_their_secrets() -> None:
    printed = f"{settings()!r} {settings()}"

    assert TOKEN not in printed
    assert KEY not in printed


def test_a_credentials_file_comes_before_its_variable(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-the-file\n")

    made = settings(FORGE_TOKEN_FILE=str(tmp_path / "token"))

    assert made.forge_token.read() == "from-the-file"


def test_a_credentials_file_that_is_replaced_counts_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    credential = Credential({"FORGE_TOKEN_FILE": str(file)}, "FORGE_TOKEN")
    assert credential.read() == "old"

    file.write_text("new")

    assert credential.read() == "new"


def refusal(*arguments: Any) -> str:  # noqa: ANN401 - a Credential's
    with pytest.raises(CredentialError) as caught:
        Credential(*arguments).read()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_a_credentials_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    message = refusal({"FORGE_TOKEN_FILE": str(tmp_path / "gone")}, "FORGE_TOKEN")

    assert message == "cannot read FORGE_TOKEN_FILE: No such file or directory"


@pytest.mark.parametrize(
    "secret", [b"", b" \n", b"hidden words", b"hidden\nline", b"hidden\x00", "hídden".encode()]
)
def test_a_secret_that_is_no_token_is_refused_without_being_shown(
    secret: bytes, tmp_path: Path
) -> None:
    (tmp_path / "token").write_bytes(secret)

    message = refusal({"FORGE_TOKEN_FILE": str(tmp_path / "token")}, "FORGE_TOKEN")

    assert message == "FORGE_TOKEN must be one line of ASCII without spaces"


def test_a_secret_that_is_not_utf_8_is_refused_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"hidden\xff\xfe")

    message = refusal({"FORGE_TOKEN_FILE": str(tmp_path / "token")}, "FORGE_TOKEN")

    assert "hidden" not in message
