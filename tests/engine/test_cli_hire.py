"""`muster hire`, as a person types it."""

import signal

from asking import api_status, ended, interrupted
from workplace import Workplace

from muster.credentials import new_password

ENDPOINT = ("--local-model", "http://10.10.10.1:8081", "--model", "unsloth/Qwen3.5-35B-A3B")

AS_PRINTED = """\
muster hire-an-agent dev-qwen dev \\
--local-model http://10.10.10.1:8081 \\
--model unsloth/Qwen3.5-35B-A3B
"""
"""The command line of upstream's page, with `disinto` replaced."""


def test_the_command_line_of_upstreams_page_hires_and_typed_again_rotates(
    workplace: Workplace,
) -> None:
    workplace.roster("# The crew comes below.\n")
    before = workplace.roster_path.read_text()

    with workplace.terminal(AS_PRINTED) as child:
        child.expect(r"\+ bot user: create")
        child.expect(r"Hire dev-qwen\? \[y/N\]")
        assert workplace.forge.user("dev-qwen") is None
        child.sendline("y")
        child.expect(r"dev-qwen: container: created")
        child.expect("Done")
        assert ended(child) == 0

    written = workplace.roster_path.read_text()
    assert written.startswith(before)
    assert written.removeprefix(before) == (
        "\n[agents.dev-qwen]\n"
        'base_url = "http://10.10.10.1:8081"\n'
        'model = "unsloth/Qwen3.5-35B-A3B"\n'
        'roles = ["dev"]\n'
    )
    token = workplace.token("dev-qwen")
    assert api_status(workplace.server.url, token) == 200
    assert workplace.container("dev-qwen").status == "running"
    assert workplace.preview() == {}

    missing = ("hire", "dev-qwen", "dev,review", *ENDPOINT, "--if-missing", "--yes")
    assert "dev-qwen is already hired: nothing was changed" in workplace.muster(*missing)
    assert workplace.roster_path.read_text() == written
    printed = workplace.muster("hire-an-agent", "dev-qwen", "dev", *ENDPOINT, "--yes")

    assert printed.index("already hired with these fields: rotating") < printed.index("Updating")
    assert api_status(workplace.server.url, token) == 401
    assert api_status(workplace.server.url, workplace.token("dev-qwen")) == 200
    assert workplace.roster_path.read_text() == f"{written}rotation = 2\n"


def test_a_field_that_differs_is_changed_and_the_credentials_stay(workplace: Workplace) -> None:
    workplace.roster(workplace.agent("dev-qwen", roles=["dev"], compact_pct=60))
    workplace.up()
    token = workplace.token("dev-qwen")

    workplace.muster("hire", "dev-qwen", "dev", "review", "--compact-pct", "40", "--yes")

    environment = workplace.container("dev-qwen").attrs["Config"]["Env"]
    assert {"AGENT_ROLES=dev,review", "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE=40"} <= set(environment)
    assert workplace.token("dev-qwen") == token


def test_what_is_declined_refused_or_only_looked_at_leaves_the_roster_as_it_was(
    workplace: Workplace,
) -> None:
    workplace.roster("")
    before = workplace.roster_path.read_bytes()

    with workplace.terminal(AS_PRINTED) as child:
        child.expect(r"\[y/N\]")
        child.sendline("n")
        child.expect("declined: nothing was changed")
        assert ended(child) == 1
    with workplace.terminal(AS_PRINTED) as child:
        child.expect(r"\[y/N\]")
        assert interrupted(child) == 130
    with workplace.terminal(f"exec {AS_PRINTED}") as child:
        child.expect(r"\[y/N\]")
        child.kill(signal.SIGKILL)
        assert workplace.roster_path.read_bytes() == before
    printed = workplace.muster("hire", "dev-qwen", "dev", *ENDPOINT, "--preview")
    assert "  + bot user: create" in printed
    local = ("--local-model", "http://localhost:8081", "--model", "m")
    refused = workplace.muster("hire", "dev-qwen", "dev", *local, "--yes", expect=2)
    assert "--local-model: " in refused
    assert "host.docker.internal:8081" in refused
    refused = workplace.muster("hire", "dev-qwen", "dev,revew", *ENDPOINT, "--yes", expect=1)
    assert 'ROLE: the role "revew" has no formula; did you mean "review"?' in refused
    refused = workplace.muster("hire", "dev-claude", "dev", "--yes", expect=1)
    assert "ANTHROPIC_API_KEY" in refused
    refused = workplace.muster("hire", "keeper", "dev", *ENDPOINT, "--yes", expect=1)
    assert "--forge-user: " in refused
    assert "choose another forge_user" in refused
    assert f"{workplace.name}.toml" not in refused
    taken = f"{workplace.name}-was-there"
    workplace.forge.create_user(
        taken, email=f"{taken}@x.invalid", password=new_password(), login_name="", full_name=""
    )
    try:
        theirs = ("hire", taken, "dev", *ENDPOINT, "--preview")
        assert "set adopt = true" in workplace.muster(*theirs, expect=1)
        assert "  + bot user: create" in workplace.muster(*theirs, "--adopt")
    finally:
        workplace.forge.purge_user(taken)
    unasked = workplace.muster("hire", "dev-qwen", "dev", *ENDPOINT, expect=2)
    assert "--yes" in unasked
    assert "--model" in workplace.muster("hire", "x", "dev", *ENDPOINT[:2], expect=2)

    assert workplace.roster_path.read_bytes() == before
    assert workplace.forge.user("dev-qwen") is None
    assert workplace.containers() == set()


def test_a_hire_that_fails_half_way_stays_in_the_roster_and_names_the_two_ways_on(
    workplace: Workplace,
) -> None:
    workplace.roster("", "cpus = 4096.0")  # more than Docker lets a container have

    printed = workplace.muster("hire", "dev-qwen", "dev", *ENDPOINT, "--yes", expect=1)

    assert "muster up finishes the hire, muster fire dev-qwen undoes it" in printed
    assert "CPU" in printed
    roster = workplace.roster_path.read_text()
    assert "[agents.dev-qwen]" in roster
    workplace.roster_path.write_text(roster.replace("4096.0", "1.0"))
    workplace.muster("up", "--yes")
    assert workplace.container("dev-qwen").status == "running"


def test_the_key_of_an_anthropic_agent_is_kept_as_a_secret_of_the_stack(
    workplace: Workplace,
) -> None:
    key = "sk-ant-api03-kept-where-nobody-reads"
    workplace.roster("", 'credentials = "env"')

    printed = workplace.muster("hire", "dev-claude", "dev", "--yes", ANTHROPIC_API_KEY=key)

    assert f"ANTHROPIC_API_KEY={key}" in workplace.container("dev-claude").attrs["Config"]["Env"]
    settings = workplace.folder / "stacks" / f"Pulumi.{workplace.name}.yaml"
    assert "anthropicApiKey" in settings.read_text()
    for text in (printed, settings.read_text(), workplace.roster_path.read_text()):
        assert key not in text
    assert "Nothing to do" in workplace.muster("preview")
