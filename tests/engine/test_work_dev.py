"""A hired agent takes an issue and opens a pull request: real Claude Code, a scripted endpoint."""

import json

from crew import Crew, Worker, bash, says, until, work

from muster.credentials import new_password
from muster.forge import Basic, WorkForge

WRITE = [bash("echo hello > hello.txt"), says("I added `hello.txt`.")]


def is_idle(worker: Worker) -> bool:
    return worker.state().get("state") == "idle"


def test_an_issue_becomes_a_pull_request(crew: Crew) -> None:
    crew.plays(("Say hello", WRITE))
    issue = crew.issue("Say hello")
    worker = crew.hire("dev")
    worker.finishes("opened #")
    pull = crew.pull_for(issue)
    assert crew.file_at("hello.txt", pull.head_sha) == "hello\n"
    assert pull.author == worker.user
    assert "I added `hello.txt`." in pull.body
    assert crew.comment_on(issue).endswith(f"opened #{pull.number}.")
    assert "in-progress" in crew.keeper.issue(issue.number).labels


def test_checks_decide_by_their_exit_codes(crew: Crew) -> None:
    wrong = [bash("echo wrong > hello.txt"), says("All checks pass.")]
    crew.plays(("Repair me", [*wrong, *WRITE]), ("Hopeless", wrong), ("Not set up", WRITE))
    commands = {"setup": ["test ! -e broken"], "check": ["grep hello hello.txt"]}
    text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in commands.items())
    crew.keeper.create_file(".muster/work.toml", text, "main", "Add the project's checks")
    repaired, hopeless = crew.issue("Repair me"), crew.issue("Hopeless")
    worker = crew.hire("dev")

    pull = crew.pull_for(repaired)
    assert not pull.draft
    assert "- `grep hello hello.txt`: passed" in pull.body

    pull = crew.pull_for(hopeless)
    assert pull.draft
    assert "- `grep hello hello.txt`: failed" in pull.body
    until(lambda: is_idle(worker), "an idle agent")
    rounds = [m for m in worker.messages() if m.startswith("Correcting a check")]
    assert len(rounds) == 1 + 2

    crew.keeper.create_file("broken", "", "main", "Break the set-up")
    issue = crew.issue("Not set up")
    worker.finishes("attempt 1 failed: the set-up command `test ! -e broken` failed")
    crew.keeper.close_issue(issue.number)


def test_a_session_without_a_change_is_judged_by_what_it_says(crew: Crew) -> None:
    refusal = json.dumps({"refusal": "too_large", "reason": "Split it in two."})
    call = '<tool_call>{"name": "Bash", "arguments": {"command": "echo hello"}}</tool_call>'
    crew.plays(
        ("Refuse me", [says(refusal)]),
        ("Call as text", [says(call), *WRITE]),
        ("Do nothing", [says("I am done.")]),
    )
    refused, nudged = crew.issue("Refuse me"), crew.issue("Call as text")
    idle = crew.issue("Do nothing")
    worker = crew.hire("dev")

    worker.finishes("it is too large for one pull request")
    assert "> Split it in two." in crew.comment_on(refused)
    assert crew.keeper.issue(refused.number).labels == {"backlog", "needs-human"}
    assert crew.claim_of(refused) is None

    assert crew.file_at("hello.txt", crew.pull_for(nudged).head_sha) == "hello\n"

    worker.finishes("attempt 3 failed: the session ended without a change")
    until(lambda: is_idle(worker), "an idle agent")
    assert crew.keeper.issue(idle.number).labels == {"backlog", "blocked"}
    assert "Attempt 3 of 3 failed" in crew.comment_on(idle)
    crew.plays(("Do nothing", WRITE))
    crew.keeper.remove_label(idle.number, "blocked")
    crew.pull_for(idle)
    claim = until(lambda: crew.claim_of(idle), "a claim")
    assert claim.attempt == 1


def test_budgets_end_sessions_and_days(crew: Crew) -> None:
    crew.plays(("Turn around", [bash("echo 1"), bash("echo 2"), says("Done.")]))
    crew.issue("Turn around, later")
    crew.keeper.ensure_label("priority", "fbca04", "")
    issue = crew.issue("Turn around, first", "Please.", "priority")
    worker = crew.hire("dev", turns=2, tasks_per_day=1)
    assert worker.waits_for("budget")["message"].startswith("Reached tasks_per_day (1)")
    assert "Attempt 1 of 3 failed: the turns are used up" in crew.comment_on(issue)
    worker.start(MUSTER_WORK=json.dumps(work(tokens=1000, tasks_per_day=2)))
    worker.finishes("attempt 2 failed: the token budget is used up")
    worker.waits_for("budget")


def test_an_agent_takes_what_is_ready_and_what_a_person_asks_for(crew: Crew) -> None:
    crew.plays(("Say hello", WRITE))
    blocker = crew.keeper.create_issue("A blocker without the label", "")
    dependent = crew.issue("Say hello, dependent", f"Depends on #{blocker.number}")
    native = crew.issue("Say hello, native")
    owner, _, name = crew.repo.partition("/")
    crew.post(f"/issues/{native.number}/dependencies", owner=owner, repo=name, index=blocker.number)
    stranger = reader(crew).create_issue("Say hello, stranger", "")
    crew.keeper.add_labels(stranger.number, ["backlog"])
    bare = crew.issue("Say hello, bare", "")

    worker = crew.hire("dev")
    crew.pull_for(bare)
    until(lambda: is_idle(worker), "an idle agent")
    assert set(crew.claims_as("a-test").all()) == {bare.number}

    crew.keeper.remove_label(native.number, "backlog")
    crew.keeper.close_issue(blocker.number)
    assert worker.run("python3", "-m", "runtime.request", str(stranger.number)) == (
        0,
        f"dev takes #{stranger.number} now.\n",
    )
    crew.pull_for(stranger)
    assert crew.claim_of(stranger)
    assert worker.run("python3", "-m", "runtime.request", "999")[0] == 0
    until(lambda: "Did not take #999: there is no such issue." in worker.messages(), "a refusal")
    assert worker.run("python3", "-m", "runtime.request", "x")[0] == 1
    crew.pull_for(dependent)


def reader(crew: Crew) -> WorkForge:
    """Return the forge in the name of somebody who may only read the repository."""
    user, password = f"{crew.name}-reader", new_password()
    crew.admin.create_user(
        user,
        email=f"{user}@muster.invalid",
        password=password,
        login_name=user,
        full_name=user,
    )
    crew.admin.add_collaborator(crew.repo, user, "read")
    return WorkForge(crew.server.url, Basic(user, password), crew.repo)
