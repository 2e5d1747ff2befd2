"""What the doctor makes of the agents' own words, and of the primary branch."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Request, Script, serving

from muster.agent_log import Endpoint, Line, Task
from muster.doctor import agents, branch, crew, forge, mends
from muster.doctor.findings import Finding, NotAskedError, exit_code
from muster.doctor.hired import Hired, State
from muster.doctor.subject import Subject
from muster.forge import Administrator, Forge, Token
from muster.roster import load

TOML = """\
name = "acme"
repo = "acme/site"
forge_url = "http://forge"
primary_branch = "trunk"

[agents.dev-qwen]
base_url = "http://host.docker.internal:8081"
model = "a-model"

[agents.dev-claude]
"""
ENDPOINT, TOKEN = ("dev-qwen", "endpoint"), ("dev-qwen", "token")


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "acme.toml"
    path.write_text(TOML)
    made = Subject({}, mends.Muster(None))
    made.roster_path.put(path)
    made.roster.put(load(path))
    made.state.put(State({"dev-qwen": Hired("dev-qwen")}, frozenset(), ()))
    return made


def judged(subject: Subject, agent: str = "dev-qwen", **line: Any) -> list[Finding]:  # noqa: ANN401
    found = Line(time=datetime(2026, 2, 3, tzinfo=UTC), **line)
    return list(agents.judged(subject, [(subject.roster.get().agents[agent], found)]))


def waiting(subject: Subject, cause: str, agent: str = "dev-qwen", **line: Any) -> list[Finding]:  # noqa: ANN401
    return judged(subject, agent, state="waiting", waiting_for=cause, **line)


@pytest.mark.parametrize(
    ("cause", "why", "mend"),
    [
        ("sandbox", "Landlock is not enabled in this kernel", "${EDITOR:-vi} +6 acme.toml"),
        ("window", "its context window is 8,192 tokens", "${EDITOR:-vi} +7 acme.toml"),
        ("endpoint", "it refuses the key", "${EDITOR:-vi} +7 acme.toml"),
        ("token", "the forge refuses the token", "muster logs dev-qwen"),
        ("disk", "no space is left", "muster logs dev-qwen"),
    ],
)
def test_an_agent_that_cannot_work_says_why(
    subject: Subject, cause: str, why: str, mend: str
) -> None:
    [found] = waiting(subject, cause, errors={cause: why}, message="Waiting.")
    assert found.ok is False
    assert found.message == f'agent "dev-qwen" does no work, waiting for its {cause}: {why}'
    assert found.mend == mend


def test_an_endpoint_that_the_roster_does_not_name_is_not_mended_there(subject: Subject) -> None:
    [found] = waiting(subject, "endpoint", "dev-claude", message="The API refuses the key.")
    assert found.mend == "muster logs dev-claude"
    assert "The API refuses the key." in found.message


def test_what_an_earlier_check_has_found_is_not_reported_again(subject: Subject) -> None:
    subject.checked |= {ENDPOINT: False, TOKEN: False}
    assert waiting(subject, "endpoint", endpoint=Endpoint(reachable=False)) == []
    assert waiting(subject, "token") == []


@pytest.mark.parametrize("status", [None, 503])
def test_an_endpoint_that_answers_by_now_is_well(subject: Subject, status: int | None) -> None:
    subject.checked[ENDPOINT] = True
    [found] = waiting(subject, "endpoint", endpoint=Endpoint(status=status))
    assert found.ok is True
    assert "answers again" in found.message


def test_an_endpoint_in_health_that_refuses_the_agent_is_not_well(subject: Subject) -> None:
    subject.checked[ENDPOINT] = True
    [found] = waiting(
        subject, "endpoint", endpoint=Endpoint(status=401), errors={"endpoint": "bad key"}
    )
    assert found.ok is False
    assert "bad key" in found.message


def test_a_container_with_another_token_than_the_state_is_told_apart(subject: Subject) -> None:
    subject.checked[TOKEN] = True
    [found] = waiting(subject, "token")
    assert found.ok is False
    assert "token in the stack's state works" in found.message
    assert found.mend == "muster rotate dev-qwen"


def test_agents_that_work_or_wait_their_turn_are_well_in_one_line(subject: Subject) -> None:
    now = datetime(2026, 2, 3, tzinfo=UTC)
    task = Task("issue", 12, "", "")
    crew = subject.roster.get().agents
    lines = [
        (crew["dev-qwen"], Line(now, state="waiting", waiting_for="queue", task=task)),
        (crew["dev-claude"], Line(now, state="idle")),
    ]
    [found] = agents.judged(subject, lines)
    assert (found.ok, found.message) == (True, "dev-qwen is waiting, dev-claude is idle")


def test_an_agent_of_another_image_is_not_judged(subject: Subject) -> None:
    for line in (None, Line(datetime(2026, 2, 3, tzinfo=UTC))):
        [found] = agents.judged(subject, [(subject.roster.get().agents["dev-qwen"], line)])
        assert found.ok is None
        assert "has not reported" in found.message


def protection(subject: Subject, answer: Answer) -> list[Finding]:
    def script(request: Request) -> Answer:
        assert request.path == "/api/v1/repos/acme/site/branch_protections"
        return answer

    with serving(script) as server:
        subject.forge_url.put(server.url)
        subject.forge.put(Forge(server.url, Token("t")))
        subject.administrator.put(Administrator("a", None, "t"))
        return list(branch.protection(subject))


def test_a_primary_branch_that_nothing_protects_is_a_warning_and_no_failure(
    subject: Subject,
) -> None:
    [found] = protection(subject, Answer(json=[{"rule_name": "main"}]))
    assert found.is_warning
    assert found.report()["warning"] is True
    assert exit_code([found]) == 0
    assert "branch trunk of acme/site is not protected" in found.message
    assert "/acme/site/settings/branches" in found.message


@pytest.mark.parametrize("rule", ["trunk", "TRUNK", "tr*", "**", "trun?"])
def test_a_rule_protects_the_primary_branch_by_name_or_as_a_glob(
    subject: Subject, rule: str
) -> None:
    [found] = protection(subject, Answer(json=[{"rule_name": "other"}, {"rule_name": rule}]))
    assert (found.ok, found.is_warning) == (True, False)


def test_the_branch_of_a_repository_that_is_gone_is_not_asked_for(subject: Subject) -> None:
    with pytest.raises(NotAskedError, match="acme/site"):
        protection(subject, Answer(status=404, json={}))


def administration(subject: Subject, script: Script, who: Administrator) -> list[Finding]:
    with serving(script) as server:
        variables = {"FORGE_ADMIN_USER": who.user, "FORGE_ADMIN_PASS": who.password}
        variables |= {"FORGE_ADMIN_PAT": who.pat}
        subject.environment = {name: value for name, value in variables.items() if value}
        subject.forge_url.put(server.url)
        return list(forge.administration(subject))


def administered(*, takes_passwords: bool) -> Script:
    """A forge that mints nothing by a PAT."""
    root = {"id": 1, "login": "root", "is_admin": True, "created": "2026-01-02T04:04:05+01:00"}

    def script(request: Request) -> Answer:
        auth = request.headers["Authorization"] or ""
        if not auth or (auth.startswith("Basic") and not takes_passwords):
            return Answer(401, {"message": "token is required"})
        if auth.startswith("Basic") or "/tokens" in request.path:
            return Answer(401, {"message": "invalid username, password or token"})
        found = request.path == "/api/v1/user"
        return Answer(200, root) if found else Answer(404, {"message": "not found"})

    return script


def test_a_forge_at_which_nobody_can_mint_is_a_failure(subject: Subject) -> None:
    who = Administrator(pat="f" * 40)
    failed, rights = administration(subject, administered(takes_passwords=False), who)
    assert (failed.ok, rights.ok) == (False, True)
    assert "ENABLE_BASIC_AUTHENTICATION = false" in failed.message
    assert failed.mend == "muster rotate NAME --token-from-stdin"


@pytest.mark.parametrize("is_hired", [False, True])
def test_what_only_the_first_bot_user_can_show_is_said_to_be_unknown(
    subject: Subject, *, is_hired: bool
) -> None:
    hired = {"dev-qwen": Hired("dev-qwen", token="t")} if is_hired else {}
    subject.state.put(State(hired, frozenset(hired), ()))
    who = Administrator(pat="f" * 40)
    rights, *unknown = administration(subject, administered(takes_passwords=True), who)
    assert "minted by each bot user's own password" in rights.message
    assert [each.ok for each in unknown] == ([] if is_hired else [None])
    assert all("requires a second factor" in each.message for each in unknown)


def test_the_repository_is_compared_with_the_roster(subject: Subject) -> None:
    told = {"id": 1, "full_name": "acme/site", "private": True, "archived": False, "empty": False}

    def script(request: Request) -> Answer:
        if request.path == "/api/v1/repos/acme/site":
            return Answer(json={**told, "default_branch": "master"})
        return Answer(404, {"message": "not found"})

    with serving(script) as server:
        subject.forge_url.put(server.url)
        subject.forge.put(Forge(server.url, Token("t")))
        subject.state.put(State({}, frozenset(), ()))
        wrong, *_ = crew.access(subject)
    assert wrong.ok is False
    assert 'primary_branch: acme/site has no branch trunk: write primary_branch = "ma' in (
        wrong.message
    )
    assert "+4" in wrong.mend


def test_a_limited_token_and_a_lower_permission_are_what_the_roster_asks_for(
    subject: Subject, tmp_path: Path
) -> None:
    """Forgejo 15: a token that is limited to repositories does not show its account."""
    path = tmp_path / "acme.toml"
    fields = 'permission = "read"\nroles = ["review"]\nrepositories = ["acme/handbook"]\n'
    path.write_text(TOML.replace("[agents.dev-claude]", "") + fields)
    subject.roster.put(load(path))
    lacking = "token does not have at least one of required scope(s): [read:user]"
    told = {"id": 1, "private": True, "archived": False, "empty": False, "default_branch": "trunk"}
    collaborates = {"acme/site"}

    def script(request: Request) -> Answer:
        below = request.path.removeprefix("/api/v1/repos/")
        if request.path == "/api/v1/user":
            return Answer(403, {"message": lacking})
        if below in {"acme/site", "acme/handbook"}:
            return Answer(json={**told, "full_name": below})
        if below.endswith("/permission"):
            return Answer(json={"permission": "read"})
        known = any(below.startswith(f"{name}/collaborators") for name in collaborates)
        return Answer(204) if known else Answer(404, {"message": "not found"})

    with serving(script) as server:
        subject.forge_url.put(server.url)
        subject.forge.put(Forge(server.url, Token("t")))
        subject.state.put(State({"dev-qwen": Hired("dev-qwen", token="b")}, frozenset(), ()))
        failed, _ = crew.access(subject)
        assert "bot user dev-qwen may not read acme/handbook" in failed.message
        collaborates.add("acme/handbook")
        [found] = crew.access(subject)
        assert "dev-qwen can use it, with working tokens" in found.message
