"""Containers end in the middle of a task: nothing is lost, and nothing is done twice."""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from crew import Crew, Worker, bash, says, until
from patience import Patience

from muster.forge import Issue

ADDED = says("I added `hello.txt`.")
WRITE = [bash("echo hello > hello.txt"), bash("echo again >> hello.txt"), ADDED]
SLOW = [bash("echo hello > hello.txt"), bash("touch begun; sleep 60"), ADDED]


def end_when(worker: Worker, message: str) -> None:
    """Kill a container as soon as it reports this."""
    for line in worker.container.logs(stream=True, follow=True):
        if message in line.decode():
            worker.container.kill()
            return


def runs_the_slow_step(worker: Worker) -> bool:
    return worker.run("sh", "-c", "ls /home/agent/repos/tasks/*/tree/begun")[0] == 0


def attempts_of(crew: Crew, issue: Issue) -> int:
    claim = crew.claim_of(issue)
    assert claim is not None
    return claim.attempt


def delivered_once(crew: Crew, issue: Issue) -> str | None:
    """Return the change of the one pull request; there is one comment, too."""
    [pull] = crew.keeper.all_pulls()
    assert f"opened #{pull.number}" in crew.comment_on(issue)
    return crew.file_at("hello.txt", pull.head_sha)


def test_a_stop_gives_the_issue_back_and_the_next_container_resumes_the_session(
    crew: Crew,
) -> None:
    crew.plays(("Say hello", SLOW))
    issue = crew.issue("Say hello")
    worker = crew.hire("dev")
    until(lambda: runs_the_slow_step(worker), "the slow step")
    patience, pressed = Patience(10), datetime.now(UTC)  # Docker's own patience
    worker.container.stop(timeout=20)
    assert worker.container.wait()["StatusCode"] == 0
    assert patience.is_left()
    released = next(line["time"] for line in worker.lines() if line["state"] == "releasing")
    assert datetime.fromisoformat(released) - pressed < timedelta(seconds=4)
    assert crew.keeper.refs("muster/claims") == []
    found = crew.keeper.issue(issue.number)
    assert found.labels == {"backlog"}
    assert not found.assignees
    assert "Given back: the agent was stopped." in crew.comment_on(issue)

    crew.plays(("Say hello", WRITE))
    worker.start(MUSTER_WORK=worker.environment["MUSTER_WORK"].replace("1000", "900"))
    worker.finishes("opened #")
    assert delivered_once(crew, issue) == "hello\n"  # the first step was not played again
    assert attempts_of(crew, issue) == 1
    assert len(set(crew.endpoint.sessions)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "Claiming #",
        "Took #",
        "Working on #",
        "Opening a pull request",
        "opened #",
    ],
)
def test_a_killed_container_goes_on_when_it_starts_again(crew: Crew, moment: str) -> None:
    crew.plays(("Say hello", WRITE))
    issue = crew.issue("Say hello")
    worker = crew.hire("dev")
    end_when(worker, moment)
    worker.container.start()
    until(lambda: worker.state()["state"] == "idle", "a second container without work")
    assert delivered_once(crew, issue) == "hello\nagain\n"


@pytest.mark.slow
def test_stops_and_kills_at_any_moment_lose_nothing_and_repeat_nothing(crew: Crew) -> None:
    crew.plays(("Say hello", [*WRITE[:-1], {**ADDED, "delay": 1}]))
    issues = [crew.issue(f"Say hello, {number}") for number in range(3)]
    worker = crew.hire("dev")
    chance = random.Random(9)  # noqa: S311
    for number in range(12):
        time.sleep(chance.uniform(0.2, 8))  # the moment is what is tested
        if number % 4 == 3:
            worker.container.kill()
        else:
            worker.container.stop(timeout=20)
            # 143: it was stopped while Python started.
            assert worker.container.wait()["StatusCode"] in {0, 143}
        worker.container.start()
    until(lambda: len(crew.keeper.pulls()) == len(issues), "all pull requests", 120)
    until(lambda: worker.state()["state"] == "idle", "an idle agent")
    for issue in issues:
        pull = crew.pull_for(issue)
        assert crew.file_at("hello.txt", pull.head_sha) == "hello\nagain\n"
        assert f"opened #{pull.number}" in crew.comment_on(issue)
    assert len(crew.keeper.all_pulls()) == len(issues)


