"""Agents in disinto's own image, which a stand-in plays: it starts as root and works as `agent`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from crew import until
from old_factory import OldFactory
from workplace import Workplace

from muster.forge import Basic, Issue, WorkForge

STAND_IN = Path(__file__).parent / "disinto_agents"

SIX_CAPABILITIES = 0b1110_1011
"""CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID (Linux: include/uapi/linux/capability.h)."""


@pytest.fixture
def disintos_image(workplace: Workplace) -> Iterator[str]:
    tag = f"{workplace.name}/disinto/agents:stand-in"
    workplace.client.images.build(path=str(STAND_IN), tag=tag, rm=True)
    yield tag
    workplace.client.images.remove(tag, force=True)


def keeper(workplace: Workplace) -> WorkForge:
    basic = workplace.server.administrator.basic
    assert isinstance(basic, Basic)
    return WorkForge(workplace.server.url, basic, workplace.repo)


def waiting_issue(forge: WorkForge) -> Issue:
    for label in ("backlog", "in-progress"):
        forge.ensure_label(label, "0e8a16", "")
    return forge.create_issue("A page is missing", "Please.", ["backlog"])


def expect_work(workplace: Workplace, issue: Issue, agent: str) -> None:
    """Wait until an agent's container has relabelled an issue, and look at what it may do."""
    forge = keeper(workplace)
    container = workplace.container(agent)

    def is_relabelled() -> bool:
        return forge.issue(issue.number).labels == {"in-progress"}

    try:
        until(is_relabelled, "the issue is relabelled")
    finally:
        print(container.logs().decode())  # noqa: T201 - pytest shows it where a test fails
    host = container.attrs["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    status = container.exec_run("cat /proc/1/status").output.decode()
    first = dict(line.split(":\t", 1) for line in status.splitlines())
    assert {first[name] for name in ("CapEff", "CapBnd")} == {f"{SIX_CAPABILITIES:016x}"}
    assert first["NoNewPrivs"] == "1"
    container.reload()
    assert (container.status, container.attrs["RestartCount"]) == ("running", 0)


def test_disintos_agents_work_with_the_rights_that_their_entrypoint_needs(
    workplace: Workplace, disintos_image: str
) -> None:
    operations = f"{workplace.repo}-ops"
    workplace.forge.create_repository(operations, "main")
    issue = waiting_issue(keeper(workplace))
    workplace.roster(workplace.agent("dev", image=disintos_image, poll_interval=1))

    workplace.up()

    expect_work(workplace, issue, "dev")
    container = workplace.container("dev")
    logged = container.logs().decode()
    assert f"cloned {workplace.repo}\n" in logged
    assert f"cloned {operations}\n" in logged
    assert workplace.token("dev") not in logged
    assert workplace.preview() == {}
    told = workplace.muster("logs", "dev")
    assert "Entering polling loop" in told
    assert f"docker exec {container.name} ls -R /home/agent/data/logs" in told
    told = workplace.muster("logs", "dev", "--session", expect=1)
    assert f"docker exec {container.name} find /home/agent/data -name '*.jsonl'" in told
    told = workplace.muster("work", "dev", str(issue.number), expect=1)
    assert f"add backlog and priority to {workplace.repo}#{issue.number}" in told
    container.stop(timeout=5)
    assert container.wait()["StatusCode"] == 0  # it could end what ran as another user


@pytest.mark.slow
def test_an_adopted_agent_goes_on_in_the_image_of_its_service(
    workplace: Workplace, disintos_image: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("host") / workplace.name
    workplace.forge.create_repository(f"{workplace.repo}-ops", "main")
    with OldFactory(workplace, folder, disintos_image) as factory:
        old = factory.containers()[f"agents-{factory.agent}"]
        until(lambda: b"Entering polling loop" in old.logs(), "the old service works")
        (folder / ".env").rename(folder / ".env.enc")  # as SOPS has it: nobody can read it

        told = workplace.muster("adopt", str(factory.file), "--yes")

        issue = waiting_issue(keeper(workplace))
        expect_work(workplace, issue, factory.agent)
        new = workplace.container(factory.agent)
        assert new.attrs["Config"]["Image"] == old.attrs["Config"]["Image"]
        variables = set(new.attrs["Config"]["Env"])
        assert {"CLAUDE_TIMEOUT=7200", "PLANNER_INTERVAL=43200"} < variables
        assert not any("made-up" in each for each in variables)
        assert "does not keep FORGE_REVIEW_TOKEN" in told
        assert f"{folder}/.env.enc still has FORGE_TOKEN" in told
        # The password stays the same: it was read from the running service.
        assert workplace.password(factory.agent) == factory.account.password
        assert factory.account.password not in told + workplace.roster_path.read_text()
