"""`muster fire`, as a person types it."""

from asking import ended
from workplace import Workplace


def test_firing_says_what_goes_and_what_stays_and_does_it(workplace: Workplace) -> None:
    crew = "".join(workplace.agent(name, enabled=False) for name in ("dev-a", "dev-b"))
    workplace.roster(workplace.agent("dev-qwen") + "\n# the others\n\n" + crew)
    workplace.up()

    unknown = workplace.muster("fire", "dev-qwem", "--yes", expect=1)
    assert "did you mean dev-qwen?" in unknown
    printed = workplace.muster("fire", "dev-qwen", "--yes")

    goes, stays = (
        next(line for line in printed.splitlines() if word in line) for word in ("goes:", "stays:")
    )
    assert workplace.container_name("dev-qwen") in goes
    assert workplace.user("dev-qwen") in stays
    assert f"{workplace.container_name('dev-qwen')}-repos" in stays
    user = workplace.forge.user(workplace.user("dev-qwen"))
    assert user is not None
    assert user.prohibit_login
    assert "agents-dev-qwen" not in workplace.containers()
    assert "agents-dev-qwen-repos" in workplace.volumes()
    roster = workplace.roster_path.read_text()
    assert "dev-qwen: repos volume: kept" in printed
    assert "dev-qwen: bot user: barred" in printed
    assert "[agents.dev-qwen]" not in roster
    assert "# the others" in roster


def test_a_purge_takes_account_and_volumes_once_the_name_is_typed(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()
    before = workplace.roster_path.read_bytes()

    refused = workplace.muster("fire", "dev-qwen", "--purge", "--yes", stdin="dev\n", expect=1)
    assert "nothing was done" in refused
    assert workplace.roster_path.read_bytes() == before
    with workplace.terminal("muster fire dev-qwen --purge") as child:
        child.expect("goes:.*every issue")
        child.expect("Type dev-qwen")
        child.sendline("dev-qwen")
        child.expect("Done")
        assert ended(child) == 0

    assert workplace.forge.user(workplace.user("dev-qwen")) is None
    assert workplace.volumes() == set()
    assert workplace.containers() == set()
