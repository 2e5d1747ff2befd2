"""What a stack's state tells of the crew that was hired."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN, _PASSWORD = "forgejo:AccessToken", "forgejo:BotPassword"
_USER, _AGENT = "forgejo:BotUser", "muster:index:Agent"


@dataclass(frozen=True)
class Hired:
    """An agent in the state.

    Attributes:
        user: the bot user.
        token: the token in service, None where none was minted yet.
        password: the bot user's password, None likewise.
        token_id: its number.
        replaced: the numbers of tokens that a rotation has replaced and not revoked yet.
    """

    user: str
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token_id: int | None = None
    replaced: frozenset[int] = frozenset()


@dataclass(frozen=True)
class State:
    """A stack's state.

    Attributes:
        hired: the agents whose bot users it knows, by name.
        agents: all agents of which it knows anything.
        unfinished: what a run has begun and not ended, by name.
    """

    hired: Mapping[str, Hired]
    agents: frozenset[str]
    unfinished: tuple[str, ...]


def read(deployment: Mapping[str, Any]) -> State:
    """Read a stack's deployment, with its secrets in plain text."""
    resources = deployment.get("resources") or []
    pending = deployment.get("pending_operations") or []
    return State(
        hired={name: _hired(resources, name) for name in _named(resources, _USER)},
        agents=frozenset(_named(resources, _AGENT)),
        unfinished=tuple(_name(each["resource"]) for each in pending),
    )


def _hired(resources: list[dict[str, Any]], agent: str) -> Hired:
    def outputs(kind: str) -> list[tuple[bool, Mapping[str, Any]]]:
        return [
            (bool(each.get("delete")), each["outputs"])
            for each in resources
            if each["type"].endswith(kind) and _name(each) == agent and each.get("outputs")
        ]

    [(_, user), *_] = outputs(_USER)
    tokens = outputs(_TOKEN)
    token = next((told for old, told in tokens if not old), None)
    password = next((told for old, told in outputs(_PASSWORD) if not old), None)
    return Hired(
        user=user["user"],
        token=_plain(token["token"]) if token else None,
        password=_plain(password["password"]) if password else None,
        token_id=int(token["token_id"]) if token else None,
        replaced=frozenset(int(told["token_id"]) for old, told in tokens if old),
    )


def _named(resources: list[dict[str, Any]], kind: str) -> Iterator[str]:
    return (_name(each) for each in resources if each["type"].endswith(kind))


def _name(resource: Mapping[str, Any]) -> str:
    return str(resource["urn"].rsplit("::", 1)[-1])


def _plain(value: Any) -> str:  # noqa: ANN401 - JSON
    return str(json.loads(value["plaintext"]) if isinstance(value, dict) else value)
