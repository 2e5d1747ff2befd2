"""A new project: its roster, and its stack."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomlkit
import typer

from muster import roster, roster_edit
from muster.cli.engine import Engine, stacks
from muster.cli.folders import STACKS
from muster.cli.screen import Screen
from muster.errors import MusterError
from muster.forge import Administrator, Forge, ForgeError
from muster.preflight import PATIENCE


@dataclass(frozen=True)
class Repository:
    """What the forge shows of a repository before there is a roster.

    Attributes:
        branch: its default branch, None if it is not known.
        warning: what is wrong with it or with the forge, and which option corrects it.
    """

    branch: str | None = None
    warning: str | None = None


class NewProject:
    """One project that is made, taken up, or removed again.

    Attributes:
        name: the project's, and the stack's, name.
        path: its roster.
    """

    def __init__(self, folder: Path, name: str, screen: Screen) -> None:
        self.name, self.path = name, folder / STACKS / f"{name}.toml"
        self._folder, self._screen = folder, screen

    @property
    def _shown(self) -> Path:
        return self.path.relative_to(self._folder)

    def make(self, repo: str, forge_url: str) -> None:
        """Write a roster without agents, and make the stack.

        Raises:
            MusterError: the stack exists.
        """
        found = look(os.environ, repo, forge_url)
        write_roster(self.path, self.name, repo, forge_url, found.branch)
        try:
            self._make_stack()
        except BaseException:
            self.path.unlink()
            raise
        self._screen.say(f"Made {self._shown} and stack {self.name}.")
        if found.warning is not None:
            self._screen.say(f"warning: {found.warning}", "yellow")
            self._screen.say(f"To start again: muster init {self.name} --remove")
        self._next_is_hiring()

    def take_up(self, repo: str | None, forge_url: str | None) -> None:
        """Make the stack of a roster that exists.

        Args:
            repo: what was given as the repository, which must be the roster's.
            forge_url: what was given as the forge, likewise.

        Raises:
            MusterError: the roster is wrong, is about something else, or has its stack.
        """
        present = roster.load(self.path)
        for option, key, given in (
            ("--repo", "repo", repo),
            ("--forge-url", "forge_url", forge_url),
        ):
            if given is not None and given != getattr(present, key):
                raise MusterError(
                    f"{self._shown} exists, and its {key} is {getattr(present, key)}: change it "
                    f"there, or leave {option} out"
                )
        if self.name in stacks(self._folder):
            raise MusterError(
                f"{self._shown} and stack {self.name} exist: edit the roster, hire with "
                "muster hire, or choose another name"
            )
        self._make_stack()
        self._screen.say(f"Made stack {self.name} for {self._shown}, which exists.")
        if present.agents:
            self._screen.say(
                f"The roster has {', '.join(present.agents)}. If they were hired from another "
                "machine, use the state of that machine (PULUMI_BACKEND_URL, see docs/operate.md)."
            )
            self._screen.next(f"muster preview --stack {self.name}")
        else:
            self._next_is_hiring()

    def _next_is_hiring(self) -> None:
        self._screen.next(
            f"muster hire dev-qwen dev --stack {self.name} --local-model URL --model MODEL"
        )

    def remove(self, *, yes: bool) -> None:
        """Remove an empty stack, and its roster if that has no agents.

        Raises:
            MusterError: there is no such stack, or it is not empty; nothing was changed.
        """
        engine = Engine(self._folder, self.name)
        state = engine.state()
        if state.get("resources") or state.get("pending_operations"):
            raise MusterError(
                f"stack {self.name} is not empty: muster down --stack {self.name} removes what it "
                "made. Nothing was changed"
            )
        without = self.path.exists() and not _agents(self.path)
        what = f"{self._shown} and stack {self.name}" if without else f"stack {self.name}"
        if not yes:
            self._screen.confirm(f"Remove {what}?")
        engine.remove_stack(keep_configuration=not without)
        if without:
            self.path.unlink()
        self._screen.say(f"Removed {what}.")
        if self.path.exists():
            self._screen.say(f"{self._shown} stays: it has agents.")

    def _make_stack(self) -> None:
        Engine(self._folder, self.name).make_stack(select=True)


def look(environment: Mapping[str, str], repo: str, forge_url: str) -> Repository:
    """Ask a forge for a repository.

    Args:
        environment: May hold the forge administrator's credentials: a private repository is not
            shown to others.
        repo: `owner/name`.
        forge_url: What was given as the forge's address.
    """
    who = None
    try:
        if not Forge(forge_url, None).answers():
            return Repository(warning=f"no forge answers at {forge_url}; correct --forge-url")
        who = Administrator.from_environment(environment)
        found = Forge(forge_url, who.api if who else None, patience=PATIENCE).repository(repo)
    except ForgeError as error:
        return Repository(warning=f"the repository was not checked: {error}")
    if found is not None:
        return Repository(found.default_branch)
    if who is None:
        return Repository(
            warning=f"the forge at {forge_url} shows no repository {repo} without the "
            "administrator's credentials: it is private, or does not exist; check --repo"
        )
    return Repository(
        warning=f"the forge at {forge_url} has no repository {repo}: create it, or correct --repo"
    )


def checked(option: str, rule: Callable[[str], str], value: str) -> str:
    """Return a value in the form that the rosters' rule gives it.

    Raises:
        typer.BadParameter: it is wrong; the message names the option.
    """
    try:
        return rule(value)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None


def write_roster(
    path: Path, project: str, repo: str, forge_url: str, primary_branch: str | None = None
) -> None:
    """Write a roster without agents; its values keep the rosters' rules.

    Raises:
        MusterError: the file cannot be written.
    """
    document = tomlkit.document()
    document.update({"name": project, "repo": repo, "forge_url": forge_url})
    if primary_branch is not None:
        document["primary_branch"] = primary_branch
    roster_edit.write(path, f"{roster.SCHEMA}\n{tomlkit.dumps(document)}")


def _agents(path: Path) -> bool:
    """Tell whether a roster has agents; one that cannot be read may have some."""
    try:
        return bool(roster.load(path).agents)
    except MusterError:
        return True
