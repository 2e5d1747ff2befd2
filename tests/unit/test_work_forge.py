"""An agent's calls, where answers differ between forges or are hard to get from a real one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from scripted_server import Answer, Request, Script, Server, always, in_turn, serving

from muster.forge import (
    ForbiddenError,
    ForgeError,
    NotFoundError,
    ReviewComment,
    Status,
    Statuses,
    Token,
    User,
    WorkForge,
)

REPO = "/api/v1/repos/acme/app"
TIME = "2026-01-02T04:04:05+01:00"


@contextmanager
def working(script: Script) -> Iterator[tuple[Server, WorkForge]]:
    with serving(script) as server:
        yield server, WorkForge(server.url, Token("t0ken"), "acme/app", patience=5)


def by_path(answers: dict[str, Answer]) -> Script:
    """Answer by `METHOD /path below the repository`, and 404 to all else."""

    def script(request: Request) -> Answer:
        call = f"{request.method} {request.path.removeprefix(REPO)}"
        return answers.get(call, Answer(404, {"message": f"unexpected {call}"}))

    return script


def test_a_token_that_does_not_show_its_account_works_for_the_bot_user_that_is_named() -> None:
    """Forgejo 15: a token that is limited to repositories."""
    lacking = "token does not have at least one of required scope(s): [read:user]"
    me = User.named("dev-qwen", "dev-qwen@bots.example.org")
    with serving(always(403, {"message": lacking})) as server:
        assert WorkForge(server.url, Token("t0ken"), "acme/app", me=me).whoami() == me
        with pytest.raises(ForbiddenError):
            WorkForge(server.url, Token("t0ken"), "acme/app").whoami()
        server.script = always(json=user("Dev-Qwen"))
        found = WorkForge(server.url, Token("t0ken"), "acme/app", me=me).whoami()
        assert found.login == "Dev-Qwen"


def user(name: str) -> dict[str, Any]:
    return {"id": 7, "login": name, "created": TIME}


def issue(number: int, *labels: str, **more: object) -> dict[str, Any]:
    return {
        "number": number,
        "title": f"Task {number}",
        "body": "",
        "user": user("ann"),
        "labels": [{"id": 1, "name": label} for label in labels],
        "assignees": None,
        "state": "open",
        "created_at": TIME,
        "updated_at": TIME,
        "html_url": f"https://forge.example/acme/app/issues/{number}",
        "pull_request": None,
        **more,
    }


def pull(number: int, **more: object) -> dict[str, Any]:
    branch = {"ref": f"task/{number}", "sha": "a" * 40, "repo_id": 1}
    return {
        **issue(number),
        "merged": False,
        "mergeable": True,
        "requested_reviewers": None,
        "head": branch,
        "base": {**branch, "ref": "main"},
        **more,
    }


def review_comment(number: int, **more: object) -> dict[str, Any]:
    return {
        "id": number,
        "pull_request_review_id": 5,
        "user": user("ann"),
        "body": "Why?",
        "path": "src/a.py",
        "position": 12,
        "original_position": 0,
        "diff_hunk": "",
        "commit_id": "a" * 40,
        "resolver": None,
        "created_at": TIME,
        "html_url": "https://forge.example/c/1",
        **more,
    }


def paged(items: list[dict[str, Any]]) -> Script:
    """List these, 50 at a time, newest first as forges do."""

    def script(request: Request) -> Answer:
        page, limit = int(request.query["page"][0]), int(request.query["limit"][0])
        shown = sorted(items, key=lambda item: -item["number"])[(page - 1) * limit : page * limit]
        return Answer(json=shown, headers={"X-Total-Count": str(len(items))})

    return script


# Lists


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (50, 1), (51, 2)])
def test_a_backlog_costs_one_request_for_each_fifty_issues(count: int, requests: int) -> None:
    with working(paged([issue(number, "ready") for number in range(count)])) as (server, work):
        assert [found.number for found in work.backlog("ready")] == list(range(count))
        assert server.asked() == [("GET", f"{REPO}/issues")] * requests
        asked_for = {name: server.requests[0].query[name] for name in ("labels", "state", "type")}
        assert asked_for == {"labels": ["ready"], "state": ["open"], "type": ["issues"]}


def test_issues_without_the_label_are_left_out_if_the_forge_lists_them() -> None:
    with working(paged([issue(1, "ready"), issue(2), issue(3, "ready-ish")])) as (_, work):
        assert [found.number for found in work.backlog("ready")] == [1]


def test_an_issue_that_moves_to_the_next_page_is_listed_once() -> None:
    first = Answer(json=[issue(3), issue(2)], headers={"X-Total-Count": "4"})
    second = Answer(json=[issue(2), issue(1)], headers={"X-Total-Count": "4"})
    with working(in_turn(first, second)) as (_, work):
        assert [found.number for found in work.open_issues()] == [1, 2, 3]


def test_open_pull_requests_cost_one_request() -> None:
    with working(paged([pull(2), pull(1)])) as (server, work):
        assert [found.number for found in work.pulls()] == [1, 2]
        assert server.asked() == [("GET", f"{REPO}/pulls")]


@pytest.mark.parametrize(
    ("told", "draft"),
    [
        ({"title": "WIP: Greet"}, True),
        ({"title": "[wip] Greet"}, True),
        ({"title": "Wipe"}, False),
        ({"title": "WIP: Greet", "draft": False}, False),
    ],
)
def test_a_draft_is_known_by_its_title_if_the_forge_does_not_tell(
    told: dict[str, Any], *, draft: bool
) -> None:
    with working(always(json=pull(1, **told))) as (_, work):
        assert work.pull(1).draft is draft


def test_a_pull_request_from_a_fork_is_not_ours() -> None:
    fork = {"ref": "task/1", "sha": "b" * 40, "repo_id": 2}
    answers = {
        "POST /pulls": Answer(409, {"message": "pull request already exists"}),
        "GET /pulls": Answer(json=[pull(1, head=fork)], headers={"X-Total-Count": "1"}),
    }
    with (
        working(by_path(answers)) as (_, work),
        pytest.raises(ForgeError, match="already exists"),
    ):
        work.open_pull("Title", "", head="task/1", base="main")


def test_what_a_deleted_user_wrote_has_no_author() -> None:
    with working(always(json=issue(1, user=None, body=None))) as (_, work):
        assert (work.issue(1).author, work.issue(1).body) == ("", "")


def test_a_repository_without_dependencies_has_no_blockers() -> None:
    with working(always(404, {"message": "not found"})) as (_, work):
        assert work.blockers(1) == []


# Writers


WRITERS = {"repo.code": "write", "repo.pulls": "write"}


@pytest.mark.parametrize(
    ("units", "writers"),
    [
        (WRITERS, {"ann", "team-member"}),
        ({}, {"ann", "team-member"}),
        ({"repo.code": "read", "repo.pulls": "none"}, {"ann", "team-member"}),
        ({"repo.code": "read", "repo.pulls": "read"}, {"ann"}),
        ({"repo.code": "read", "repo.issues": "write"}, {"ann"}),
    ],
)
def test_no_member_of_a_team_counts_if_some_team_would_let_readers_in(
    units: dict[str, str], writers: set[str]
) -> None:
    answers = {
        "GET /assignees": Answer(json=[user("Ann"), user("Team-Member")]),
        "GET /teams": Answer(json=[{"units_map": WRITERS}, {"units_map": units}]),
        "GET /collaborators": Answer(
            json=[user("Ann"), user("Bob")], headers={"X-Total-Count": "2"}
        ),
    }
    with working(by_path(answers)) as (_, work):
        assert work.writers() == writers


def test_writers_are_unknown_if_the_teams_are() -> None:
    answers = {
        "GET /assignees": Answer(json=[user("Ann")]),
        "GET /teams": Answer(403, {"message": "no"}),
    }
    with working(by_path(answers)) as (_, work), pytest.raises(ForgeError):
        work.writers()


# Files and statuses


@pytest.mark.parametrize(
    ("told", "content"),
    [
        ({"type": "file", "content": "aGk=", "size": 2}, b"hi"),
        ({"type": "file", "content": "", "size": 0}, b""),
        ({"type": "symlink", "content": None, "size": 2}, None),
        ({"type": "submodule", "content": None, "size": 0}, None),
        ([{"type": "file"}], None),
    ],
)
def test_only_files_have_content(told: object, content: bytes | None) -> None:
    with working(always(json=told)) as (_, work):
        assert work.file("a", "main") == content


@pytest.mark.parametrize("left_out", [None, ""])
def test_a_file_that_is_too_large_for_the_forge_is_an_error(left_out: str | None) -> None:
    told = {"type": "file", "content": left_out, "size": 20_000_000}
    with working(always(json=told)) as (_, work), pytest.raises(ForgeError):
        work.file("large.bin", "main")


@pytest.mark.parametrize("path", ["../../other/repo", "a/../b", "/etc/passwd", ""])
def test_a_path_that_would_lead_elsewhere_is_refused_before_any_call(path: str) -> None:
    with working(always(json={})) as (server, work):
        with pytest.raises(ForgeError, match="not a valid name"):
            work.file(path, "main")
        assert server.requests == []


@pytest.mark.parametrize(
    ("states", "combined"),
    [
        ([], ""),
        (["success", "skipped"], "success"),
        (["success", "pending"], "pending"),
        (["success", "invented"], "pending"),
        (["pending", "warning"], "warning"),
        (["pending", "failure"], "failure"),
        (["failure", "error"], "error"),
    ],
)
def test_the_worst_status_counts(states: list[str], combined: str) -> None:
    history = [Status(n, f"ci/{n}", state, "", "") for n, state in enumerate(states)]
    assert Statuses.from_history(history).state == combined


def test_the_last_status_of_a_context_counts_whatever_the_order() -> None:
    history = [Status(3, "ci", "success", "", ""), Status(2, "ci", "failure", "", "")]
    assert Statuses.from_history(history) == Statuses("success", (history[0],))


# Labels and assignees


def test_the_older_of_two_labels_that_were_created_at_once_remains() -> None:
    label = {"id": 9, "name": "ready"}
    lists = [[], [label, {"id": 8, "name": "ready"}]]

    def script(request: Request) -> Answer:
        if request.method == "GET":
            listed = lists.pop(0)
            return Answer(json=listed, headers={"X-Total-Count": str(len(listed))})
        return Answer(201, label) if request.method == "POST" else Answer(204)

    with working(script) as (server, work):
        assert work.ensure_label("ready", "0e8a16", "") == 8
        assert work.ensure_label("ready", "0e8a16", "") == 8
        assert server.requests[1].json["color"] == "#0e8a16"
        assert server.asked()[-1] == ("DELETE", f"{REPO}/labels/9")


def test_an_issue_is_not_created_with_a_label_that_does_not_exist() -> None:
    with working(always(json=[], headers={"X-Total-Count": "0"})) as (server, work):
        with pytest.raises(NotFoundError, match="no label 'ready'"):
            work.create_issue("Task", "", ["ready"])
        assert {method for method, _ in server.asked()} == {"GET"}


def test_who_is_assigned_already_is_not_assigned_again() -> None:
    with working(always(json=issue(1, assignees=[user("Dev")]))) as (server, work):
        work.assign(1, "dev")
        work.unassign(1, "ann")
        assert {method for method, _ in server.asked()} == {"GET"}


# Replies


def remark(**more: object) -> ReviewComment:
    return ReviewComment.from_json(review_comment(1, **more))


@pytest.mark.parametrize(
    ("position", "place"),
    [((12, 0), {"new_position": 12}), ((0, 3), {"old_position": 3})],
)
def test_a_reply_goes_into_the_thread_if_the_forge_has_such_a_call(
    position: tuple[int, int], place: dict[str, int]
) -> None:
    line, old_line = position
    with working(always(json=review_comment(2))) as (server, work):
        work.reply(3, remark(position=line, original_position=old_line), "Because")
        assert server.asked() == [("POST", f"{REPO}/pulls/3/reviews/5/comments")]
        assert server.requests[0].json == {"path": "src/a.py", "body": "Because", **place}


def test_a_reply_whose_answer_gets_lost_is_given_once() -> None:
    mine = review_comment(2, user=user("dev"), body="Because")

    def script(request: Request) -> Answer:
        if request.method == "POST":
            return Answer(cut=True)
        return Answer(json=user("dev") if request.path == "/api/v1/user" else [mine])

    with working(script) as (server, work):
        work.reply(3, remark(), "Because")
        assert [method for method, _ in server.asked()].count("POST") == 1


@pytest.mark.parametrize("status", [404, 405])
def test_a_reply_is_a_comment_that_quotes_as_code_if_the_forge_has_no_such_call(
    status: int,
) -> None:
    comment = {**review_comment(2), "updated_at": TIME}
    answers = {
        "POST /pulls/3/reviews/5/comments": Answer(status, {"message": ""}),
        "POST /issues/3/comments": Answer(201, comment),
    }
    with working(by_path(answers)) as (server, work):
        work.reply(3, remark(body=f"Closes #1, `@ann`\n\n{'x' * 200}"), "Because")
        quote, rest = server.requests[-1].json["body"].split("\n\n")
        assert rest == "Because"
        assert quote.startswith("> `src/a.py:12`: `Closes #1, '@ann' xxx")
        assert quote.endswith("xxx…` ([review comment](https://forge.example/c/1))")
        assert len(quote) < 250


def test_a_reply_that_is_refused_is_no_comment_instead() -> None:
    answers = {"POST /pulls/3/reviews/5/comments": Answer(403, {"message": "archived"})}
    with working(by_path(answers)) as (server, work):
        with pytest.raises(ForgeError, match="archived"):
            work.reply(3, remark(), "Because")
        assert len(server.requests) == 1
