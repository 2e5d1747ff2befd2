"""What the container's environment says about the agent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from muster.hosts import proxies

REQUIRED = (
    "AGENT_NAME",
    "AGENT_ROLES",
    "FORGE_REPO",
    "FORGE_URL",
    "MUSTER_WORK",
    "POLL_INTERVAL",
    "PRIMARY_BRANCH",
    "PROJECT_NAME",
)


BOT_USER = "FORGE_BOT_USER_"
COMPACT = "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"


class SettingsError(Exception):
    """The environment does not describe an agent; the message is one line."""


class CredentialError(Exception):
    """A credential cannot be used now; the message is one line without the secret."""


@dataclass(frozen=True)
class Credential:
    """A secret, given by the variable `name` or by a file that `<name>_FILE` names.

    The file wins if both are given.
    """

    environment: Mapping[str, str] = field(repr=False)
    name: str

    @property
    def is_given(self) -> bool:
        """Whether the environment names this credential at all."""
        return bool(self.file or self.environment.get(self.name))

    @property
    def file(self) -> Path | None:
        """The secret's file, None if a variable holds it."""
        path = self.environment.get(f"{self.name}_FILE")
        return Path(path) if path else None

    def read(self) -> str:
        """Return the secret as it is now: a file may be replaced while the agent runs.

        Raises:
            CredentialError: The file cannot be read, or its content is not a token.
        """
        try:
            text = self.file.read_text("utf-8") if self.file else self.environment[self.name]
        except OSError as error:
            raise CredentialError(f"cannot read {self.name}_FILE: {error.strerror}") from None
        except UnicodeDecodeError:
            text = ""
        secret = text.strip()
        # HTTP libraries quote a header that they refuse, secret included: never show them one.
        if not (secret.isascii() and secret.isprintable() and secret and " " not in secret):
            raise CredentialError(f"{self.name} must be one line of ASCII without spaces")
        return secret


@dataclass(frozen=True)
class Work:
    """The agent's work settings: `[muster.work]` and what its own section overrides.

    Attributes:
        label: The label of issues that the crew works on.
        authors: Whose issues trigger work: `writers`, `anyone`, or a list of accounts.
        setup: Commands that prepare a tree, run before the first session of a task.
        check: Commands that must succeed before a change is delivered.
        network: Whether `setup` may use the network: `none` or `open`.
        turns: The most turns of a task's sessions.
        minutes: The most minutes of a task's sessions.
        tokens: The most tokens of a task's sessions.
        diff_lines: The most changed lines of a task.
        tasks_per_day: The most tasks that the agent begins in a day (UTC); None for no limit.
        merge: `never`, or `when-approved`.
        protected_paths: Files and folders that an agent never changes.
        context_window: The model's window in tokens; None to ask the endpoint.
        sandbox: `on`, or `off` for sessions without a jail.
        may_approve: Whether a review may approve.
        slots: Sessions that the endpoint serves at a time.
    """

    label: str
    authors: str | list[str]
    setup: list[str]
    check: list[str]
    network: Literal["none", "open"]
    turns: int
    minutes: int
    tokens: int
    diff_lines: int
    tasks_per_day: int | None
    merge: Literal["never", "when-approved"]
    protected_paths: list[str]
    context_window: int | None
    sandbox: Literal["on", "off"]
    may_approve: bool
    slots: int


@dataclass(frozen=True)
class Settings:
    """An agent's settings.

    Attributes:
        agent: The agent's name.
        project: The project's name.
        roles: What it does, in the roster's order.
        formula: The formula of its first role: a file of the repository, or one that ships.
        forge_url: The forge, as seen from inside the container, without a trailing slash.
        repo: The project's repository, `owner/name`.
        bot_user: The bot user's name, empty if the environment does not say it.
        bot_email: Its address; empty for the usual one.
        may_write: Whether the bot user may write to it.
        primary_branch: The branch that pull requests go to.
        poll_interval: Seconds between two cycles.
        endpoint_url: The endpoint without a trailing slash; None is the Anthropic API.
        model: The model's name; None leaves the choice to Claude Code.
        compact_pct: The part of the window, in percent, above which the context is compacted.
        work: The work settings.
        env: The roster's variables for sessions and the project's commands.
        proxies: The proxies, for commands that have a network.
        forge_token: The bot user's access token.
        api_key: The endpoint's key.
    """

    agent: str
    project: str
    roles: tuple[str, ...]
    formula: str | None
    forge_url: str
    repo: str
    bot_user: str
    bot_email: str
    may_write: bool
    primary_branch: str
    poll_interval: int
    endpoint_url: str | None
    model: str | None
    compact_pct: int
    work: Work
    env: dict[str, str]
    proxies: dict[str, str]
    forge_token: Credential
    api_key: Credential

    @property
    def endpoint_name(self) -> str:
        """The endpoint, as people read it."""
        return self.endpoint_url or "the Anthropic API"


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as missing.

    Raises:
        SettingsError: Names every missing variable, or the one that is wrong.
    """
    token = Credential(environment, "FORGE_TOKEN")
    key = Credential(environment, "ANTHROPIC_API_KEY")
    if not key.is_given:
        key = Credential(environment, "CLAUDE_CODE_OAUTH_TOKEN")
    endpoint = environment.get("ANTHROPIC_BASE_URL") or None
    missing = [name for name in REQUIRED if not environment.get(name)]
    if not token.is_given:
        missing.append("FORGE_TOKEN_FILE or FORGE_TOKEN")
    if endpoint is None and not key.is_given:
        missing.append(
            "ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY_FILE, ANTHROPIC_API_KEY or "
            "CLAUDE_CODE_OAUTH_TOKEN"
        )
    if missing:
        raise SettingsError(f"missing in the environment: {'; '.join(missing)}")
    return Settings(
        agent=environment["AGENT_NAME"],
        project=environment["PROJECT_NAME"],
        roles=tuple(environment["AGENT_ROLES"].split(",")),
        formula=environment.get("AGENT_FORMULA") or None,
        forge_url=environment["FORGE_URL"].rstrip("/"),
        repo=environment["FORGE_REPO"],
        bot_user=next(
            (value for name, value in environment.items() if name.startswith(BOT_USER)), ""
        ),
        bot_email=environment.get("FORGE_BOT_EMAIL", ""),
        may_write=environment.get("FORGE_PERMISSION") != "read",
        primary_branch=environment["PRIMARY_BRANCH"],
        poll_interval=_number(environment, "POLL_INTERVAL"),
        endpoint_url=endpoint.rstrip("/") if endpoint else None,
        model=environment.get("CLAUDE_MODEL") or None,
        compact_pct=_number(
            {COMPACT: environment.get(COMPACT) or "60"},
            COMPACT,
        ),
        work=_work(environment["MUSTER_WORK"]),
        env={
            name: environment[name]
            for name in environment.get("MUSTER_ENV", "").split(",")
            if name in environment and not name.lower().endswith("_proxy")
        },
        proxies=proxies(environment),
        forge_token=token,
        api_key=key,
    )


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise SettingsError(f"{name} must be a whole number from 1 on (got {text!r})")
    return int(text)


def _work(text: str) -> Work:
    try:
        values: dict[str, Any] = json.loads(text)
        return Work(**values)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"MUSTER_WORK does not fit this image: {error}. Use the image of the Muster version "
            "that hired the agent (make setup builds it)"
        ) from None
