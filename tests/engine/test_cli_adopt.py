"""`muster adopt`: a running factory's agents come under Muster, and nothing is lost on the way."""

import secrets
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import api_status, ended, password_status
from old_factory import OldFactory
from workplace import Workplace

from muster import accounts

NEVER_HEALTHY = (
    b"FROM muster-agent\n"
    b"HEALTHCHECK --interval=6s --start-period=1ms --retries=1 CMD echo out of order; exit 1\n"
)


@pytest.fixture
def factory(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldFactory]:
    folder = tmp_path_factory.mktemp("host") / f"f{secrets.token_hex(4)}"
    with OldFactory(workplace, folder) as made:
        yield made


@pytest.fixture
def never_healthy(workplace: Workplace, tmp_path: Path) -> Iterator[str]:
    """An image whose containers run and are unhealthy after a few seconds."""
    context = tmp_path / "image"
    context.mkdir()
    (context / "Dockerfile").write_bytes(NEVER_HEALTHY)
    tag = f"never-healthy-{workplace.name}"
    workplace.client.images.build(path=str(context), tag=tag, rm=True)
    yield tag
    workplace.client.images.remove(tag, force=True)


def test_a_running_factorys_agents_go_on_under_muster(
    workplace: Workplace, factory: OldFactory
) -> None:
    workplace.pulumi("stack", "rm", "--yes", workplace.name)
    for name in ("FORGE_ADMIN_USER", "FORGE_ADMIN_PASS", "FORGE_ADMIN_PAT"):
        del workplace.environment[name]
    claude, key = workplace.user("claude"), "sk-ant-made-up"
    factory.add(f'[agents.claude]\nforge_user = "{claude}"\n', f"ANTHROPIC_API_KEY={key}\n")
    before, volumes = factory.file.read_text(), factory.volumes()
    old = factory.containers()[f"agents-{factory.agent}"]
    account, url = factory.account, workplace.server.url

    report = workplace.reported("adopt", str(factory.file), "--yes")

    assert [each["bot_user"] for each in report["adopted"]] == [factory.user, claude]
    assert report["removed"] == [f"{old.name}-before-muster"]
    assert report["changes"]
    # The account is the one that was there, with what it can do, and Muster's.
    user = workplace.forge.user(factory.user)
    assert user is not None
    assert user.id == account.id
    assert user.login_name == accounts.mark_of(workplace.name, workplace.name, factory.agent)
    assert password_status(url, factory.user, account.password) == 200
    assert api_status(url, account.token) == 200
    # An agent without an endpoint has the factory's key, which is written nowhere.
    assert workplace.container("claude").attrs["State"]["Health"]["Status"] == "healthy"
    kept = workplace.pulumi("config", "get", "muster:anthropicApiKey", "--stack", workplace.name)
    assert kept.strip() == key
    assert all(key not in path.read_text() for path in (workplace.folder / "stacks").iterdir())
    assert key not in str(report)
    # The new container is at work, the old one is gone, its neighbour and its volumes are not.
    new = workplace.container(factory.agent)
    assert new.id != old.id
    assert new.attrs["State"]["Health"]["Status"] == "healthy"
    assert set(factory.containers()) == {"forgejo"}
    assert factory.containers()["forgejo"].status == "running"
    assert factory.volumes() == volumes
    assert set(report["adopted"][0]["volumes_left"]) == {
        f"{factory.folder.name}_{v}" for v in volumes
    }
    # Neither the factory's generator nor compose brings the old one back.
    said = tomllib.loads(factory.file.read_text())
    assert said["agents"] == {"schedule": {"architect_interval": 900}}
    assert str(workplace.roster_path) in factory.file.read_text()
    assert set(factory.compose("--profile", "*", "config", "--services").split()) == {
        "edge",
        "forgejo",
    }

    # A run that ended before the project file was written goes on there.
    after = factory.file.read_text()
    factory.file.write_text(before)
    again = workplace.reported("adopt", str(factory.file), "--yes")
    assert again["removed"] == []
    assert again["changes"] == []
    assert factory.file.read_text() == after
    assert workplace.container(factory.agent).id == new.id


@pytest.mark.slow
def test_old_services_run_on_until_the_new_container_is_healthy(
    workplace: Workplace, factory: OldFactory, never_healthy: str
) -> None:
    workplace.roster("", f'image = "{never_healthy}"')
    service, before = f"agents-{factory.agent}", factory.file.read_text()
    old = factory.containers()[service]

    with workplace.terminal(f"muster adopt {factory.file} --yes") as child:
        child.expect("Waiting for")
        child.sendintr()
        child.expect("stopped. The old services run on")
        assert ended(child) == 130
    told = workplace.muster("adopt", str(factory.file), "--yes", expect=1)
    assert "is not healthy: out of order" in told
    assert f"muster adopt {factory.file}" in told
    assert factory.account.password not in told
    assert factory.containers()[service].id == old.id
    assert factory.containers()[service].status == "running"
    assert factory.file.read_text() == before
    url = workplace.server.url
    assert password_status(url, factory.user, factory.account.password) == 200
    assert api_status(url, factory.account.token) == 200

    mended = workplace.roster_path.read_text().replace(f'image = "{never_healthy}"', "")
    workplace.roster_path.write_text(mended)
    told = workplace.muster("adopt", str(factory.file), "--yes")

    assert "taken over" in told
    assert service not in factory.containers()
    assert factory.agent not in tomllib.loads(factory.file.read_text())["agents"]


def test_who_declines_finds_everything_as_it_was(workplace: Workplace, factory: OldFactory) -> None:
    workplace.pulumi("stack", "rm", "--yes", workplace.name)
    stacks = workplace.folder / "stacks"
    before = {path: path.read_bytes() for path in [factory.file, factory.compose_file]}
    containers = {each.id: each.name for each in factory.containers().values()}

    with workplace.terminal(f"muster adopt {factory.file}") as child:
        child.expect(f"{factory.agent} +{factory.user} +dev ")
        child.expect(f"work that is not pushed stays in {factory.folder.name}_agents")
        child.expect(rf"Take over {factory.agent}\?")
        child.sendline("n")
        child.expect("declined: nothing was changed")
        assert ended(child) == 1

    assert {path: path.read_bytes() for path in before} == before
    assert {each.id: each.name for each in factory.containers().values()} == containers
    assert list(stacks.iterdir()) == []
    assert workplace.name not in workplace.pulumi("stack", "ls")


def test_an_adoption_refuses_what_is_no_factory_and_another_projects_roster(
    workplace: Workplace, factory: OldFactory
) -> None:
    told = workplace.muster("adopt", str(factory.compose_file), "--yes", expect=1)
    assert "projects/acme.toml" in told
    without = factory.file.with_name("other.toml")
    without.write_text(factory.file.read_text().partition("[agents.")[0])
    assert "other.toml has no agents: nothing to take over" in workplace.muster(
        "adopt", str(without), "--yes"
    )
    workplace.roster(workplace.agent(factory.agent, enabled=False))
    told = workplace.muster("adopt", str(factory.file), "--yes", expect=1)
    assert f"with bot user {workplace.user(factory.agent)}" in told
    workplace.roster("", repo="keeper/other")
    told = workplace.muster("adopt", str(factory.file), "--yes", expect=1)
    assert "choose another stack with --stack" in told
    assert factory.containers()[f"agents-{factory.agent}"].status == "running"
