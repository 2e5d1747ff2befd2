"""What the doctor makes of the agents' own words, and of the primary branch."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Request, serving

from muster.agent_log import Endpoint, Line, Task
from muster.doctor import agents, branch, mends
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
