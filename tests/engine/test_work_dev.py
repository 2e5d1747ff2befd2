"""A hired agent takes an issue and opens a pull request: real Claude Code, a scripted endpoint."""

from crew import Crew, bash, says

WRITE = [bash("echo hello > hello.txt"), says("I added `hello.txt`.")]


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
