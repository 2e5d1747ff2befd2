"""What passwords and token names are made of, and when credentials are too old."""

import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster import credentials, dotenv

CLASSES = (
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.digits,
    string.punctuation,
)


def test_every_password_is_long_and_of_all_four_classes() -> None:
    for _ in range(200):
        password = credentials.new_password()
        assert len(password) == 40
        assert all(set(password) & set(characters) for characters in CLASSES)
        assert set(password) <= set("".join(CLASSES))


def test_a_password_is_within_the_72_bytes_that_bcrypt_takes() -> None:
    assert len(credentials.new_password().encode()) <= 72


def test_no_two_passwords_are_alike() -> None:
    passwords = [credentials.new_password() for _ in range(200)]
    assert len(set(passwords)) == 200
    # The four that make sure of the classes do not always stand at the same places.
    assert len({password[0] in string.ascii_lowercase for password in passwords}) == 2


def test_every_password_can_stand_in_an_env_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    for _ in range(20):
        password = credentials.new_password()
        dotenv.write(path, {"FORGE_PASS_X": password})
        assert dotenv.read(path) == {"FORGE_PASS_X": password}


def test_token_names_are_unique_and_known_as_ours() -> None:
    names = {credentials.new_token_name() for _ in range(200)}
    assert len(names) == 200
    assert all(credentials.is_ours(name) for name in names)


@pytest.mark.parametrize("name", ["by-hand", "my-muster-token", "Muster-1", ""])
def test_other_tokens_are_not_ours(name: str) -> None:
    assert not credentials.is_ours(name)


def test_a_timestamp_is_of_now_and_in_utc() -> None:
    told = datetime.fromisoformat(credentials.timestamp())
    assert told.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("hours", "limit", "too_old"),
    [(0, 1, False), (23, 1, False), (25, 1, True), (24 * 89, 90, False), (24 * 91, 90, True)],
)
@pytest.mark.parametrize("zone", ["+00:00", "+09:00", "-07:00"])
def test_credentials_are_too_old_past_the_limit(
    hours: int, limit: int, zone: str, *, too_old: bool
) -> None:
    issued = datetime.now(UTC) - timedelta(hours=hours)
    local = issued.astimezone(datetime.fromisoformat(f"2026-01-01T00:00:00{zone}").tzinfo)
    assert credentials.is_older_than(local.isoformat(), limit) is too_old


def test_without_a_limit_nothing_is_too_old() -> None:
    assert not credentials.is_older_than("1970-01-01T00:00:00+00:00", None)


def test_scopes_are_the_same_in_any_order() -> None:
    assert credentials.same_scopes(["a", "b", "a"], ("b", "a"))
    assert not credentials.same_scopes(["a"], ["a", "b"])