def test_a_session_that_was_killed_with_its_container_is_resumed(crew: Crew) -> None:
    crew.plays(("Say hello", SLOW))
    issue = crew.issue("Say hello")
    worker = crew.hire("dev")
    until(lambda: runs_the_slow_step(worker), "the slow step")
    worker.container.kill()
    crew.plays(("Say hello", WRITE))
    worker.container.start()
    worker.finishes("opened #")
    assert delivered_once(crew, issue) == "hello\n"
    assert len(set(crew.endpoint.sessions)) == 1
    assert attempts_of(crew, issue) == 2


def test_the_claim_of_a_dead_agent_is_taken_over_after_its_time(crew: Crew) -> None:
    crew.plays(("Say hello", WRITE))
    dead, living = crew.issue("Say hello, dead"), crew.issue("Say hello, living")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert crew.claims_as("ghost", lambda: hour_ago).take(dead.number, None)
    assert crew.claims_as("busy").take(living.number, None)
    worker = crew.hire("dev")
    worker.finishes("opened #")
    until(lambda: worker.state()["state"] == "idle", "nothing more to do")
    [pull] = crew.keeper.all_pulls()
    assert f"Closes #{dead.number}" in pull.body
    holders = {claim.number: claim.agent for claim in crew.claims_as("a-test").all().values()}
    assert holders == {dead.number: worker.user, living.number: "busy"}


def race(crew: Crew, bots: int, issues: int) -> None:
    """Have bots work on issues; check that each issue is done once, one session at a time."""
    crew.plays(("Say hello", [{**WRITE[0], "delay": 0.5}, *WRITE[1:]]))
    listed = [crew.issue(f"Say hello, {number}") for number in range(issues)]
    workers = [crew.hire(f"dev{number}", start=False) for number in range(bots)]
    for worker in workers:
        worker.start()
    until(lambda: len(crew.keeper.pulls()) == issues, f"{issues} pull requests", 60 + 20 * issues)
    until(lambda: all(each.state()["state"] == "idle" for each in workers), "idle bots")
    closed = sorted(pull.body.splitlines()[0] for pull in crew.keeper.all_pulls())
    assert closed == sorted(f"Closes #{issue.number}" for issue in listed)
    for issue in listed:
        crew.comment_on(issue)  # raises unless there is exactly one
    taken = [m for each in workers for m in each.messages() if m.startswith("Took #")]
    assert len(taken) == issues
    assert crew.endpoint.most_at_once == 1
    assert len(crew.endpoint.sessions) == issues  # none began before another had ended


def test_bots_that_want_the_same_issues_do_each_once_and_share_the_endpoint(crew: Crew) -> None:
    race(crew, bots=3, issues=2)


@pytest.mark.slow
def test_ten_bots_do_five_issues_once_each(crew: Crew) -> None:
    race(crew, bots=10, issues=5)


@pytest.mark.slow
def test_an_endpoint_with_two_slots_serves_two_sessions_at_a_time(crew: Crew) -> None:
    crew.plays(("Say hello", [{**WRITE[0], "delay": 8}, *WRITE[1:]]), slots=2)
    issues = []
    for number in range(3):
        crew.hire(f"dev{number}", slots=2)
        issues.append(crew.issue(f"Say hello, {number}"))

    def said() -> str:
        return str([crew.keeper.comments(each.number) for each in issues])

    until(lambda: "waits for a turn" in said(), "a comment that names the queue")
    until(lambda: len(crew.keeper.pulls()) == 3, "3 pull requests", 120)
    assert crew.endpoint.most_at_once == 2


@pytest.mark.slow
def test_two_endpoints_work_at_the_same_time(crew: Crew) -> None:
    with crew.another_endpoint() as other:
        crew.plays(("Say hello", [{**WRITE[0], "delay": 8}, *WRITE[1:]]))
        other.script = crew.endpoint.script
        for number, endpoint in enumerate((crew.endpoint, other)):
            crew.issue(f"Say hello, {number}")
            crew.hire(f"dev{number}", base_url=f"http://host.docker.internal:{endpoint.port}")
        until(lambda: crew.endpoint.now and other.now, "both serve")
        until(lambda: len(crew.keeper.pulls()) == 2, "2 pull requests", 120)
