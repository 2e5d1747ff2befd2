"""The roster's settings for work: `[muster.work]`, and `[muster.endpoints."URL"]`."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from muster import rules
from muster.fields import STRICT, NotBlank, RepositoryPath

PROTECTED_PATHS = (
    ".forgejo/workflows",
    ".gitea/workflows",
    ".github/workflows",
    ".claude",
    ".mcp.json",
)
"""What runs with more rights than an agent has, or configures Claude Code itself."""


class Budgets(BaseModel):
    """What one task may cost. Agents take what they leave out from `[muster.work]`."""

    model_config = STRICT

    turns: int = Field(
        default=60, ge=1, description="The most turns of Claude Code per task.", examples=[60]
    )
    minutes: int = Field(default=60, ge=1, description="The most minutes per task.", examples=[60])
    tokens: int = Field(
        default=2_000_000,
        ge=1,
        description="The most tokens per task, input and output together.",
        examples=[2_000_000],
    )
    diff_lines: int = Field(
        default=1000,
        ge=1,
        description="The most changed lines in a pull request.",
        examples=[1000],
    )
    tasks_per_day: int | None = Field(
        default=None,
        ge=1,
        description="The most tasks per day. Without it there is no limit.",
        examples=[10],
    )


class Work(Budgets):
    """The `[muster.work]` section: which issues the crew takes, and how it works on them."""

    label: NotBlank = Field(
        default="backlog",
        description="Agents take open issues that have this label.",
        examples=["backlog"],
    )
    authors: Annotated[
        Literal["writers", "anyone"] | tuple[str, ...], BeforeValidator(rules.authors)
    ] = Field(
        default="writers",
        description='Whose issues and comments agents work on: "writers" (users with write access '
        'to the repository), "anyone", or a list of forge users.',
        examples=["writers", ["ann", "bob"]],
    )
    setup: tuple[NotBlank, ...] = Field(
        default=(),
        strict=False,  # TOML has lists
        description="Shell commands that prepare a fresh checkout.",
        examples=[["npm ci"]],
    )
    check: tuple[NotBlank, ...] = Field(
        default=(),
        strict=False,
        description="Shell commands that must succeed before a pull request is ready for review.",
        examples=[["make test"]],
    )
    network: Literal["none", "open"] = Field(
        default="none",
        description="Whether the setup commands may use the network.",
        examples=["none"],
    )
    merge: Literal["never", "when-approved"] = Field(
        default="never",
        description='"when-approved": agents merge a pull request that another account approved, '
        "if its statuses are green and the branch is protected.",
        examples=["never"],
    )
    protected_paths: tuple[RepositoryPath, ...] = Field(
        default=PROTECTED_PATHS,
        strict=False,
        description="Files and folders whose changes are never pushed. Your list replaces the "
        "default.",
        examples=[list(PROTECTED_PATHS)],
    )


class Endpoint(BaseModel):
    """One `[muster.endpoints."URL"]` section."""

    model_config = STRICT

    slots: int = Field(
        default=1,
        ge=1,
        description="How many sessions may use this endpoint at the same time.",
        examples=[2],
    )
