"""Reviews, and what the author's agent makes of them."""

import json
from typing import Any

from crew import Crew, bash, says, until

WRITE = [bash("echo hello > hello.txt"), says("I added `hello.txt`.")]


def verdict(kind: str, *comments: tuple[str, int, str], summary: str = "I read it.") -> Any:
    listed = [{"path": path, "line": line, "body": body} for path, line, body in comments]
    value = {"verdict": kind, "summary": summary, "comments": listed}
    return says(f"```json\n{json.dumps(value)}\n```")


def test_a_review_leads_to_an_updated_pull_request(crew: Crew) -> None:
    crew.plays(
        ("Review pull request", [verdict("request_changes", ("hello.txt", 1, "Say it twice."))]),
        (
            "Say hello",
            [*WRITE, bash("echo hello >> hello.txt"), says("I say it twice now.")],
        ),
    )
    issue = crew.issue("Say hello")
    dev = crew.hire("dev")
    dev.finishes("opened #")
    first = crew.pull_for(issue)
    review = crew.hire("review", "review")
    review.finishes("reviewed: request changes")
    [written] = crew.reviews_by(review, first)
    assert written.state == "REQUEST_CHANGES"
    dev.finishes("followed up")
    second = crew.pull_for(issue)
    assert second.head_sha != first.head_sha
    assert crew.file_at("hello.txt", second.head_sha) == "hello\nhello\n"
    until(lambda: len(crew.reviews_by(review, first)) > 1, "a second review")
