"""The keys of endpoints: where they come from, and which one an agent uses.

The stack's configuration keeps them as secrets: `anthropicApiKey` for the Anthropic API, and under
`keys` those of single agents and of other endpoints, by name or URL.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from muster import rules
from muster.endpoint import ANTHROPIC, OAUTH_PREFIX
from muster.errors import MusterError
from muster.roster import Agent

API_KEY, OAUTH_TOKEN = "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"
VARIABLES = (API_KEY, OAUTH_TOKEN)
"""Where the environment has the key of the Anthropic API. Claude Code prefers the first, too."""

CONFIGURED = "anthropicApiKey"
"""The Anthropic API's key in the stack's configuration: an API key, or a subscription's token."""


class KeysError(MusterError):
    """The stack's configuration does not hold keys in their form."""


@dataclass(frozen=True)
class Keys:
    """The real keys of a crew.

    Attributes:
        anthropic: the key of the Anthropic API.
        own: the keys of single agents and of other endpoints, by name or URL.
    """

    anthropic: str | None = field(default=None, repr=False)
    own: Mapping[str, str] = field(default_factory=dict, repr=False)

    def real(self, agent: Agent) -> str | None:
        """Return the real key that an agent uses, None if there is none.

        Its own key comes first, then its endpoint's.
        """
        if agent.name in self.own:
            return self.own[agent.name]
        return self.anthropic if agent.base_url is None else self.own.get(agent.base_url)

    def of(self, agent: Agent) -> str | None:
        """Return what an agent sends as its key: at its own endpoint a placeholder will do."""
        placeholder = None if agent.base_url is None else agent.api_key
        return self.real(agent) or placeholder


def find(environment: Mapping[str, str], configuration: Callable[[str], str | None]) -> Keys:
    """Read the keys; for the Anthropic API the environment wins over the configuration.

    Raises:
        KeysError: the configuration does not hold keys in their form.
    """
    anthropic = of_environment(environment) or configuration(CONFIGURED) or None
    return Keys(anthropic, _own(configuration("keys")))


def of_environment(environment: Mapping[str, str]) -> str | None:
    """Return the Anthropic API's key in the environment, None if there is none."""
    return next((environment[name] for name in VARIABLES if environment.get(name)), None)


def variable(agent: Agent, key: str) -> str:
    """Return the variable in which Claude Code expects an agent's key."""
    is_token = agent.base_url is None and key.startswith(OAUTH_PREFIX)
    return OAUTH_TOKEN if is_token else API_KEY


def place(target: str) -> str:
    """Return where the stack's configuration keeps the key of an agent or a URL."""
    return CONFIGURED if target == ANTHROPIC else f"keys[{json.dumps(target)}]"


def _own(configured: str | None) -> dict[str, str]:
    try:
        found = json.loads(configured or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(
        key and isinstance(key, str) for key in found.values()
    ):
        raise KeysError(
            "configuration keys: not a key by agent or URL; set one with muster key NAME"
        )
    return {_target(written): key for written, key in found.items()}


def _target(written: str) -> str:
    """Return an agent's name, or a URL as rosters have it."""
    try:
        return rules.endpoint_url(written) if "://" in written else written
    except ValueError:
        return written
