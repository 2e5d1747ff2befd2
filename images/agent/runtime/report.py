"""What the agent writes at the forge: its comment on the issue, and the pull request's text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.prompt import visible

MARK = "<!-- muster -->"
"""Begins the bot's one comment on an issue; the page does not show it."""

NOTE = "<!-- muster:note -->"
"""Begins every other comment of an agent."""

_OURS = re.compile(r"^<!-- muster", re.MULTILINE)
_BREAK = "\u200b"
"""Zero-width space: readers do not see it, and the forge no longer sees what it splits."""

_ACTIVE = (
    re.compile(r"@(?=\w)"),  # mentions
    re.compile(r"[#!](?=\d)"),  # references, which close issues after words like "fixes"
    re.compile(r"/(?:issues|pulls|pull)(?=/\d)"),  # the same as addresses
    re.compile(r"!(?=\[)"),  # images, which a reader's browser loads from anywhere
    re.compile(r"<(?=[A-Za-z/!?])"),  # HTML
)
_CLOSING = re.compile(r"\b(clos|fix|resolv|reopen)(e|es|ed|s)?(:?\s+)(\S*)#(?=\d)", re.IGNORECASE)

IN_PROGRESS, BLOCKED, NEEDS_HUMAN, PRIORITY = "in-progress", "blocked", "needs-human", "priority"

LABELS = {
    IN_PROGRESS: ("1d76db", "An agent works on this"),
    BLOCKED: ("b60205", "Agents gave up; remove this label to have them try again"),
    NEEDS_HUMAN: ("d93f0b", "A person has to decide"),
    PRIORITY: ("fbca04", "Agents take this first"),
    "backlog": ("0e8a16", "Agents may work on this"),
}
"""Color and description of the labels that the crew uses."""


@dataclass(frozen=True)
class Checked:
    """A check command and how it ended: its exit code, None if it took too long."""

    command: str
    code: int | None
    output: str

    @property
    def passed(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0


@dataclass(frozen=True)
class Effort:
    """What a task took.

    Attributes:
        agent: The agent.
        model: Its model.
        endpoint: Its endpoint.
        turns: Turns of its sessions.
        tokens: Tokens of its sessions.
        minutes: Minutes of its sessions.
    """

    agent: str
    model: str | None
    endpoint: str
    turns: int
    tokens: int
    minutes: float

    def row(self) -> str:
        """Return it as a Markdown table."""
        return (
            "| agent | model | endpoint | turns | tokens | minutes |\n|---|---|---|--:|--:|--:|\n"
            f"| {self.agent} | {self.model or 'default'} | {self.endpoint} | {self.turns} "
            f"| {self.tokens:,} | {self.minutes:.1f} |"
        )


def comment(text: str) -> str:
    """Return the bot's comment on an issue."""
    return f"{MARK}\n{text}"


def note(text: str) -> str:
    """Return another comment of the bot."""
    return f"{NOTE}\n{text}"


def is_of_agent(text: str) -> bool:
    """Whether an agent wrote a comment; a person who quotes an agent's comment did not."""
    return bool(_OURS.search(text))


def title_line(title: str, limit: int = 200) -> str:
    """Return an issue's title in one line that closes no other issue when it is merged."""
    line = " ".join(visible(title).split())
    return _CLOSING.sub(r"\1\2\3\4", line)[:limit].rstrip()


def pull_body(
    issue: int, summary: str, changed: str, checks: Sequence[Checked], effort: Effort
) -> str:
    """Return a pull request's text.

    Args:
        issue: The issue that it closes.
        summary: The model's own words.
        changed: Which files changed, and by how much.
        checks: The check commands.
        effort: What it took.
    """
    words = quoted(summary) if summary else "> (the agent wrote no summary)"
    return "\n\n".join(
        [
            f"Closes #{issue}",
            f"**What was changed**, in the agent's words:\n\n{words}",
            fenced(changed),
            f"**How it was checked**\n\n{checked(checks)}",
            effort.row(),
        ]
    )


def checked(checks: Sequence[Checked]) -> str:
    """Return the results of the check commands as Markdown."""
    if not checks:
        return (
            "No check command is configured: name some in `.muster/work.toml` "
            '(`check = ["make test"]`).'
        )
    lines = []
    for check in checks:
        how = "passed" if check.passed else "took too long" if check.code is None else "failed"
        lines.append(f"- `{check.command}`: {how}")
        if not check.passed:
            lines.append(f"\n{fenced(check.output[-3000:])}")
    return "\n".join(lines)


def fenced(text: str) -> str:
    """Return a command's output as a Markdown code block that nothing in it can end."""
    shown = text.strip("\n").rstrip()
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"


def neutral(text: str, limit: int = 4000) -> str:
    """Return a model's words without effect at the forge.

    Nobody is mentioned, no issue is referred to or closed, and no image or HTML is shown.
    """
    shown = visible(text)[:limit]
    for pattern in _ACTIVE:
        shown = pattern.sub(lambda found: found[0] + _BREAK, shown)
    return shown


def quoted(text: str, limit: int = 4000) -> str:
    """Return a model's words as a Markdown quote without effect at the forge."""
    return "\n".join(f"> {line}" for line in neutral(text, limit).splitlines())
