"""Claude Code, with the runtime's arguments and switches, but without its jail and gateway."""

import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patience import COMMAND
from runtime.session import SWITCHES, Order, arguments

from toolchain.paths import BUILD

MODEL = "unsloth/Qwen3.5-35B-A3B"


@dataclass(frozen=True)
class Run:
    """A session that has ended: its exit code and its messages, the result being the last."""

    code: int
    messages: list[dict[str, Any]]

    @property
    def result(self) -> dict[str, Any]:
        return self.messages[-1]


def claude_code() -> Path:
    """Return the binary that the agent's image holds; set-up fetches it."""
    binary = BUILD / "claude" / "claude"
    if not binary.exists():
        raise FileNotFoundError(f"{binary} not found: run make setup")
    return binary


def run(prompt: str, url: str, folder: Path) -> Run:
    """Run a session in `folder`/tree."""
    tree = folder / "tree"
    tree.mkdir()
    system = folder / "system.txt"
    system.write_text("You work unattended.")
    order = Order(
        prompt=prompt,
        system=system,
        model=MODEL,
        session=str(uuid.uuid4()),
        resume=False,
        turns=5,
        seconds=int(COMMAND),
        variables={},
    )
    environment = {
        **SWITCHES,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLAUDE_CONFIG_DIR": str(folder / "claude"),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "the-key",
        "IS_SANDBOX": "1",  # else bypassPermissions is refused to root, who may run the tests
    }
    ended = subprocess.run(
        [claude_code(), *arguments(order)],
        cwd=tree,
        env=environment,
        input=prompt,
        capture_output=True,
        text=True,
        timeout=order.seconds,
        check=False,
    )
    return Run(ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()])
