"""What the engine's events say, resource by resource, in the words of a crew."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pulumi.automation import OpType
from pulumi.automation.events import EngineEvent, StepEventMetadata

from muster.accounts import to_purge
from muster.cli.values import changed

KEEP, BAR = "keep", "bar"
"""What is done to a volume that stays, and to the account of an agent that is fired."""

SILENT = {OpType.SAME, OpType.READ, OpType.REFRESH, OpType.DISCARD, OpType.REMOVE_PENDING_REPLACE}
"""Operations that change nothing."""

KINDS = {
    "command:local:Command": "set-up",
    "docker:index/container:Container": "container",
    "docker:index/network:Network": "network",
    "docker:index/volume:Volume": "volume",
    "dotenv:EnvFile": "keys in the .env file",
    "forgejo:AccessToken": "access token",
    "forgejo:BotPassword": "password",
    "forgejo:BotUser": "bot user",
    "forgejo:RepositoryAccess": "access to the repository",
    "forgejo:TokenSweep": "old-token revocation",
    "muster:ComposeFile": "compose file",
    "muster:ContainerClaim": "leftover cleanup",
    "muster:CredentialFiles": "credentials",
}

_FOLLOWING = ("update failed", "preview failed", "destroy failed")
_VIOLATED = "violates plan"
_UNHANDLED = "ResourceRegistrationFailed"
"""What the program and the engine say because of an error that was told already."""

_AGENT, _DYNAMIC = "muster:index:Agent", "pulumi-python:dynamic/"


@dataclass
class Change:
    """One resource's step.

    Attributes:
        urn: the resource.
        op: Pulumi's operation: create, update, delete, create-replacement, …; or `keep`, `bar`.
        agent: the agent that it is part of, None for what the crew shares.
        what: the resource in words.
        fields: the inputs that change.
        values: the old and the new value of those that both states show, without secrets.
        seconds: how long it took; None before it ended.
        failed: whether it ended with an error.
    """

    urn: str
    op: str
    agent: str | None
    what: str
    fields: list[str]
    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    seconds: float | None = None
    failed: bool = False
    began: float = field(default_factory=time.monotonic, repr=False)

    def report(self) -> dict[str, Any]:
        """Return the change for programs."""
        return {
            "op": self.op,
            "agent": self.agent,
            "resource": self.what,
            "urn": self.urn,
            "fields": self.fields,
            "values": {key: {"old": old, "new": new} for key, (old, new) in self.values.items()},
            "seconds": None if self.seconds is None else round(self.seconds, 2),
            "failed": self.failed,
        }


class Changes:
    """Collects the changes and errors of one run, and tells each as it begins and ends.

    Safe for events from several threads.
    """

    def __init__(self, told: Callable[[Change], None] = lambda _: None) -> None:
        self.all: list[Change] = []
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._told = told
        self._open: dict[tuple[str, str], Change] = {}
        self._lock = threading.Lock()

    def __call__(self, event: EngineEvent) -> None:
        """Take one event of the engine's."""
        if event.resource_pre_event:
            self._begin(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._end(event.res_outputs_event.metadata, failed=False)
        elif event.res_op_failed_event:
            self._end(event.res_op_failed_event.metadata, failed=True)
        elif event.diagnostic_event:
            diagnostic = event.diagnostic_event
            if diagnostic.severity in {"error", "warning"} and not diagnostic.ephemeral:
                kept = self.errors if diagnostic.severity == "error" else self.warnings
                message = _plain(diagnostic.message, diagnostic.urn)
                if message and message not in kept:
                    kept.append(message)

    def running(self) -> list[Change]:
        """Return what has begun and not ended, oldest first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda change: change.began)

    def _begin(self, step: StepEventMetadata) -> None:
        change = _change(step)
        if change is None:
            return
        with self._lock:
            self.all.append(change)
            self._open[change.urn, step.op] = change

    def _end(self, step: StepEventMetadata, *, failed: bool) -> None:
        with self._lock:
            change = self._open.pop((step.urn, step.op), None)
        if change is None:
            return
        change.seconds, change.failed = time.monotonic() - change.began, failed
        self._told(change)


def _change(step: StepEventMetadata) -> Change | None:
    kind = step.type.removeprefix(_DYNAMIC)
    # A component is no work, and a `replace` is told by its two halves.
    if step.op in SILENT or step.op == OpType.REPLACE or kind not in KINDS:
        return None
    name = step.urn.rsplit("::", 1)[-1]
    state = step.new or step.old
    parent = state.parent if state else ""
    agent = parent.rsplit("::", 1)[-1] if f"{_AGENT}::" in parent else None
    what = KINDS[kind]
    if agent and name != agent:
        what = f"{name.removeprefix(f'{agent}-')} {what}"
    elif agent is None and kind not in {"docker:index/network:Network", "muster:ComposeFile"}:
        what = f"{name} {what}"
    op = OpType(step.op).value
    if op == "delete":
        op = _kept(kind, name=step.old.id if step.old else "", retained=_retained(step)) or op
    fields = sorted({key.split(".")[0].split("[")[0] for key in step.diffs or step.keys or []})
    fields = [key for key in fields if key != "__provider"]
    old, new = (each.inputs if each else None for each in (step.old, step.new))
    values = changed(fields, old, new) if old and new else {}
    return Change(step.urn, op, agent, what, fields, values)


def _retained(step: StepEventMetadata) -> bool:
    return bool(step.old and step.old.retain_on_delete)


def _kept(kind: str, *, name: str, retained: bool) -> str | None:
    """Return what is done in truth where Pulumi's word is that a resource is deleted."""
    if retained:
        return KEEP
    barred = kind == "forgejo:BotUser" and name.lower() not in to_purge(os.environ)
    return BAR if barred else None


def _plain(message: str, urn: str | None) -> str:
    """Return a diagnostic without colours, and without what the SDK puts before an error."""
    text = _without_colours(message).strip()
    text = text.partition("Exception calling application: ")[2] or text
    name = urn.rsplit("::", 1)[-1] if urn and ":pulumi:Stack::" not in urn else ""
    if _VIOLATED in text:  # Pulumi goes on with the values, secret ones too
        text = "the update would change this in another way than the plan says"
    known = text.startswith(_FOLLOWING) or _UNHANDLED in text
    return "" if known else f"{name}: {text}" if name else text


def _without_colours(text: str) -> str:
    """Drop Pulumi's colour marks: `<{%fg 1%}>`."""
    while "<{%" in text and "%}>" in text:
        before, _, rest = text.partition("<{%")
        text = before + rest.partition("%}>")[2]
    return text
