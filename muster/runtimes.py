"""What runs in an agent's container: Muster's runtime, or disinto's agents image.

disinto's entrypoint (docker/agents/entrypoint.sh) starts as root: it takes its folders over, writes
to its root file system, and works as the user `agent` through gosu. Its credentials are variables.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from muster.work_settings import Budgets

Runtime = Literal["muster", "disinto"]

MUSTERS_IMAGE = "muster-agent"

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""What disinto's entrypoint does as root, and nothing more."""

AGENT_UID = 1000
"""The user of Muster's image."""

ROOT = {"0", "0:0", "root", "root:root"}

WITHOUT_EFFECT = {*Budgets.model_fields, "formula", "may_approve", "sandbox"}
"""An agent's fields that only Muster's runtime reads."""

_DISINTOS_IMAGE = re.compile(r"(.*/)?disinto/agents(:[^/]*)?(@.*)?")

Fields = Mapping[str, Any]


def implied(image: object) -> Runtime:
    """Return the runtime in an image, as far as its name tells."""
    return "disinto" if re.fullmatch(_DISINTOS_IMAGE, str(image)) else "muster"


def of(own: Fields, crew: Fields) -> object:
    """Return the runtime of an agent as the roster is written: named, or implied by the image.

    Args:
        own: its section.
        crew: `[muster]`.
    """
    settings = {"image": MUSTERS_IMAGE, **crew, **own}
    return settings.get("runtime", implied(settings["image"]))


def owner(user: str | None) -> int:
    """Return the number of the user who alone may read credentials in files.

    Args:
        user: the roster's `user`.
    """
    number = (user or "").partition(":")[0]
    return int(number) if number.isdecimal() else AGENT_UID


def refusals(agent: str, own: Fields, crew: Fields) -> Iterator[tuple[tuple[str, str], str]]:
    """Find settings with which an agent's runtime does not work.

    Args:
        agent: the agent's name.
        own: its section, as it is written.
        crew: `[muster]`, as it is written.

    Yields:
        `("agents", field)` or `("muster", field)`, where the setting stands, and the message.
    """
    settings = {"image": MUSTERS_IMAGE, **crew, **own}
    image, runtime = settings["image"], of(own, crew)

    def at(field: str) -> tuple[str, str]:
        return ("muster" if field in crew and field not in own else "agents", field)

    if runtime == "muster" and implied(image) == "disinto":
        yield (
            at("runtime"),
            (
                f"\"{image}\" is disinto's image and does not contain Muster's runtime; "
                'write runtime = "disinto", or leave it out'
            ),
        )
    if runtime != "disinto":
        return
    if image == MUSTERS_IMAGE:
        yield (
            at("runtime"),
            (
                f"agent \"{agent}\" has Muster's image, which does not contain disinto's agents; "
                'write the image of the factory too, such as image = "disinto/agents:latest"'
            ),
        )
    for field, wrong, why in (
        ("credentials", "file", 'reads its credentials from variables; write "env"'),
        ("read_only", True, "writes to its root file system; write false"),
    ):
        if settings.get(field) == wrong:
            yield at(field), f'runtime "disinto" of agent "{agent}" {why}, or leave this out'
    if str(settings.get("user", "root")) not in ROOT:
        yield (
            at("user"),
            (
                f'runtime "disinto" of agent "{agent}" starts as root, and changes to the user '
                "agent; leave this out"
            ),
        )
    for field in sorted(WITHOUT_EFFECT & own.keys()):
        yield (
            ("agents", field),
            (
                'this has no effect with runtime "disinto", whose agent code does not read it; '
                "leave it out"
            ),
        )
