"""One session: one run of Claude Code on a task's tree, in the jail, behind the gateway."""

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from runtime import processes
from runtime.gateway import Gateway
from runtime.tree import Tree

CLAUDE = Path("/opt/claude/claude")
RETRIES = 3
"""How often Claude Code repeats a request that the endpoint refused; the runtime waits then."""

ENDING_SECONDS = 2.0
"""From a stop to the kill: Claude Code ends within 1.5 s of SIGTERM (2.1.331)."""

LAST_SECONDS = 10.0
"""From the end of its output to its end."""

LOOK_SECONDS = 0.5
"""Between two questions whether the session has to end early."""

TRANSCRIPTS = 20
"""Transcripts of earlier sessions that are kept."""

_HARMLESS = "[claude-code:unrecognized_model]"
"""Begins a line that Claude Code (2.1.331) prints for every model of an own endpoint."""

_HOURS = str(30 * 60 * 1000)
SWITCHES = {
    "API_FORCE_IDLE_TIMEOUT": "0",
    "API_TIMEOUT_MS": _HOURS,
    "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": _HOURS,
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # A second request after a stream's error would get no pings.
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_MAX_RETRIES": str(RETRIES),
    "CLAUDE_STREAM_IDLE_TIMEOUT_MS": _HOURS,
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Order:
    """What a session is to do.

    Attributes:
        prompt: The first message.
        system: A file with text for the system prompt.
        model: The model; None leaves the choice to Claude Code.
        session: The session's id, a UUID.
        resume: Whether that session is continued.
        turns: The most turns.
        seconds: The most seconds.
        variables: More of its environment: the context's limits.
    """

    prompt: str
    system: Path
    model: str | None
    session: str
    resume: bool
    turns: int
    seconds: float
    variables: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes:
        kind: `done`, `turns`, `minutes`, `tokens`, `endpoint`, `context`, `stopped`, `cancelled`
            or `crashed`.
        text: The model's last words.
        message: What happened, for people.
        session: Its id.
        turns: Turns that it took.
        tokens: Tokens that it used.
        seconds: How long it took.
    """

    kind: str
    text: str
    message: str
    session: str
    turns: int
    tokens: int
    seconds: float


class Transcript:
    """Claude Code's messages, a JSON line each, without secrets."""

    def __init__(self, folder: Path, redacted: Callable[[str], str]) -> None:
        self._path = folder / "last.jsonl"
        self._redacted = redacted
        folder.mkdir(exist_ok=True)
        if self._path.exists():
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._path.stat().st_mtime))
            self._path.replace(folder / f"{stamp}.jsonl")
        for old in sorted(folder.glob("2*.jsonl"))[:-TRANSCRIPTS]:
            old.unlink()
        self._file = self._path.open("w", encoding="utf-8")

    def write(self, line: str) -> None:
        """Add a line."""
        self._file.write(self._redacted(line).rstrip("\n") + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def run(
    order: Order,
    tree: Tree,
    gateway: Gateway,
    transcript: Transcript,
    interrupted: Callable[[], str | None],
) -> Outcome:
    """Run a session to its end.

    Args:
        order: What to do.
        tree: The task's tree.
        gateway: The only thing that it can reach.
        transcript: Where its messages go.
        interrupted: Called about every second: why to end it early, `stopped` or another reason.
    """
    began = time.monotonic()
    errors = tree.folder / "claude.log"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603
            tree.jail().command([str(CLAUDE), *arguments(order)]),
            cwd=tree.path,
            env=_environment(order, tree, gateway),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=_feed, args=(process.stdin, order.prompt), daemon=True).start()
        reason: str | None = ""
        try:
            reason, result = _follow(process, transcript, began + order.seconds, interrupted)
        finally:  # a full disk ends this, and the session must not outlive it
            if reason is None:
                processes.wait(process, LAST_SECONDS, lambda: False)
            else:
                processes.terminate(process, ENDING_SECONDS)
            tree.settle()
            transcript.close()
    seconds = time.monotonic() - began
    kind, message = _judge(reason, result, process.returncode, gateway)
    if kind == "crashed":
        message += f": {_last_line(errors)}"
    return Outcome(
        kind=kind,
        text=str((result or {}).get("result") or ""),
        message=message,
        session=order.session,
        turns=int((result or {}).get("num_turns") or 0),
        tokens=gateway.usage.total,
        seconds=seconds,
    )


