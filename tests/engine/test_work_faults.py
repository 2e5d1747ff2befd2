"""Forges, endpoints and disks that fail under an agent's feet, and people who change their minds.

In each case nothing is lost or done twice, no attempt is counted, and the agent says what it waits
for.
"""

import json
from typing import Any

import pytest
from crew import Crew, Worker, bash, says, until
from patience import Patience

from muster.credentials import TOKEN_SCOPES
from muster.forge import Issue, Pull

ADDED = says("I added `hello.txt`.")
WRITE = [bash("echo hello > hello.txt"), ADDED]
SLOW = pytest.mark.slow


def slow(seconds: float) -> list[dict[str, Any]]:
    """Return a play whose second answer takes a while."""
    return [bash("echo hello > hello.txt"), {**bash("echo again >> hello.txt"), "delay": seconds}]


def is_idle(worker: Worker) -> bool:
    return worker.state().get("state") == "idle"


def waiting(worker: Worker, what: str, sentence: str) -> None:
    """Wait until the agent waits for this, and says this."""

    def found() -> bool:
        state = worker.state()
        return state.get("waiting_for") == what and sentence in state["message"]

    until(found, f"{worker.name} waits for {what}: {sentence}")


def assistant_messages(crew: Crew) -> int:
    """Return how many answers the last request holds."""
    requests = list(crew.endpoint.requests)[-1:]
    roles = [message["role"] for request in requests for message in request.body["messages"]]
    return roles.count("assistant")


def first_attempt(crew: Crew, issue: Issue) -> bool:
    claim = crew.claim_of(issue)
    return claim is not None and (claim.state, claim.attempt) == ("pull", 1)


def test_a_forge_that_is_down_loses_no_work(crew: Crew) -> None:
    crew.plays(("Say hello", [*slow(4), ADDED]))
    with crew.wire() as wire:
        worker = crew.hire("dev", forge_url=wire.url)
        until(lambda: is_idle(worker), "an idle agent")
        issue = crew.issue("Say hello")
        until(lambda: crew.endpoint.served > 1, "a session")
        wire.cut()
        worker.waits_for("forge")
        assert "does not answer" in worker.state()["message"]
        wire.restore()
        worker.finishes("opened #")
        assert first_attempt(crew, issue)
        assert len(crew.endpoint.sessions) == 1


@SLOW
def test_a_forge_that_does_not_answer_does_not_delay_a_stop(crew: Crew) -> None:
    crew.plays(("Say hello", slow(60)))
    with crew.wire() as wire:
        worker = crew.hire("dev", forge_url=wire.url)
        issue = crew.issue("Say hello")
        until(lambda: crew.endpoint.served > 1, "a session")
        wire.hang()
        worker.container.stop(timeout=10)  # then Docker kills, and the code is 137
        assert worker.container.wait()["StatusCode"] == 0
        wire.restore()
        crew.plays(("Say hello", WRITE))
        worker.container.start()
        worker.finishes("opened #")
        assert first_attempt(crew, issue)


def test_an_idle_agent_is_cheap_and_sees_a_new_issue_in_its_next_cycle(crew: Crew) -> None:
    crew.plays(("Say hello", WRITE))
    with crew.wire() as wire:
        worker = crew.hire("dev", forge_url=wire.url)
        until(lambda: is_idle(worker), "an idle agent")

        def cycles() -> int:
            return int(json.loads(worker.run("cat", "/home/agent/data/state.json")[1])["cycle"])

        first, before = cycles(), len(wire.requests)
        until(lambda: cycles() > first + 2, "three cycles")
        assert len(wire.requests) - before <= 2 * (cycles() - first)

        issue = crew.issue("Say hello")
        patience = Patience(10)  # 3 on a machine that is idle
        until(lambda: crew.keeper.refs("muster/claims"), "a claim")
        assert patience.is_left()
        crew.pull_for(issue)
        until(lambda: is_idle(worker), "an idle agent after a session")
        stats: Any = worker.container.stats(stream=False)
        usage = stats["memory_stats"]
        assert usage["usage"] - usage["stats"].get("total_inactive_file", 0) < 60_000_000


