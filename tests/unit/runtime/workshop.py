"""A workshop for the runtime's modules: settings, a bare repository of files, and the services."""

import json
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from issue_tracker import BOT, IssueTracker
from runtime.claim import Claims
from runtime.git import Mirror
from runtime.services import Services
from runtime.settings import Settings, load
from runtime.state import Reporter

from muster.forge import User

TOKEN = "made-up-token-of-the-bot"
KEY = "made-up-key-of-the-endpoint"

WORK: dict[str, Any] = {
    "authors": "writers",
    "check": [],
    "context_window": None,
    "diff_lines": 1000,
    "label": "backlog",
    "may_approve": False,
    "merge": "never",
    "minutes": 60,
    "network": "none",
    "protected_paths": [".github/workflows"],
    "sandbox": "off",
    "setup": [],
    "slots": 1,
    "tasks_per_day": None,
    "tokens": 2_000_000,
    "turns": 60,
}


def environment(work: Mapping[str, Any] | None = None, **changes: str) -> dict[str, str]:
    plain = {
        "AGENT_NAME": "dev-qwen",
        "AGENT_ROLES": "dev",
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": "http://models:8080",
        "FORGE_REPO": "ann/greet",
        "FORGE_TOKEN": TOKEN,
        "FORGE_URL": "http://forge:3000",
        "MUSTER_WORK": json.dumps(WORK | dict(work or {})),
        "POLL_INTERVAL": "30",
        "PRIMARY_BRANCH": "main",
        "PROJECT_NAME": "greet",
    }
    return plain | changes


def settings(work: Mapping[str, Any] | None = None, **changes: str) -> Settings:
    return load(environment(work, **changes))


def git(where: Path, *arguments: str, stdin: str = "") -> str:
    return subprocess.run(
        ["git", "-c", "user.name=ann", "-c", "user.email=ann@x.invalid", *arguments],
        cwd=where,
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def bare(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """Make a bare repository; with files, its branch `main` has them."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    if files is not None:
        commit(folder, "main", files)
    return folder


def commit(repository: Path, branch: str, files: Mapping[str, str], base: str = "") -> str:
    """Add a commit to a bare repository's branch; return it."""
    lines = [f"commit refs/heads/{branch}", "committer ann <ann@x.invalid> 1700000000 +0000"]
    lines += ["data 4", "work", *([f"from {base}"] if base else [])]
    for name, text in files.items():
        lines += [f"M 100644 inline {name}", f"data {len(text.encode())}", text]
    git(repository, "fast-import", "--quiet", "--force", stdin="\n".join([*lines, ""]))
    return git(repository, "rev-parse", f"refs/heads/{branch}").strip()


def mirror(folder: Path, origin: Path) -> Mirror:
    folder.mkdir(parents=True, exist_ok=True)
    made = Mirror(folder, str(origin), lambda: (BOT, TOKEN))
    made.make()
    return made


def user(login: str = BOT) -> User:
    return User.from_json({"id": 7, "login": login, "created": "2026-11-01T00:00:00Z"})


def services(folder: Path, tracker: IssueTracker, config: Settings | None = None) -> Services:
    """Return an agent's services: real git on the bare repository in `folder`/origin."""
    config = config or settings()
    origin = folder / "origin"
    if not origin.exists():
        bare(origin)
    (folder / "data").mkdir(exist_ok=True)
    lines: list[str] = []
    copy = mirror(folder / "mirror", origin)
    return Services(
        settings=config,
        forge=tracker,
        mirror=copy,
        claims=Claims(copy, BOT),
        reporter=Reporter(config.agent, folder / "data", lambda: [TOKEN, KEY], lines.append),
        user=user(),
        stopped=threading.Event(),
        repos=folder / "repos",
        data=folder / "data",
        endpoints=folder / "endpoints",
    )
