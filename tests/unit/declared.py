"""What a program declares: Pulumi's own mocks, and a monitor that keeps every registration."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import resource_pb2

from components.crew import Crew
from muster.docker_engine import DockerEngine
from muster.docker_host import DockerHost
from muster.forge import Administrator
from muster.keys import Keys
from muster.project import Project
from muster.roster import load

IMAGES = {"muster-agent": "sha256:agent", "muster-forge": "sha256:forge"}

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # what Pulumi's protocol marks secrets with

_OUTPUTS: dict[str, dict[str, Any]] = {
    "BotPassword": {"password": "the-password", "issued_at": "2026-01-02T03:04:05+00:00"},
    "AccessToken": {
        "token": "the-token",
        "token_id": 7,
        "last_eight": "he-token",
        "issued_at": "2026-01-02T03:04:06+00:00",
    },
    "CredentialFiles": {"delivery": "the-delivery"},
}


@dataclass(frozen=True)
class Secret:
    """A value that the engine is told to keep secret."""

    value: Any


@dataclass(frozen=True)
class Declared:
    """A resource as the engine is told of it.

    Attributes:
        label: its type and name.
        parent: the parent's label.
        inputs: its inputs, without the provider that dynamic resources carry.
        options: the options that change its life, where they are set.
        depends_on: the labels of what has to stand before it.
    """

    label: str
    parent: str
    inputs: dict[str, Any]
    options: dict[str, Any]
    depends_on: set[str]


class Declarations(dict[str, Declared]):
    """All that a program declared, by label."""

    def children(self, parent: str) -> list[str]:
        """Return the labels of what a component holds, sorted."""
        return sorted(label for label, one in self.items() if one.parent == parent)


class _Answers(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise NotImplementedError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        kind = _kind(args.typ)
        return f"{kind} {args.name} id", {**args.inputs, **_OUTPUTS.get(kind, {})}


class _Monitor(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Answers())
        self.requests: list[resource_pb2.RegisterResourceRequest] = []

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # noqa: ANN401, N802 - gRPC's
        if request.type != "pulumi:pulumi:Stack":
            self.requests.append(request)
        answer: Any = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        for output in request.additionalSecretOutputs:
            value = MessageToDict(answer.object)[output]
            answer.object[output] = {_SIGNATURE: _SECRET, "value": value}
        return answer


class _Callbacks:
    """Stands where the engine calls back for hooks: the mocks have nothing there."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Take the hook; its name stands in the registrations."""

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        """Take the hook; its name stands in the registrations."""


def declare(program: Callable[[], object]) -> Declarations:
    """Run a program, and return what it declared."""
    monitor = _Monitor()
    mocks.set_mocks(_Answers(), project="muster", stack="live", monitor=monitor)
    settings.SETTINGS.callbacks = _Callbacks()
    mocks.test(program)()  # type: ignore[no-untyped-call]
    declared = Declarations()
    for request in monitor.requests:
        one = _declared(request)
        assert one.label not in declared, f"two resources are {one.label}"
        declared[one.label] = one
    return declared


def project(folder: Path, agents: str, muster: str = "", **facts: Any) -> Project:  # noqa: ANN401
    """Return a project whose roster has these sections; `facts` are more fields of `Project`."""
    path = folder / "live.toml"
    path.write_text(
        'name = "demo"\nrepo = "acme/demo"\nforge_url = "https://forge.example.org"\n'
        f"[muster]\n{muster}\n{agents}"
    )
    known: dict[str, Any] = {
        "stack": "live",
        "administrator": Administrator("root", "Admin-Pass-1"),
        "keys": Keys(),
        "forge_port": 3000,
        "images": IMAGES,
        "docker_host": DockerHost("unix:///srv/docker.sock"),
        "docker_engine": DockerEngine("the-engine"),
    }
    return Project(roster=load(path), **{**known, **facts})


def crew(folder: Path, agents: str, muster: str = "", **facts: Any) -> Declarations:  # noqa: ANN401
    """Return what the crew of such a project declares."""
    found = project(folder, agents, muster, **facts)
    return declare(lambda: Crew(found))


def _declared(request: resource_pb2.RegisterResourceRequest) -> Declared:
    inputs = _plain(MessageToDict(request.object))
    inputs.pop("__provider", None)
    options = {
        "delete_before_replace": request.deleteBeforeReplace,
        "retain_on_delete": request.retainOnDelete,
        "trigger": _plain(MessageToDict(request.replacement_trigger)),
        "hooks": [
            *request.hooks.before_create,
            *request.hooks.after_create,
            *request.hooks.on_error,
        ],
        "secret_outputs": list(request.additionalSecretOutputs),
        "provider": request.provider.rpartition("::")[2],
        "protect": request.protect,
        "ignore_changes": list(request.ignoreChanges),
    }
    return Declared(
        f"{_kind(request.type)} {request.name}",
        _label(request.parent),
        inputs,
        {name: value for name, value in options.items() if value},
        {_label(urn) for urn in request.dependencies},
    )


def _label(urn: str) -> str:
    kind, name = urn.split("::")[-2:]
    return f"{_kind(kind)} {name}"


def _kind(kind: str) -> str:
    return kind.rpartition("$")[2].rpartition(":")[2]


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value of Pulumi's protocol with `Secret` for secrets."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get(_SIGNATURE) == _SECRET:
        return Secret(_plain(value["value"]))
    return {key: _plain(inner) for key, inner in value.items()}
