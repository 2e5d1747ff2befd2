"""Taking over a factory's agents, so that nothing is lost wherever it stops.

The order is the promise: the roster stands and the new containers are healthy before an old one
is stopped; the project file, by which a second run knows what is left to do, is changed last.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.models.containers import Container
from rich.table import Table

from muster import administrator, factory, handover, keys, roster_edit
from muster.cli.engine import CancelledError, stacks
from muster.cli.place import settings_path
from muster.cli.session import RosterChange, Session
from muster.docker import engine
from muster.errors import MusterError
from muster.factory import Factory
from muster.names import container_name, user_upper

HEALTHY_WITHIN = 180.0
"""Seconds that the new containers may take."""

Old = Mapping[str, Sequence[Container]]
"""A factory's containers, by service."""

TITLES = ("AGENT", "BOT USER", "ROLES", "ENDPOINT", "OLD SERVICE")


class Adoption:
    """One project's agents on their way from a factory to a stack."""

    def __init__(self, session: Session, found: Factory, client: DockerClient, old: Old) -> None:
        self._session, self._factory = session, found
        self._client, self._old = client, old
        self._say = session.screen.say
        self._removed: list[str] = []

    def run(self, *, yes: bool) -> None:
        """Show what is taken over, ask, hire the agents, let the old services go.

        Raises:
            MusterError: something is wrong; the text says what stands and how to go on.
        """
        session, found = self._session, self._factory
        if not found.agents:
            self._say(f"{found.file} has no agents: nothing to take over.")
            session.screen.report(self._report() | {"stack": session.stack, "changes": []})
            return
        self._borrow_administrator()
        with self._prepared() as text, ExitStack() as held:
            self._refuse_strangers()
            old = [each for agent in found.agents for each in self._old.get(agent.service, [])]
            self._show()
            self._edited_files()  # what cannot be edited is told before anything happens
            needed = {container_name(found.project, agent.name) for agent in found.agents}
            in_the_way = [each for each in old if each.name in needed]
            for name in held.enter_context(handover.set_aside(self._client, in_the_way)):
                self._say(f"{name} runs on as {name}{handover.ASIDE}: the new one takes its name.")
            changes = session.carry_out(self._change(text), yes=yes)
            try:
                self._hand_over(old)
            except KeyboardInterrupt:
                raise CancelledError(f"stopped. {self._standing()}", signal.SIGINT) from None
            except MusterError as error:
                raise MusterError(f"{error}\n{self._standing()}") from None
        self._say("Done: " + ", ".join(agent.name for agent in found.agents) + " taken over.")
        self._tell_rest()
        session.screen.report(session.outcome(changes) | self._report())

    def _borrow_administrator(self) -> None:
        """Use the credentials of the factory's `.env` where there are no others."""
        if any(os.environ.get(name) for name in administrator.CONFIGURATION):
            return
        if self._factory.administrator:
            os.environ.update(self._factory.administrator)
            self._say(
                "The forge administrator's credentials are those of "
                f"{self._factory.secrets_from}; "
                "later runs want them in the environment, or in a .env beside Pulumi.yaml."
            )

    @contextmanager
    def _prepared(self) -> Iterator[str]:
        """Have a roster and a stack, and take back those made here where nothing came of them.

        Yields:
            The roster's text.
        """
        session = self._session
        path, made = session.roster_path, factory.new_roster(self._factory)
        settings = settings_path(session.project, session.stack)
        had_roster, had_settings = path.exists(), settings.exists()
        with ExitStack() as undo:
            if session.stack not in stacks(session.project):
                session.engine.make_stack(select=False)
                if not (had_roster or had_settings):
                    undo.callback(session.engine.remove_stack)
            if not had_roster:
                roster_edit.write(path, made)
                undo.callback(path.unlink)
            try:
                yield session.roster_text()
            finally:
                if session.roster_text() != made:
                    undo.pop_all()

    def _refuse_strangers(self) -> None:
        """Refuse a roster that is not this project's, or has other agents under these names."""
        present, found = self._session.roster(), self._factory
        if (present.name, present.repo) != (found.project, found.repo):
            raise MusterError(
                f"{present.path} is the roster of {present.name} ({present.repo}), and "
                f"{found.file} is about {found.project} ({found.repo}): "
                "choose another stack with --stack"
            )
        for agent in found.agents:
            twin = present.agents.get(agent.name)
            if twin is not None and twin.forge_user != agent.forge_user:
                raise MusterError(
                    f"{present.path} has an agent {agent.name} with bot user {twin.forge_user}, "
                    f"and that of {found.file} is {agent.forge_user}: set forge_user to that, or "
                    "give one of them another name"
                )

    def _show(self) -> None:
        found = self._factory
        self._say(
            f"Factory {found.folder}, project {found.project}: {found.repo} at {found.forge_url}"
        )
        table = Table(*TITLES, box=None, pad_edge=False, header_style="bold")
        for agent in found.agents:
            runs = [f"{agent.service} ({each.status})" for each in self._old.get(agent.service, [])]
            table.add_row(
                agent.name,
                agent.forge_user,
                ", ".join(agent.fields.get("roles", ["dev"])),
                agent.endpoint or "anthropic",
                ", ".join(runs) or "none",
            )
        self._session.screen.show(table)
        for agent in found.agents:
            if agent.moved_endpoint:
                self._say(
                    f"{agent.name}: in a container {agent.moved_endpoint} is the container itself; "
                    f"the roster names {agent.endpoint}."
                )
        for line in (*self._images(), *self._variables(), *self._volumes()):
            self._say(line)

    def _images(self) -> list[str]:
        """Say which agents stay in which image, and how they would not."""
        return [
            f"{agent.name} keeps the image {agent.kept_image} and disinto's agent code; "
            "--runtime muster moves it to Muster's."
            for agent in self._factory.agents
            if agent.kept_image
        ]

    def _variables(self) -> Iterator[str]:
        """Say which of its service's variables an agent keeps, and why not the others."""
        for agent in self._factory.agents:
            found = agent.environment
            if found.kept:
                yield f"{agent.name} keeps {', '.join(found.kept)} (env in the roster)."
            if agent.key and agent.endpoint:
                yield (
                    f"{agent.name} has a real key for {agent.endpoint}: it goes into the stack's "
                    "configuration, encrypted."
                )
            if found.secrets:
                yield (
                    f"{agent.name} does not keep {', '.join(found.secrets)}: these look like "
                    "secrets, which a roster cannot hold. The agent works without them."
                )
            if found.lost:
                yield (
                    f"{agent.name} does not keep {', '.join(found.lost)}: these name paths on the "
                    "host, which its new container does not see."
                )
            yield from (
                f"{agent.name} does not keep {name}: {why}" for name, why in found.refused.items()
            )

    def _volumes(self) -> list[str]:
        """Say what stays in which volume."""
        return [
            f"{agent.name} begins with empty volumes; work that is not pushed stays in "
            f"{', '.join(agent.volumes)}."
            for agent in self._factory.agents
            if agent.volumes
        ]

    def _change(self, text: str) -> RosterChange:
        found = self._factory
        new = [a for a in found.agents if roster_edit.fields(text, a.name) is None]
        # The old service pushes with the password, so it stays until that service is gone.
        secrets = {f'given["{a.name}"].password': a.password for a in new if a.password}
        if any(agent.endpoint is None for agent in new) and found.anthropic_api_key:
            secrets[keys.CONFIGURED] = os.environ.setdefault(keys.API_KEY, found.anthropic_api_key)
        secrets |= {
            keys.place(agent.name): agent.key
            for agent in new
            if agent.key and (agent.endpoint or agent.key != found.anthropic_api_key)
        }
        names = ", ".join(agent.name for agent in found.agents)
        return RosterChange(
            factory.with_agents(text, found.agents),
            question=f"Take over {names}?",
            ways=self._standing(),
            secrets=secrets,
            agents=frozenset(agent.name for agent in found.agents),
        )

    def _hand_over(self, old: Sequence[Container]) -> None:
        session, found = self._session, self._factory
        crew = session.roster().agents
        new = {
            agent.name: container_name(found.project, agent.name)
            for agent in found.agents
            if crew[agent.name].enabled
        }
        self._say(f"Waiting for {', '.join(new)} to be healthy, at most {HEALTHY_WITHIN:.0f} s …")
        with engine(session.roster().muster.docker_host) as client:
            for name in handover.until_healthy(client, new, HEALTHY_WITHIN):
                self._say(f" + {name}: healthy", "green")
        for container in old:
            self._removed.append(handover.remove(container))
            self._say(f" - old container {self._removed[-1]}: stopped and removed", "red")
        self._edit_files()

    def _edit_files(self) -> None:
        """Keep the factory from making the services again; the project file comes last."""
        found = self._factory
        for path, text in self._edited_files().items():
            roster_edit.write(path, text)
        self._say(f" ~ {found.compose_file} and {found.file}: agents commented out", "yellow")

    def _edited_files(self) -> dict[Path, str]:
        """Return the factory's files without the agents, in the order in which to write them."""
        found = self._factory
        note = f"Muster runs this agent now: {self._session.roster_path.resolve()}"
        texts = {}
        if found.compose_file.exists():
            services = [each.service for each in found.agents]
            texts[found.compose_file] = factory.without_services(
                roster_edit.read(found.compose_file), services, note
            )
        sections = [agent.section for agent in found.agents]
        texts[found.file] = factory.without_agents(roster_edit.read(found.file), sections, note)
        return texts

    def _standing(self) -> str:
        """Say what stands where it stopped, and how to go on."""
        found = self._factory
        old = "Some old services are gone" if self._removed else "The old services run on"
        return (
            f"{old}, and {found.file} is as it was. When that is mended, "
            f"muster adopt {found.file} --stack {self._session.stack} goes on from here; "
            f"muster logs NAME --stack {self._session.stack} shows what a new container says."
        )

    def _tell_rest(self) -> None:
        for line in self._volumes():
            self._say(line)
        users = [user_upper(agent.forge_user) for agent in self._factory.agents]
        left = ", ".join(f"FORGE_TOKEN_{user}, FORGE_PASS_{user}" for user in users)
        file = self._factory.env_file
        self._say(
            f"{file} still has {left}: nothing reads them any more. "
            f"muster rotate --all --stack {self._session.stack} sets other passwords; "
            "the old tokens work until somebody revokes them at the forge."
        )

    def _report(self) -> dict[str, Any]:
        return {
            "file": str(self._factory.file),
            "roster": str(self._session.roster_path.resolve()),
            "adopted": [
                {
                    "agent": agent.name,
                    "bot_user": agent.forge_user,
                    "service": agent.service,
                    "volumes_left": list(agent.volumes),
                    "variables": sorted(agent.environment.kept),
                    "variables_left": agent.environment.left,
                }
                for agent in self._factory.agents
            ],
            "removed": self._removed,
        }