def is_kept(tree: Tree, session: str) -> bool:
    """Whether Claude Code has kept a session, so that it can be continued."""
    return any((tree.folder / "claude" / "projects").glob(f"*/{session}.jsonl"))


def arguments(order: Order) -> list[str]:
    """Return the command line of Claude Code for an order; the prompt goes to standard input."""
    started = ["--resume" if order.resume else "--session-id", order.session]
    model = ["--model", order.model] if order.model else []
    return [
        *("--print", "--bare", "--verbose", "--output-format", "stream-json"),
        # A repository's .claude and .mcp.json are not obeyed.
        *("--setting-sources", "user", "--strict-mcp-config"),
        *("--permission-mode", "bypassPermissions", "--max-turns", str(order.turns)),
        *("--append-system-prompt-file", str(order.system)),
        *started,
        *model,
    ]


def _environment(order: Order, tree: Tree, gateway: Gateway) -> dict[str, str]:
    return {
        **tree.variables(),
        **order.variables,
        **SWITCHES,
        "ANTHROPIC_API_KEY": gateway.key,
        # The socket is where requests go; the address is never looked up.
        "ANTHROPIC_BASE_URL": "http://gateway.invalid",
        "ANTHROPIC_UNIX_SOCKET": str(gateway.socket),
        "CLAUDE_CODE_TMPDIR": str(tree.folder / "tmp"),
        "CLAUDE_CONFIG_DIR": str(tree.folder / "claude"),
    }


def _feed(stdin: IO[str] | None, prompt: str) -> None:
    try:
        if stdin is not None:
            with stdin:
                stdin.write(prompt)
    except OSError:
        pass  # it ended before it had read all: its exit code says so


def _follow(
    process: subprocess.Popen[str],
    transcript: Transcript,
    deadline: float,
    interrupted: Callable[[], str | None],
) -> tuple[str | None, dict[str, Any] | None]:
    """Read messages until the session ends; return why it was ended early, and its result."""
    lines = _Lines(process)
    result: dict[str, Any] | None = None
    asked = 0.0
    while not lines.ended:
        line = lines.next(LOOK_SECONDS)
        if line:
            transcript.write(line)
            result = _result(line) or result
        if time.monotonic() > deadline:
            return "minutes", result
        if time.monotonic() - asked >= LOOK_SECONDS:
            asked = time.monotonic()
            reason = interrupted()
            if reason is not None:
                return reason, result
    return None, result


class _Lines:
    """The lines that a process prints, until it ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.ended = False
        self._process = process
        self._last = 0.0
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put(None)

    def next(self, seconds: float) -> str | None:
        """Return the next line; None if there is none within so many seconds, or any more."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            # A process that it left behind may keep its output open.
            if self._process.poll() is not None:
                self._last = self._last or time.monotonic()
                self.ended = time.monotonic() - self._last > LAST_SECONDS
            return None
        self.ended = line is None
        return line


def _result(line: str) -> dict[str, Any] | None:
    if '"type":"result"' not in line.replace(" ", ""):
        return None
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_result = isinstance(message, dict) and message.get("type") == "result"
    return message if is_result else None


def _judge(  # noqa: PLR0911 - one return a kind
    reason: str | None, result: dict[str, Any] | None, code: int | None, gateway: Gateway
) -> tuple[str, str]:
    """Return the kind of an outcome and a sentence; the model's words count for nothing here."""
    failure = gateway.failure
    if reason == "minutes":
        return "minutes", "the time is used up"
    if reason is not None:
        return ("stopped" if reason == "stopped" else "cancelled"), reason
    if failure is not None and failure.kind == "budget":
        return "tokens", "the token budget is used up"
    if result is not None and result.get("subtype") == "error_max_turns":
        return "turns", "the turns are used up"
    if result is not None and code == 0 and not result.get("is_error"):
        return "done", "the session ended"
    said = str((result or {}).get("result") or "").splitlines()
    ended = str((result or {}).get("terminal_reason"))
    if ended == "prompt_too_long" or (failure is not None and failure.kind == "context"):
        return "context", "the conversation does not fit into the model's context window"
    if failure is not None:
        return "endpoint", failure.message
    if ended == "api_error":
        return "endpoint", said[0] if said else "the connection to the model was cut"
    return "crashed", f"Claude Code ended with exit code {code}{f', {said[0]}' if said else ''}"


def _last_line(file: Path) -> str:
    lines = file.read_text("utf-8", errors="replace").strip().splitlines()
    text = [line for line in lines if not line.startswith(_HARMLESS)]
    return text[-1][:300] if text else "it printed no error"
