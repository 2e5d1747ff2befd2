"""A factory's service as Docker has its container, and what of its environment an agent keeps."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from muster import keys, rules
from muster.runtimes import Runtime

# Variables that only disinto's code reads (lib/env.sh, docker/agents/entrypoint.sh).
_DISINTOS = re.compile(
    r"(WOODPECKER|DISINTO|OPS)_.*|.*_INTERVAL|FACTORY_REPO|FORGE_BOT_USERNAMES"
    r"|AGENT_REQUIRES_CLAUDE|CLAUDE_(TIMEOUT|CREDENTIALS_DIR|SHARED_DIR|EXTERNAL_LOCK)"
)

_REPLACED = {"FORGE_PASS", "FORGE_TOKEN", *keys.VARIABLES}
"""Secrets that agents get from Muster; `muster adopt` keeps the password and keys in the stack."""


@dataclass(frozen=True)
class Service:
    """A compose service, as Docker has its container.

    Attributes:
        networks: the networks that it is on.
        volumes: the volumes that it sees.
        environment: its variables.
        image: its image; empty where none is known.
        image_environment: the variables of its image.
        host_paths: where it sees folders and files of the host.
    """

    networks: Sequence[str]
    volumes: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    image: str = ""
    image_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    host_paths: Sequence[str] = ()

    @property
    def key(self) -> str | None:
        """The key that it uses at its endpoint or at the Anthropic API."""
        return keys.of_environment(self.environment)


NO_SERVICE = Service((), (), {})


@dataclass(frozen=True)
class Environment:
    """What becomes of a service's variables, besides those that Muster sets.

    Attributes:
        kept: those that the agent keeps, as its `env`.
        secrets: the names of those that look like secrets, which a roster cannot keep.
        lost: the names of those that name a path on the host, which the new container does not see.
        refused: why others are not kept, by name.
    """

    kept: Mapping[str, str]
    secrets: Sequence[str] = ()
    lost: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def left(self) -> list[str]:
        """The names of all that are not kept."""
        return sorted([*self.secrets, *self.lost, *self.refused])


def environment(service: Service, runtime: Runtime) -> Environment:
    """Sort a service's variables.

    Those of its image, empty ones, and those that Muster sets are none of them; with Muster's
    runtime, neither are those that only disinto's code reads.
    """
    kept, secrets, lost, refused = {}, [], [], {}
    for name, value in _own(service, runtime):
        wrong = rules.wrong_variable(name, value)
        if rules.is_secret(name, value):
            secrets.append(name)
        elif rules.is_musters(name):
            continue
        elif any(PurePosixPath(value).is_relative_to(path) for path in service.host_paths):
            lost.append(name)
        elif wrong is not None:
            refused[name] = wrong
        else:
            kept[name] = value
    return Environment(kept, secrets, lost, refused)


def _own(service: Service, runtime: Runtime) -> Iterator[tuple[str, str]]:
    for name, value in sorted(service.environment.items()):
        of_image = service.image_environment.get(name) == value
        useless = runtime == "muster" and re.fullmatch(_DISINTOS, name)
        if value and not (of_image or useless or name in _REPLACED):
            yield name, value
