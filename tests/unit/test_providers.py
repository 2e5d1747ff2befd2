"""What the dynamic providers decide: what changes, what is replaced, what is gone."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import DiffResult
from pulumi.runtime import rpc

from components.access_token import AccessTokenProvider
from components.bot_password import BotPasswordProvider
from components.bot_user import BotUserProvider
from components.compose_file import ComposeFileProvider
from components.container_claim import ContainerClaimProvider
from components.credential_files import CredentialFilesProvider
from components.docker_place import OtherEngineError
from components.env_file import EnvFileProvider
from components.provider import Provider
from components.repository_access import RepositoryAccessProvider
from components.token_sweep import TokenSweepProvider
from muster.accounts import STANDING
from muster.credentials import TOKEN_SCOPES
from muster.forge import normalise_scopes

Props = dict[str, Any]

FORGE, USER, MARK = "https://forge.example.org", "dev-qwen", "muster:live/demo/dev-qwen"
NOW = datetime.now(UTC)
SECRET = "0123456789abcdef0123456789abcdef01234567"

BOT_USER: Props = {
    "forge": FORGE,
    "user": USER,
    "mark": MARK,
    "full_name": "dev-qwen (agent of demo, by Muster)",
    "email": "dev-qwen@muster.invalid",
    "adopt": False,
}
PASSWORD: Props = {"forge": FORGE, "user": USER, "mark": MARK, "max_age_days": None}
TOKEN: Props = {
    "forge": FORGE,
    "user": USER,
    "password": "old",
    "scopes": list(TOKEN_SCOPES),
    "repositories": ["acme/demo"],
    "max_age_days": None,
}
ACCESS: Props = {
    "forge": FORGE,
    "repository": "acme/demo",
    "user": USER,
    "mark": "muster:live/demo/dev-qwen",
    "permission": "write",
}
SWEEP: Props = {
    "forge": FORGE,
    "user": USER,
    "mark": "muster:live/demo/dev-qwen",
    "password": "old",
    "kept": 7,
}
PLACE: Props = {
    "docker_host": "unix:///srv/docker.sock",
    "docker_certificates": None,
    "docker_engine": "the-engine",
}
CLAIM: Props = {
    "container": "demo-agents-dev-qwen",
    "helper": "demo-credentials-dev-qwen",
    "volume": "demo-agents-dev-qwen-credentials",
    "labels": {"muster.agent": "dev-qwen"},
    "network": "muster-demo",
    **PLACE,
}
FILES: Props = {
    "volume": "demo-agents-dev-qwen-credentials",
    "path": "/run/secrets/muster",
    "files": {"forge_token": "old"},
    "owner": 1000,
    "helper": "demo-credentials-dev-qwen",
    "labels": {"muster.agent": "dev-qwen"},
    **PLACE,
}
ENV_FILE: Props = {"path": ".env", "values": {"FORGE_TOKEN_X": "t"}}
COMPOSE_FILE: Props = {
    "path": "stacks/live.compose.yaml",
    "text": "name: muster-demo\n",
    "digest": "0a1b2c3d",
}

MADE_USER: Props = {"user_id": 3, "created_at": NOW.isoformat(), "standing": STANDING}
MADE_PASSWORD: Props = {"password": "p", "issued_at": NOW.isoformat()}
MADE_TOKEN: Props = {
    "token": SECRET,
    "token_id": 7,
    "last_eight": SECRET[-8:],
    "granted": sorted(TOKEN_SCOPES),
    "issued_at": NOW.isoformat(),
}

ALL: list[tuple[Provider, Props, Props]] = [
    (BotUserProvider(), BOT_USER, MADE_USER),
    (BotPasswordProvider(), PASSWORD, MADE_PASSWORD),
    (AccessTokenProvider(), TOKEN, MADE_TOKEN),
    (RepositoryAccessProvider(), ACCESS, {}),
    (TokenSweepProvider(), SWEEP, {}),
    (EnvFileProvider(), ENV_FILE, {}),
    (ComposeFileProvider(), COMPOSE_FILE, {}),
    (ContainerClaimProvider(), CLAIM, {}),
    (CredentialFilesProvider(), FILES, {"delivery": "0a1b2c3d"}),
]
each_provider = pytest.mark.parametrize(
    ("provider", "inputs", "made"), ALL, ids=[type(one).__name__ for one, _, _ in ALL]
)


def told(result: DiffResult) -> tuple[bool, list[str]]:
    return bool(result.changes), list(result.replaces or ())


def days_ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat(timespec="seconds")


# What changes


@each_provider
def test_the_same_inputs_change_nothing(provider: Provider, inputs: Props, made: Props) -> None:
    assert told(provider.diff("id", {**inputs, **made}, inputs)) == (False, [])


@each_provider
def test_inputs_that_are_not_known_yet_pass_the_check(
    provider: Provider, inputs: Props, made: Props
) -> None:
    unknown = dict.fromkeys(inputs, rpc.UNKNOWN)
    for olds in ({}, {**inputs, **made}):
        result = provider.check(olds, unknown)
        assert (result.inputs, result.failures) == (unknown, [])


@pytest.mark.parametrize(
    ("provider", "inputs", "made", "changed", "outcome"),
    [
        (*ALL[0], {"user": "other"}, (True, ["user"])),
        (*ALL[0], {"mark": "muster:live/renamed/dev-qwen"}, (True, [])),
        (*ALL[0], {"full_name": "another"}, (True, [])),
        (*ALL[0], {"adopt": True}, (False, [])),
        (*ALL[0], {"email": "dev-qwen@bots.example.org"}, (False, [])),
        (*ALL[1], {"user": "other"}, (True, ["user"])),
        (*ALL[1], {"forge": "https://moved"}, (True, [])),
        (*ALL[1], {"mark": "muster:live/renamed/dev-qwen"}, (True, [])),
        (*ALL[1], {"max_age_days": 90}, (False, [])),
        (*ALL[2], {"user": "other"}, (True, ["user"])),
        (*ALL[2], {"forge": "https://moved"}, (True, [])),
        (*ALL[2], {"scopes": ["read:user"]}, (True, ["scopes"])),
        (*ALL[2], {"password": "new"}, (True, [])),
        (*ALL[2], {"max_age_days": 90}, (False, [])),
        (*ALL[2], {"repositories": ["acme/demo", "acme/other"]}, (False, [])),
        (*ALL[3], {"repository": "acme/other"}, (True, ["repository"])),
        (*ALL[3], {"user": "other"}, (True, ["user"])),
        (*ALL[3], {"permission": "read"}, (True, [])),
        (*ALL[3], {"forge": "https://moved"}, (True, [])),
        (*ALL[4], {"kept": 8}, (True, [])),
        (*ALL[4], {"password": "new"}, (True, [])),
        (*ALL[4], {"user": "other"}, (True, ["user"])),
        (*ALL[4], {"forge": "https://moved"}, (True, [])),
        (*ALL[5], {"path": "other.env"}, (True, ["path"])),
        (*ALL[5], {"values": {"FORGE_TOKEN_X": "u"}}, (True, [])),
        (*ALL[6], {"path": "other.yaml"}, (True, ["path"])),
        (*ALL[3], {"mark": "muster:live/renamed/dev-qwen"}, (True, [])),
        (*ALL[4], {"mark": "muster:live/renamed/dev-qwen"}, (True, [])),
        (*ALL[7], {"container": "other-agents-dev-qwen"}, (True, ["container"])),
        (*ALL[7], {"labels": {}}, (True, [])),
        (*ALL[7], {"docker_host": "tcp://10.0.0.1:2376"}, (True, [])),
        (*ALL[7], {"docker_certificates": "/certs"}, (True, [])),
        (*ALL[7], {"network": "other"}, (False, [])),
        (*ALL[6], {"text": "name: other\n", "digest": "3d2c1b0a"}, (True, [])),
        (*ALL[8], {"files": {"forge_token": "new"}}, (True, [])),
        (*ALL[8], {"labels": {}}, (True, [])),
        (*ALL[8], {"volume": "other-agents-dev-qwen-credentials"}, (True, ["volume"])),
        (*ALL[8], {"docker_host": "tcp://10.0.0.1:2376"}, (False, [])),
        (*ALL[8], {"docker_certificates": "/certs"}, (False, [])),
    ],
)
def test_each_input_replaces_updates_or_is_carried_along(
    provider: Provider,
    inputs: Props,
    made: Props,
    changed: Props,
    outcome: tuple[bool, list[str]],
) -> None:
    olds = {**inputs, **made}
    assert told(provider.diff("id", olds, {**inputs, **changed})) == outcome


def test_an_agent_does_not_move_to_another_docker_engine_unasked() -> None:
    """Switching the context would leave its container and volumes where they are."""
    news = {**CLAIM, "docker_host": "ssh://other", "docker_engine": "another-engine"}
    with pytest.raises(OtherEngineError) as error:
        ContainerClaimProvider().diff("demo-agents-dev-qwen", CLAIM, news)
    assert "demo-agents-dev-qwen is on another Docker engine than ssh://other" in str(error.value)
    assert "hired at unix:///srv/docker.sock" in str(error.value)


def test_a_claim_that_never_recorded_its_engine_records_it_now() -> None:
    olds = {**CLAIM, "docker_host": None}
    del olds["docker_certificates"], olds["docker_engine"]
    assert told(ContainerClaimProvider().diff("id", olds, CLAIM)) == (True, [])


def test_an_input_that_is_not_known_yet_may_change() -> None:
    news = {**SWEEP, "kept": rpc.UNKNOWN, "user": rpc.UNKNOWN}
    assert told(TokenSweepProvider().diff("id", SWEEP, news)) == (True, ["user"])


def test_what_the_forge_has_once_is_deleted_before_it_is_replaced() -> None:
    first = {
        type(provider).__name__
        for provider, inputs, made in ALL
        if provider.diff("id", {**inputs, **made}, inputs).delete_before_replace
    }
    assert first == {"BotUserProvider", "RepositoryAccessProvider"}


# Age


@pytest.mark.parametrize(
    ("limit", "age", "replaces"),
    [
        (90, 90.5, ["max_age_days"]),
        (90.0, 90.5, ["max_age_days"]),
        (90, 89.5, []),
        (None, 9999, []),
    ],
)
@pytest.mark.parametrize("credentials", ALL[1:3], ids=["password", "token"])
def test_credentials_past_the_age_limit_are_replaced(
    credentials: tuple[Provider, Props, Props],
    limit: float | None,
    age: float,
    replaces: list[str],
) -> None:
    provider, inputs, made = credentials
    olds = {**inputs, **made, "issued_at": days_ago(age)}
    news = {**inputs, "max_age_days": limit}
    assert told(provider.diff("id", olds, news)) == (bool(replaces), replaces)


# Drift


@pytest.mark.parametrize(
    "changed",
    [{"prohibit_login": True}, {"restricted": False}, {"is_admin": True}, {"active": False}],
)
def test_an_account_that_was_changed_by_hand_is_updated(changed: dict[str, bool]) -> None:
    olds = {**BOT_USER, **MADE_USER, "standing": {**STANDING, **changed}}
    assert told(BotUserProvider().diff("id", olds, BOT_USER)) == (True, [])


@pytest.mark.parametrize("granted", [["all"], ["read:user"], []])
def test_a_token_whose_scopes_were_changed_by_hand_is_replaced(granted: list[str]) -> None:
    olds = {**TOKEN, **MADE_TOKEN, "granted": granted}
    assert told(AccessTokenProvider().diff("id", olds, TOKEN)) == (True, ["scopes"])


def test_the_scopes_that_tokens_are_minted_with_come_back_from_a_forge_as_they_are() -> None:
    """Otherwise every refresh would replace every token."""
    assert normalise_scopes(TOKEN_SCOPES) == set(TOKEN_SCOPES)


def test_a_lowered_permission_is_updated() -> None:
    olds = {**ACCESS, "permission": "read"}
    assert told(RepositoryAccessProvider().diff("id", olds, ACCESS)) == (True, [])


# The .env file


def env_file(path: Path, **values: str) -> Props:
    return {"path": str(path), "values": values}


def test_an_env_file_gets_its_keys_and_loses_only_them(tmp_path: Path) -> None:
    path, provider = tmp_path / ".env", EnvFileProvider()
    path.write_text("# the factory's\nOTHER=1\n")

    made = provider.create(env_file(path, A="1", B="2"))
    assert path.read_text() == "# the factory's\nOTHER=1\nA=1\nB=2\n"
    assert path.stat().st_mode & 0o777 == 0o600

    updated = provider.update(made.id, made.outs or {}, env_file(path, B="3", C="4"))
    assert path.read_text() == "# the factory's\nOTHER=1\nB=3\nC=4\n"
    assert updated.outs == {**env_file(path, B="3", C="4"), "written": ["B", "C"]}

    provider.delete(made.id, updated.outs or {})
    assert path.read_text() == "# the factory's\nOTHER=1\n"


def test_a_key_that_stood_in_an_env_file_with_its_value_stays_when_it_is_no_longer_ours(
    tmp_path: Path,
) -> None:
    """The user, or the factory, may have written the endpoint long before."""
    path, provider = tmp_path / ".env", EnvFileProvider()
    path.write_text("A='1'\nB=other\n")

    made = provider.create(env_file(path, A="1", B="2", C="3"))
    assert path.read_text() == "A=1\nB=2\nC=3\n"
    read = provider.read(made.id, made.outs or {})
    assert read.outs == made.outs

    updated = provider.update(made.id, read.outs or {}, env_file(path, B="2", C="3"))
    assert path.read_text() == "A=1\nB=2\nC=3\n"
    provider.delete(made.id, updated.outs or {})
    assert path.read_text() == "A=1\n"


def test_a_key_of_an_env_file_that_was_changed_since_is_ours(tmp_path: Path) -> None:
    path, provider = tmp_path / ".env", EnvFileProvider()
    path.write_text("A=1\n")
    made = provider.create(env_file(path, A="1"))
    updated = provider.update(made.id, made.outs or {}, env_file(path, A="2"))
    provider.delete(made.id, updated.outs or {})
    assert path.read_text() == ""


def test_keys_of_an_env_file_that_is_gone_are_deleted_already(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    EnvFileProvider().delete("id", {**env_file(path, A="1"), "written": ["A"]})
    assert not path.exists()


@pytest.mark.parametrize(("text", "found"), [("A=by hand\n", {"A": "by hand"}), (None, {})])
def test_a_refresh_sees_what_was_done_to_an_env_file(
    tmp_path: Path, text: str | None, found: dict[str, str]
) -> None:
    path, provider, inputs = (
        tmp_path / ".env",
        EnvFileProvider(),
        env_file(tmp_path / ".env", A="1"),
    )
    if text is not None:
        path.write_text(f"{text}OTHER=1\n")
    read = provider.read("id", inputs)
    assert (read.id, read.outs, read.inputs) == ("id", env_file(path, **found), read.outs)
    assert told(provider.diff("id", read.outs or {}, inputs)) == (True, [])


# The compose file


def compose_file(path: Path, text: str) -> Props:
    return {"path": str(path), "text": text, "digest": hashlib.sha256(text.encode()).hexdigest()}


def test_a_compose_file_is_written_rewritten_and_removed(tmp_path: Path) -> None:
    path, provider = tmp_path / "live.compose.yaml", ComposeFileProvider()
    old, new = compose_file(path, "old"), compose_file(path, "new")
    made = provider.create(old)
    assert path.read_text() == "old"
    provider.update(made.id, made.outs or {}, new)
    assert path.read_text() == "new"
    provider.delete(made.id, new)
    provider.delete(made.id, new)
    assert not path.exists()


def test_of_a_compose_file_the_text_is_not_recorded(tmp_path: Path) -> None:
    inputs = compose_file(tmp_path / "live.compose.yaml", "ours")
    assert ComposeFileProvider().create(inputs).outs == {
        "path": inputs["path"],
        "digest": inputs["digest"],
    }


def test_a_refresh_sees_what_was_done_to_a_compose_file(tmp_path: Path) -> None:
    path, provider = tmp_path / "live.compose.yaml", ComposeFileProvider()
    ours = compose_file(path, "ours")
    assert provider.read("id", ours).id is None
    path.write_text("by hand")
    read = provider.read("id", ours)
    assert read.inputs == compose_file(path, "by hand")
    assert told(provider.diff("id", read.outs or {}, ours)) == (True, [])