def test_a_revoked_token_makes_the_agent_unhealthy_until_it_gets_another(crew: Crew) -> None:
    file = "/home/agent/data/token"
    worker = crew.hire("dev", start=False)
    own = dict(worker.environment)
    del own["FORGE_TOKEN"]
    worker.environment = own | {"FORGE_TOKEN_FILE": file}
    worker.start()
    waiting(worker, "token", "cannot read FORGE_TOKEN_FILE")
    worker.run("sh", "-c", f"echo {worker.token} > {file}")
    until(lambda: is_idle(worker), "an idle agent")
    [token] = [each for each in crew.admin.tokens(worker.user) if each.name == "test"]
    crew.admin.revoke_token(worker.user, token.id)
    waiting(worker, "token", "the forge refuses the token")
    assert worker.run("python3", "-m", "runtime.health")[0] == 1
    another = str(crew.admin.mint_token(worker.user, "another", TOKEN_SCOPES).secret)
    worker.run("sh", "-c", f"echo {another} > {file}")
    until(lambda: is_idle(worker), "an idle agent again")
    assert worker.run("python3", "-m", "runtime.health")[0] == 0
    printed = worker.container.logs().decode()
    assert worker.token not in printed
    assert another not in printed


@SLOW
def test_an_archived_repository_and_a_lost_primary_branch_are_waited_for(crew: Crew) -> None:
    crew.plays(("Say hello", WRITE))
    issue = crew.issue("Say hello")
    crew.change(archived=True)
    worker = crew.hire("dev")
    waiting(worker, "forge", "is archived: unarchive it")
    crew.change(archived=False)
    worker.finishes("opened #")
    assert first_attempt(crew, issue)

    crew.mirror.fetch("+refs/heads/main:refs/heads/main")
    main = str(crew.mirror.resolve("refs/heads/main"))
    crew.mirror.push(main, "refs/heads/trunk")
    crew.change(default_branch="trunk")
    crew.mirror.push("", "refs/heads/main")
    until(lambda: crew.keeper.branch_protected("main") is None, "no branch main")
    second = crew.issue("Say hello twice")
    waiting(worker, "forge", "has no branch main: correct primary_branch in the roster")
    assert crew.claim_of(second) is None
    crew.mirror.push(main, "refs/heads/main")
    until(lambda: first_attempt(crew, second), "a pull request for the second issue")


@SLOW
def test_work_moves_to_a_primary_branch_that_was_force_pushed(crew: Crew) -> None:
    crew.plays(("Say hello", [*slow(4), ADDED]))
    issue = crew.issue("Say hello")
    worker = crew.hire("dev")
    until(lambda: crew.endpoint.served > 1, "a session")
    mirror = crew.mirror
    mirror.fetch("+refs/heads/main:refs/heads/main")
    old = str(mirror.resolve("refs/heads/main"))
    new = mirror.run("commit-tree", "-m", "Begin again", f"{old}^{{tree}}").strip()
    mirror.push(new, "refs/heads/main", expected=old)
    worker.finishes("opened #")
    pull = crew.pull_for(issue)
    assert crew.file_at("hello.txt", pull.head_sha) == "hello\nagain\n"
    mirror.fetch(f"+refs/heads/{pull.head_ref}:refs/heads/{pull.head_ref}")
    assert mirror.run("rev-list", "--parents", "-n1", pull.head_sha).split()[1:] == [new]


def test_a_persons_change_of_the_issue_wins_while_it_is_worked_on(crew: Crew) -> None:
    long = [bash("touch begun; sleep 60"), ADDED]
    crew.plays(
        ("Close me", long),
        ("Edit me", [long[0], bash("echo hello > hello.txt"), ADDED]),
    )
    worker = crew.hire("dev")

    closed = crew.issue("Close me")
    until(lambda: crew.endpoint.served == 1, "the first session")
    crew.keeper.close_issue(closed.number)
    worker.finishes("given back: the issue was closed")

    assert crew.claim_of(closed) is None
    assert crew.keeper.issue(closed.number).labels == {"backlog"}
    assert "Given back: the issue was closed." in crew.comment_on(closed)

    edited = crew.issue("Edit me")
    until(lambda: crew.endpoint.served == 2, "the second session")
    crew.change(f"/issues/{edited.number}", body="Please, and thank you.")
    worker.finishes("opened #")
    assert "Please, and thank you." in str(crew.endpoint.requests[-1].body["messages"])
    assert first_attempt(crew, edited)


@pytest.mark.parametrize("decided", [("merged", "closed"), pytest.param(("deleted",), marks=SLOW)])
def test_a_persons_decision_on_the_pull_request_wins(crew: Crew, decided: tuple[str, ...]) -> None:
    crew.plays(("Say hello", WRITE))
    issues = {name: crew.issue(f"Say hello, {name}") for name in decided}
    worker = crew.hire("dev")
    until(lambda: len(crew.keeper.pulls()) == len(issues), "the pull requests", 90)
    until(lambda: is_idle(worker), "an idle agent")
    for name, issue in issues.items():
        decide(crew, name, crew.pull_for(issue))
    until(lambda: not crew.claims_as("a-test").all(), "no claims")
    until(lambda: is_idle(worker), "an idle agent")
    for name, issue in issues.items():
        after = {"backlog"} if name == "merged" else {"backlog", "blocked"}
        assert crew.keeper.issue(issue.number).labels == after
    assert len(crew.keeper.all_pulls()) == len(issues)
    assert worker.run("ls", "/home/agent/repos/tasks")[1] == ""


