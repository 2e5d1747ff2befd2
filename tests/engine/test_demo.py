"""`make up` and `make down`: the README's first screen, in a copy of the project's files."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from patience import COMMAND
from workplace import ROOT

from muster.forge import Basic, WorkForge

_THEIRS = re.compile(r"PULUMI_(BACKEND_URL|STACK)$|MAKE|MFLAGS$")
"""The variables of the user's own stacks, and of the make that runs the tests."""


class Demo:
    """A demo of its own beside the one that may be up on this machine.

    Its environment is that of the tests, so set-up is left out.
    """

    def __init__(self, folder: Path, client: docker.DockerClient) -> None:
        self.folder, self.client, self.name = folder, client, f"t{secrets.token_hex(3)}"
        tracked = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for file in filter(None, tracked.stdout.split("\0")):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        (folder / ".muster" / "state").mkdir(parents=True)
        roster = folder / "stacks" / "demo.toml"
        roster.write_text(roster.read_text().replace('name = "demo"', f'name = "{self.name}"'))

    def make(self, target: str) -> str:
        return self.run("make", "--old-file=setup", target)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not _THEIRS.match(name)},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> dict[str, bytes]:
        """Return all files, but for what Pulumi and Python keep for themselves."""
        return {
            str(file.relative_to(self.folder)): file.read_bytes()
            for file in self.folder.rglob("*")
            if file.is_file() and not {".muster", ".venv", "__pycache__"} & {*file.parts}
        }

    def containers(self) -> list[Any]:
        return list(self.client.containers.list(all=True, filters=self._mine))

    def volumes_and_networks(self) -> list[Any]:
        client = self.client
        return [
            *client.volumes.list(filters=self._mine),
            *client.networks.list(filters=self._mine),
        ]

    def running(self) -> dict[str, str]:
        """Return since when each container runs, by its name."""
        states = {container.name: container.attrs["State"] for container in self.containers()}
        return {name: state["StartedAt"] for name, state in states.items() if state["Running"]}

    @property
    def _mine(self) -> dict[str, Any]:
        return {"label": f"muster.project={self.name}"}


@pytest.fixture
def demo(tmp_path: Path, docker_client: docker.DockerClient) -> Iterator[Demo]:
    made = Demo(tmp_path, docker_client)
    yield made
    for container in made.containers():
        container.remove(force=True, v=True)
    for left in made.volumes_and_networks():
        left.remove()


def test_the_demo_ends_with_a_reviewed_pull_request_and_goes_down_without_a_rest(
    demo: Demo,
) -> None:
    before = demo.files()

    printed = demo.make("up")
    agents = {f"{demo.name}-agents-{agent}" for agent in ("dev-qwen", "review-qwen")}
    endpoint = f"{demo.name}-scripted-endpoint"
    assert demo.running().keys() == {*agents, f"{demo.name}-forge", endpoint}
    table = [re.split("  +", line) for line in printed.splitlines()]
    for agent, role in (("dev-qwen", "dev"), ("review-qwen", "review")):
        assert [agent, agent, role, f"{demo.name}-agents-{agent}"] in table
    told = dict(re.findall(r"^([A-Z][a-z ]+): +(.*)$", printed, re.MULTILINE))
    url, _, administrator = told["Forge"].partition(", administrator ")
    password = demo.run("sh", "-c", told["Password"]).strip()
    keeper = WorkForge(url, Basic(administrator, password), "demo/hello")
    pull = keeper.pull(int(told["Pull request"].rpartition("/")[2]))
    assert pull.html_url == told["Pull request"]
    assert "Closes #1" in pull.body
    changed = keeper.file("greet.py", pull.head_sha)
    assert changed is not None
    assert b'f"Hello, {name}!"' in changed
    assert "review-qwen" in {review.author for review in keeper.reviews(pull.number)}
    assert "Working on #1." in printed
    log = demo.run("sh", "-c", told["Logs"])
    assert "Working on #1." in log
    assert "waiting" not in log  # the endpoint was there before the agent

    running = demo.running()
    again = demo.make("up")
    assert re.search(r"^Resources:\n +\d+ unchanged\n\n", again, re.MULTILINE)
    assert told["Pull request"] in again
    assert demo.running() == running

    demo.make("down")
    assert (demo.containers(), demo.volumes_and_networks()) == ([], [])
    assert demo.files() == before
    assert demo.make("down") == "The demo is not up.\n"
