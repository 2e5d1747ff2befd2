"""What the agent writes at the forge: its comment on the issue, and the pull request's text."""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.prompt import visible

MARK = "<!-- muster -->"
"""Begins the bot's one comment on an issue; the page does not show it."""

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


def pull_title(title: str) -> str:
    """Return the title of an issue's pull request."""
    return " ".join(visible(title).split())[:200]


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
            f"```\n{changed.strip()}\n```",
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
            lines.append(f"\n```\n{check.output[-3000:].strip()}\n```")
    return "\n".join(lines)


def quoted(text: str, limit: int = 4000) -> str:
    """Return a model's words as a Markdown quote, in which nobody is mentioned."""
    shown = visible(text)[:limit].replace("@", "@\u200b")
    return "\n".join(f"> {line}" for line in shown.splitlines())
