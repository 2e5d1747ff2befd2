"""What the container's environment tells the agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED = (
    "FORGE_URL",
    "FORGE_REPO",
    "PROJECT_NAME",
    "PRIMARY_BRANCH",
    "AGENT_NAME",
    "AGENT_ROLES",
    "POLL_INTERVAL",
)


class SettingsError(Exception):
    """The environment does not describe an agent; the message is one line."""


class CredentialError(Exception):
    """A credential cannot be used now; the message is one line without the secret."""


@dataclass(frozen=True)
class Credential:
    """A secret, given by the variable `name` or by a file that `<name>_FILE` names.

    The file wins where both are given.
    """

    environment: Mapping[str, str]
    name: str

    def __repr__(self) -> str:
        """Name the credential; the environment holds secrets."""
        return f"Credential({self.name})"

    @property
    def is_given(self) -> bool:
        """Whether the environment names this credential at all."""
        return bool(self._path or self.environment.get(self.name))

    @property
    def _path(self) -> str | None:
        return self.environment.get(f"{self.name}_FILE")

    def read(self) -> str:
        """Return the secret as it is now: a file may be swapped while the agent runs.

        Raises:
            CredentialError: The file cannot be read, or what it holds is no token.
        """
        try:
            text = (
                Path(self._path).read_text("utf-8") if self._path else self.environment[self.name]
            )
        except OSError as error:
            raise CredentialError(f"cannot read {self.name}_FILE: {error.strerror}") from None
        except UnicodeDecodeError:
            text = ""
        secret = text.strip()
        # http.client quotes a header that it refuses, secret and all: never let it see one.
        if not (secret.isascii() and secret.isprintable() and secret and " " not in secret):
            raise CredentialError(f"{self.name} holds no token: one line of ASCII was expected")
        return secret


@dataclass(frozen=True)
class Settings:
    """An agent's settings.

    Attributes:
        agent: The agent's name.
        forge_url: The forge, as seen from inside the container, without a trailing slash.
        forge_repo: The project's repository, `owner/name`.
        poll_interval: Seconds between two cycles.
        endpoint_url: The endpoint without a trailing slash; None is the Anthropic API.
        forge_token: The bot user's access token.
        api_key: The Anthropic API's key, for agents without an endpoint of their own.
    """

    agent: str
    forge_url: str
    forge_repo: str
    poll_interval: int
    endpoint_url: str | None
    forge_token: Credential
    api_key: Credential


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as missing.

    Raises:
        SettingsError: Names every missing variable, or the one that is wrong.
    """
    token = Credential(environment, "FORGE_TOKEN")
    key = Credential(environment, "ANTHROPIC_API_KEY")
    endpoint = environment.get("ANTHROPIC_BASE_URL") or None
    missing = [name for name in REQUIRED if not environment.get(name)]
    if not token.is_given:
        missing.append("FORGE_TOKEN_FILE or FORGE_TOKEN")
    if endpoint is None and not key.is_given:
        missing.append("ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY_FILE or ANTHROPIC_API_KEY")
    if missing:
        raise SettingsError(f"missing in the environment: {'; '.join(missing)}")
    return Settings(
        agent=environment["AGENT_NAME"],
        forge_url=environment["FORGE_URL"].rstrip("/"),
        forge_repo=environment["FORGE_REPO"],
        poll_interval=_seconds(environment["POLL_INTERVAL"]),
        endpoint_url=endpoint.rstrip("/") if endpoint else None,
        forge_token=token,
        api_key=key,
    )


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise SettingsError(f"POLL_INTERVAL is {text!r}: whole seconds from 1 on were expected")
    return int(text)
