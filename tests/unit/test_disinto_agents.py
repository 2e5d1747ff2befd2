"""What is reported of agents that run disinto's code, and what commands do instead."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from muster import agent_container, disinto_agents
from muster.agent_container import Run
from muster.doctor import agents, mends
from muster.doctor.subject import Subject
from muster.roster import Roster, load

if TYPE_CHECKING:
    from docker.models.containers import Container

SINCE = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
LAST = "[2026-02-03 04:05:09 UTC] Entering polling loop"


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    path = tmp_path / "acme.toml"
    path.write_text(
        'name = "acme"\nrepo = "acme/site"\nforge_url = "http://forge"\n'
        '[muster]\nimage = "disinto/agents"\n'
        '[agents.dev]\n[agents.checker]\nroles = ["review"]\n'
    )
    return load(path)


def run(seconds: float, restarts: int, last: str = LAST) -> Run:
    return Run(SINCE, seconds, restarts, last)


@pytest.mark.parametrize(
    ("of", "ok", "message"),
    [
        (run(3600, 0), None, f'up since 2026-02-03 04:05:06 UTC; its last line is "{LAST}"'),
        (run(3600, 4), None, "UTC, after 4 restarts; its last line is"),
        (run(2, 0, ""), None, "UTC; it has logged nothing"),
        (run(5, 3), False, "It crashes and restarts again and again"),
    ],
)
def test_the_doctor_reports_what_docker_knows_of_an_agent_without_a_state(
    roster: Roster,
    of: Run,
    ok: bool | None,  # noqa: FBT001 - a finding's
    message: str,
) -> None:
    subject = Subject({}, mends.Muster(None))
    found = agents.judged_run(subject, roster.agents["dev"], of)
    assert found.ok is ok
    assert message in found.message
    assert "runs disinto's code, which reports no state" in found.message
    assert "muster logs dev" in found.message + found.mend


def test_the_last_line_of_a_log_is_safe_to_print() -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    log = f"\x1b[31mtoken {token}\x1b[0m\r\n\n"
    state = {"State": {"StartedAt": "2026-02-03T04:05:06.123456789Z"}, "RestartCount": 2}
    container = SimpleNamespace(attrs=state, logs=lambda **_: log.encode())
    found = agent_container.run_of(cast("Container", container))
    assert (found.since.replace(microsecond=0), found.restarts) == (SINCE, 2)
    assert found.last.startswith("token ")
    assert token not in found.last


def test_a_request_names_the_labels_by_which_an_agent_takes_an_issue(roster: Roster) -> None:
    told = disinto_agents.no_requests(roster, roster.agents["dev"], 12)
    assert "takes no requests" in told
    assert "add backlog and priority to acme/site#12" in told


def test_an_agent_without_the_role_dev_takes_no_issues(roster: Roster) -> None:
    told = disinto_agents.no_requests(roster, roster.agents["checker"], 12)
    assert "An agent with the role dev takes issues; its roles are review" in told
