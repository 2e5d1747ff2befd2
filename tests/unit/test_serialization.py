"""What of a dynamic provider stands in users' states: a reference, and no code."""

import base64
import importlib
import os
import pickletools
import subprocess
import sys
from pathlib import Path

import pytest
from pulumi.dynamic.dynamic import serialize_provider

import components
from components.access_token import AccessTokenProvider
from components.bot_password import BotPasswordProvider
from components.bot_user import BotUserProvider
from components.compose_file import ComposeFileProvider
from components.container_claim import ContainerClaimProvider
from components.credential_files import CredentialFilesProvider
from components.env_file import EnvFileProvider
from components.provider import ForgeProvider, Provider
from components.repository_access import RepositoryAccessProvider
from components.token_sweep import TokenSweepProvider

ROOT = Path(components.__file__).parents[1]

REFERENCES: dict[type[Provider], tuple[str, str]] = {
    AccessTokenProvider: ("components.access_token", "AccessTokenProvider"),
    BotPasswordProvider: ("components.bot_password", "BotPasswordProvider"),
    BotUserProvider: ("components.bot_user", "BotUserProvider"),
    ComposeFileProvider: ("components.compose_file", "ComposeFileProvider"),
    ContainerClaimProvider: ("components.container_claim", "ContainerClaimProvider"),
    CredentialFilesProvider: ("components.credential_files", "CredentialFilesProvider"),
    EnvFileProvider: ("components.env_file", "EnvFileProvider"),
    RepositoryAccessProvider: ("components.repository_access", "RepositoryAccessProvider"),
    TokenSweepProvider: ("components.token_sweep", "TokenSweepProvider"),
}
"""Stand in users' states: another path or name, and no state's resource finds its provider."""

each_provider = pytest.mark.parametrize("provider", REFERENCES, ids=lambda kind: kind.__name__)


@each_provider
def test_a_provider_is_stored_as_a_reference_by_this_path_and_name(
    provider: type[Provider],
) -> None:
    stored = base64.b64decode(serialize_provider(provider()))
    module, name = REFERENCES[provider]
    said = [argument for _, argument, _ in pickletools.genops(stored) if isinstance(argument, str)]
    assert said == [module, name]


@each_provider
def test_a_stored_provider_is_small(provider: type[Provider]) -> None:
    assert len(serialize_provider(provider())) < 120


def test_a_stored_provider_is_the_same_in_every_process() -> None:
    here = [serialize_provider(provider()) for provider in REFERENCES]
    for seed in ("1", "2"):
        assert _stored_in_a_process_with(seed) == here


def _stored_in_a_process_with(hash_seed: str) -> list[str]:
    program = "from pulumi.dynamic.dynamic import serialize_provider\n" + "".join(
        f"from {module} import {name}\nprint(serialize_provider({name}()))\n"
        for module, name in REFERENCES.values()
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@each_provider
def test_a_provider_is_no_secret_and_captures_none(provider: type[Provider]) -> None:
    """As a secret it would be encrypted anew, and differ, in every state."""
    assert provider.serialize_as_secret_always is False
    assert vars(provider()) == {}


def test_no_provider_is_missing_here() -> None:
    for path in (ROOT / "components").glob("*.py"):
        importlib.import_module(f"components.{path.stem}")
    kinds = {*Provider.__subclasses__(), *ForgeProvider.__subclasses__()} - {ForgeProvider}
    assert kinds == REFERENCES.keys()
