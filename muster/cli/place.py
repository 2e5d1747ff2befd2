"""Where `muster` works: the project's folder, the variables that Pulumi needs, the stacks."""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import yaml

from muster import dotenv, keys
from muster.administrator import CONFIGURATION
from muster.cli.folders import PROJECT_FILE, STACKS
from muster.errors import MusterError
from muster.hosts import exceptions
from toolchain.environment import PACE, VARIABLES
from toolchain.paths import BIN, ROOT

NAMESPACE = "muster:"
"""What the keys of a stack's configuration begin with."""

FROM_ENV_FILE = (
    ("FORGE_ADMIN_USER", "FORGE_ADMIN_PASS"),
    ("FORGE_ADMIN_PAT",),
    keys.VARIABLES,
    ("REQUESTS_CA_BUNDLE",),
    ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
"""The variables that a `.env` file may set. Those in one group come from the same place."""


class PlaceError(MusterError):
    """`muster` was started where it cannot work; the text says from where it can."""


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what plain `pulumi` needs, as activating the environment sets it.

    A value of the user's own wins, another checkout's does not. Where a proxy is set, this machine
    is excepted from it: Pulumi's processes and Docker's clients talk to each other on loopback.
    """
    found = exceptions(environment)
    found |= {name: environment.get(name) or value for name, value in PACE.items()}
    found["PULUMI_SKIP_UPDATE_CHECK"] = "true"
    for name, path in VARIABLES.items():
        value = environment.get(name, "")
        own = value and not value.endswith(f"/{path.relative_to(ROOT)}")
        found[name] = value if own else str(path)
    paths = environment.get("PATH", os.defpath).split(os.pathsep)
    found["PATH"] = os.pathsep.join([str(BIN), *(each for each in paths if each != str(BIN))])
    return found


def backend(environment: Mapping[str, str], project: Path) -> str | None:
    """Return where the state is, if Pulumi.yaml says it relative to its folder.

    Pulumi (3.256) takes that for relative to the folder where it is started.

    Raises:
        PlaceError: Pulumi.yaml is not valid YAML.
    """
    if environment.get("PULUMI_BACKEND_URL"):
        return None
    file = project / PROJECT_FILE
    try:
        url = str(((yaml.safe_load(file.read_text()) or {}).get("backend") or {}).get("url", ""))
    except yaml.YAMLError:
        raise PlaceError(f"{file}: this is not valid YAML; fix it, or take it from git") from None
    if not url.startswith("file://."):
        return None
    path, mark, options = url.removeprefix("file://").partition("?")
    return f"file://{(project / path).resolve()}{mark}{options}"


def activate(environment: MutableMapping[str, str], project: Path, admin_token: str | None) -> None:
    """Set what Pulumi and its plugins need: paths, and the forge administrator's credentials.

    What the environment does not set comes from a `.env` file in the project's folder. A token
    given as `admin_token` replaces the administrator's credentials of both.

    Raises:
        EnvFileError: the `.env` file cannot be read.
    """
    if admin_token is not None:
        for name in CONFIGURATION:
            environment.pop(name, None)
        environment["FORGE_ADMIN_PAT"] = admin_token
    written = dotenv.read(project / ".env")
    for names in FROM_ENV_FILE:
        given = admin_token is not None and names[0] in CONFIGURATION
        is_set = any(environment.get(name) or environment.get(name.lower()) for name in names)
        if not given and not is_set:
            environment.update({name: written[name] for name in names if written.get(name)})
    environment.update(variables(environment))


def settings_path(project: Path, stack: str) -> Path:
    """Return the file with a stack's configuration, which need not exist."""
    return project / STACKS / f"Pulumi.{stack}.yaml"


def settings(project: Path, stack: str) -> dict[str, Any]:
    """Return Muster's part of a stack's configuration by key, its secrets encrypted.

    Raises:
        PlaceError: the file is not valid YAML.
    """
    file = settings_path(project, stack)
    try:
        found = yaml.safe_load(file.read_text()) if file.is_file() else None
    except yaml.YAMLError:
        raise PlaceError(f"{file}: not valid YAML; correct it, or restore it from git") from None
    configured = (found or {}).get("config") or {}
    return {
        key.removeprefix(NAMESPACE): value
        for key, value in configured.items()
        if key.startswith(NAMESPACE)
    }


def roster_path(project: Path, stack: str) -> Path:
    """Return the roster of a stack, as its configuration names it or else by its name.

    Raises:
        PlaceError: the stack's configuration is no YAML.
    """
    path = project / (settings(project, stack).get("roster") or f"{STACKS}/{stack}.toml")
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
