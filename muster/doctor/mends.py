"""Commands that mend, as they can be typed in the folder where `muster doctor` was typed."""

import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ANOTHER_PAT = "read -rs FORGE_ADMIN_PAT && export FORGE_ADMIN_PAT"
"""Asks for the token without showing it, and without leaving it in the shell's history."""

ANOTHER_PASSPHRASE = "read -rs PULUMI_CONFIG_PASSPHRASE && export PULUMI_CONFIG_PASSPHRASE"  # noqa: S105

LOOK_AT_STATE = 'eval "$(muster env)" && pulumi whoami --verbose'

ANTHROPIC_KEY = "read -rs ANTHROPIC_API_KEY && export ANTHROPIC_API_KEY"

SET_UP = f"make -C {shlex.quote(str(ROOT))} setup"

SET_THE_CLOCK = "sudo timedatectl set-ntp true"


def another_port(stack: str, port: int) -> str:
    """Return the command that gives a local forge another port."""
    command = shlex.join(["config", "set", "muster:forgePort", str(port), "--stack", stack])
    return f'eval "$(muster env)" && pulumi {command}'


@dataclass(frozen=True)
class Muster:
    """`muster` commands for the stack that the doctor was called for.

    Attributes:
        stack: the name given by `--stack`, None where the default one serves.
    """

    stack: str | None

    def __call__(self, *words: str) -> str:
        """Return a command."""
        option = () if self.stack is None else ("--stack", self.stack)
        return shlex.join(["muster", *words, *option])


def edit(file: Path, line: int | None = None) -> str:
    """Return the command that opens a file, at a line."""
    here = Path.cwd()
    shown = file.relative_to(here) if file.is_relative_to(here) else file
    at = f" +{line}" if line else ""
    return f"${{EDITOR:-vi}}{at} {shlex.quote(str(shown))}"