def decide(crew: Crew, name: str, pull: Pull) -> None:
    if name == "merged":
        until(lambda: crew.keeper.pull(pull.number).mergeable, "a mergeable pull request")
        crew.keeper.merge(pull.number, "merge", pull.head_sha)
    elif name == "closed":
        crew.keeper.edit_pull(pull.number, state="closed")
    else:  # the branch is deleted, and the forge closes the pull request
        crew.mirror.push("", f"refs/heads/{pull.head_ref}")


def test_an_endpoint_that_comes_and_goes_is_waited_for(crew: Crew) -> None:
    play = ("Say hello", [*slow(4), ADDED])
    crew.plays(play, window=16384)
    issue = crew.issue("Say hello")
    worker = crew.hire("dev")
    waiting(worker, "window", "start llama-server with -c 65536 --parallel 1")
    crew.plays(play)
    crew.endpoint.loading = True
    waiting(worker, "endpoint", "is loading its model")
    crew.endpoint.__exit__()
    waiting(worker, "endpoint", "cannot reach host.docker.internal")
    assert worker.run("python3", "-m", "runtime.health")[0] == 0
    assert crew.claim_of(issue) is None

    crew.restart_endpoint()
    until(lambda: assistant_messages(crew) == 1, "the second request")
    crew.endpoint.__exit__()
    waiting(worker, "endpoint", "Connection refused")
    crew.restart_endpoint()
    worker.finishes("opened #")
    assert crew.file_at("hello.txt", crew.pull_for(issue).head_sha) == "hello\nagain\n"
    assert first_attempt(crew, issue)


@SLOW
@pytest.mark.parametrize(
    "faults",
    [
        [{"status": 529, "times": 5}, {"cut": True, "times": 3}],
        [{"status": 429, "times": 5}, {"status": 500, "times": 5}],
        [{"status": 404, "error": "no such model", "times": 4}, {"status": 401, "times": 3}],
    ],
)
def test_an_endpoint_that_fails_in_a_session_is_waited_for(
    crew: Crew, faults: list[dict[str, Any]]
) -> None:
    commands = [bash(f"echo {word} >> hello.txt") for word in ("one", "two")]
    steps = [{**command, **fault} for command, fault in zip(commands, faults, strict=True)]
    crew.plays(("Say hello", [*steps, ADDED]))
    issue = crew.issue("Say hello")
    worker = crew.hire("dev")
    until(lambda: any("opened #" in text for text in worker.messages()), "a pull request", 120)
    pull = crew.pull_for(issue)
    assert crew.file_at("hello.txt", pull.head_sha) == "one\ntwo\n"
    assert first_attempt(crew, issue)
    assert any(text.startswith("The endpoint failed: ") for text in worker.messages())


def start_with_300_megabytes(crew: Crew, worker: Worker) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=300m,uid=1000,gid=1000"}
    crew.client.volumes.create(f"{worker.container_name}-repos", driver_opts=options)
    worker.start()


@SLOW
def test_a_full_disk_is_waited_for(crew: Crew) -> None:
    crew.plays(("Say hello", WRITE))
    worker = crew.hire("dev", start=False)
    start_with_300_megabytes(crew, worker)
    until(lambda: is_idle(worker), "an idle agent")
    worker.run("dd", "if=/dev/zero", "of=/home/agent/repos/large", "bs=1M", "count=200")
    issue = crew.issue("Say hello")
    waiting(worker, "disk", "no space left")
    assert crew.claim_of(issue) is None
    worker.run("rm", "/home/agent/repos/large")
    worker.finishes("opened #")


@SLOW
def test_a_session_that_fills_the_disk_fails_and_gives_the_space_back(crew: Crew) -> None:
    crew.plays(("Fill it", [bash("dd if=/dev/zero of=large bs=1M count=400"), says("Done.")]))
    issue = crew.issue("Fill it")
    worker = crew.hire("dev", start=False)
    start_with_300_megabytes(crew, worker)
    worker.finishes("attempt 3 failed: the files of this task filled the disk")
    until(lambda: is_idle(worker), "an idle agent")
    assert "blocked" in crew.keeper.issue(issue.number).labels
