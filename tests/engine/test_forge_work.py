"""An agent's calls against a real forge, with the token scopes that agents get."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
from forge_server import ForgeServer
from patience import COMMAND, until
from strict_forge import StrictForge

from muster.credentials import TOKEN_SCOPES
from muster.forge import Forge, ForgeError, NotFoundError, Pull, Token, WorkForge

T = TypeVar("T")

PASSWORD = "Only-4-Tests-Of-The-Client"


def create_bot(forge: Forge, name: str) -> Token:
    forge.create_user(
        name,
        email=f"{name}@muster.invalid",
        password=PASSWORD,
        login_name=f"muster:{name}",
        full_name="",
    )
    return Token(str(forge.mint_token(name, "muster-1", TOKEN_SCOPES).secret))


def delete(forge: Forge, path: str) -> None:
    forge._http.change("DELETE", path)  # noqa: SLF001 - what the product never deletes


def eventually(call: Callable[[], T], expected: T) -> None:
    """Wait until a call returns this: the forge indexes labels and checks merges in between."""
    until(lambda: call() == expected, f"{expected} is the answer", 10)


def merge(work: WorkForge, pull: Pull, before: Callable[[], None] = lambda: None) -> None:
    """Merge as an agent does: again and again while the forge still checks for conflicts."""

    def merged() -> bool:
        before()
        try:
            work.merge(pull.number, "squash", pull.head_sha)
        except ForgeError as error:
            if "try again" not in str(error):
                raise
            return False
        return True

    until(merged, f"#{pull.number} is merged", 10)


@dataclass
class Desk:
    """A repository with an agent that may write, a second one, and one that may only read."""

    url: str
    repo: str
    tokens: dict[str, Token]
    clone: Path

    def work(self, name: str, url: str = "") -> WorkForge:
        return WorkForge(url or self.url, self.tokens[name], self.repo)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=dev", "-c", "user.email=dev@muster.invalid", *arguments],
            cwd=self.clone,
            check=True,
            capture_output=True,
            text=True,
            timeout=COMMAND,
        )
        return done.stdout.strip()

    def push(self, branch: str, files: dict[str, str]) -> str:
        """Push a branch that changes files of the primary branch; return its head."""
        self.git("checkout", "--quiet", "-B", branch, "trunk")
        for name, text in files.items():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {branch}")
        self.git("push", "--quiet", "--force", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def open_pull(self, branch: str) -> Pull:
        self.push(branch, {f"{branch}.txt": f"hello\n{branch}\n"})
        return self.work("dev").open_pull(branch, "Closes nothing", head=branch, base="trunk")


@pytest.fixture(scope="module")
def desk(server: ForgeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    forge = Forge(server.url, server.administrator.basic)
    mark = secrets.token_hex(3)
    names = {role: f"{role}-{mark}" for role in ("dev", "peer", "reader")}
    repo = f"{server.administrator.user}/work-{mark}"
    forge.create_repository(repo, "trunk")
    tokens = {role: create_bot(forge, name) for role, name in names.items()}
    for role, name in names.items():
        forge.add_collaborator(repo, name, "read" if role == "reader" else "write")
    made = Desk(server.url, repo, tokens, tmp_path_factory.mktemp("desk"))
    login = f"{names['dev']}:{tokens['dev'].secrets[0]}@"
    made.git("clone", "--quiet", f"{server.url.replace('://', f'://{login}')}/{repo}.git", ".")
    made.push("topic/one", {"sub/a b.bin": "\x00\x01ü"})
    yield made
    delete(forge, f"/repos/{repo}")
    for name in names.values():
        forge.purge_user(name)


@pytest.fixture
def work(desk: Desk) -> WorkForge:
    return desk.work("dev")


@pytest.fixture
def peer(desk: Desk) -> WorkForge:
    return desk.work("peer")


@pytest.fixture(scope="module")
def pull(desk: Desk) -> Pull:
    """An open pull request for tests that leave it open."""
    return desk.open_pull("shared")


@pytest.fixture
def failing(desk: Desk) -> Iterator[StrictForge]:
    with StrictForge(desk.url, strict=False) as proxy:
        yield proxy


# The repository


def test_an_agent_sees_its_repository_and_that_it_may_push(desk: Desk, work: WorkForge) -> None:
    seen = work.repository()
    assert seen is not None
    assert (seen.full_name, seen.default_branch, seen.may_push) == (desk.repo, "trunk", True)
    assert not seen.archived
    assert not seen.empty
    read = desk.work("reader").repository()
    assert read is not None
    assert not read.may_push


def test_the_writers_of_a_users_repository_are_its_owner_and_who_may_push(
    desk: Desk, work: WorkForge
) -> None:
    me, peer = work.whoami().login, desk.work("peer").whoami().login
    assert work.writers() == {desk.repo.partition("/")[0], me, peer}


def test_an_organizations_writers_are_listed_unless_readers_would_be_among_them(
    server: ForgeServer, forge: Forge
) -> None:
    mark = secrets.token_hex(3)
    org, bot, author, reader = (f"{name}-{mark}" for name in ("org", "bot", "author", "reader"))
    keeper = str(server.administrator.user)
    forge.create_repository(f"{org}/app", "trunk")
    work = WorkForge(server.url, create_bot(forge, bot), f"{org}/app")
    create_bot(forge, author)
    create_bot(forge, reader)

    def add_team(permission: str, member: str) -> None:
        units = dict.fromkeys(("repo.code", "repo.issues", "repo.pulls"), permission)
        team = {"name": permission, "permission": permission, "units_map": units}
        number = forge._http.post(  # noqa: SLF001
            f"/orgs/{org}/teams",
            {**team, "includes_all_repositories": True},
            lambda told: int(told["id"]),
            look=lambda: None,
        )
        forge._http.change("PUT", f"/teams/{number}/members/{member}")  # noqa: SLF001

    try:
        forge.add_collaborator(f"{org}/app", bot)
        add_team("write", author)
        assert work.writers() == {keeper, bot, author}
        add_team("read", reader)
        assert work.writers() == {bot}
    finally:
        delete(forge, f"/repos/{org}/app")
        delete(forge, f"/orgs/{org}")
        for name in (bot, author, reader):
            forge.purge_user(name)


def test_files_are_read_at_a_ref_and_at_no_other(desk: Desk, work: WorkForge) -> None:
    for ref in ("topic/one", desk.git("rev-parse", "topic/one")):
        assert work.file("sub/a b.bin", ref) == "\x00\x01ü".encode()
    assert work.file("sub/a b.bin", "trunk") is None
    assert work.file("sub", "topic/one") is None
    assert work.file("README.md", "no-such-branch") is None


def test_refs_of_a_folder_are_listed(desk: Desk, work: WorkForge) -> None:
    head = desk.git("rev-parse", "trunk")
    assert work.refs("muster/claims") == []
    names = ("claims/1", "claims/10", "claims-of-others/1")
    desk.git("push", "--quiet", "origin", *(f"trunk:refs/muster/{name}" for name in names))
    assert work.refs("muster/claims") == [
        ("refs/muster/claims/1", head),
        ("refs/muster/claims/10", head),
    ]
    one = desk.git("rev-parse", "topic/one")
    assert ("refs/heads/topic/one", one) in work.refs("heads")


def test_a_protected_branch_is_known_to_be_so(desk: Desk, work: WorkForge, forge: Forge) -> None:
    assert work.branch_protected("topic/one") is False
    forge._http.post(  # noqa: SLF001
        f"/repos/{desk.repo}/branch_protections", {"rule_name": "topic/*"}, dict, look=lambda: None
    )
    assert work.branch_protected("topic/one") is True
    assert work.branch_protected("topic/none") is None


# Issues


def test_the_backlog_holds_open_issues_with_the_label_oldest_first(work: WorkForge) -> None:
    assert work.backlog("ready") == []
    work.ensure_label("ready", "0e8a16", "An agent may take it")
    issues = [work.create_issue(f"Task {n}", "Do it", ["ready"]) for n in range(2)]
    closed = work.create_issue("Done", "", ["ready"])
    work.create_issue("Other", "")
    work.close_issue(closed.number)
    eventually(lambda: work.backlog("ready"), issues)
    assert {issue.number for issue in issues} < {issue.number for issue in work.open_issues()}
    assert closed.number not in {issue.number for issue in work.open_issues()}
    assert closed.number in {issue.number for issue in work.all_issues()}
    assert (issues[0].author, *issues[0].labels) == (work.whoami().login, "ready")
    assert (issues[0].title, issues[0].body, issues[0].state) == ("Task 0", "Do it", "open")
    assert work.issue(closed.number).state == "closed"


def test_a_label_that_does_not_exist_has_no_backlog(work: WorkForge) -> None:
    work.create_issue("Task", "")
    assert work.backlog("no-such-label") == []


def test_labels_are_added_and_removed_as_often_as_one_likes(work: WorkForge) -> None:
    number = work.create_issue("Labelled", "").number
    first = work.ensure_label("in-progress", "fbca04", "An agent works on it")
    assert work.ensure_label("in-progress", "fbca04", "An agent works on it") == first
    for _ in range(2):
        work.add_labels(number, ["in-progress"])
        assert work.issue(number).labels == {"in-progress"}
    for _ in range(2):
        work.remove_label(number, "in-progress")
        assert work.issue(number).labels == frozenset()
    with pytest.raises(NotFoundError, match="no-such-label"):
        work.add_labels(number, ["no-such-label"])


def test_a_label_that_was_deleted_and_created_again_is_found(
    desk: Desk, work: WorkForge, forge: Forge
) -> None:
    number = work.create_issue("Labelled", "").number
    old = work.ensure_label("fleeting", "fbca04", "")
    delete(forge, f"/repos/{desk.repo}/labels/{old}")
    desk.work("peer").ensure_label("fleeting", "fbca04", "")
    work.add_labels(number, ["fleeting"])
    assert work.issue(number).labels == {"fleeting"}


def test_agents_that_create_one_label_at_once_get_one_label(desk: Desk) -> None:
    agents = [desk.work(name) for name in ("dev", "peer") * 3]
    with ThreadPoolExecutor(len(agents)) as pool:
        ids = list(pool.map(lambda one: one.ensure_label("raced", "d93f0b", ""), agents))
    assert len(set(ids)) == 1
    listed = desk.work("dev")._http.pages(f"/repos/{desk.repo}/labels", dict)  # noqa: SLF001
    assert [label["id"] for label in listed if label["name"] == "raced"] == [ids[0]]


def test_assignees_come_and_go_one_by_one(work: WorkForge, peer: WorkForge) -> None:
    me, other = work.whoami().login, peer.whoami().login
    number = work.create_issue("Assigned", "").number
    work.assign(number, me)
    work.assign(number, other.upper())
    assert set(work.issue(number).assignees) == {me, other}
    work.unassign(number, me.upper())
    assert work.issue(number).assignees == (other,)
    work.unassign(number, other)
    work.unassign(number, other)
    assert work.issue(number).assignees == ()


def test_the_forges_own_dependencies_block(desk: Desk, work: WorkForge, forge: Forge) -> None:
    first, second = (work.create_issue(title, "") for title in ("First", "Second"))
    assert work.blockers(second.number) == []
    owner, _, name = desk.repo.partition("/")
    forge._http.post(  # noqa: SLF001
        f"/repos/{desk.repo}/issues/{second.number}/dependencies",
        {"owner": owner, "repo": name, "index": first.number},
        dict,
        look=lambda: None,
    )
    assert [issue.number for issue in work.blockers(second.number)] == [first.number]
    assert work.blockers(99999) == []


def test_a_comment_is_added_and_edited(work: WorkForge, peer: WorkForge) -> None:
    number = work.create_issue("Discussed", "").number
    comment = work.comment(number, "Taken\r\nby me  ")
    work.edit_comment(comment.id, "Done")
    peer.comment(number, "Thanks")
    said = [(comment.author, comment.body) for comment in work.comments(number)]
    assert said == [(work.whoami().login, "Done"), (peer.whoami().login, "Thanks")]


# Pull requests


def test_a_pull_request_is_opened_once_and_edited(desk: Desk, work: WorkForge) -> None:
    head = desk.push("pull/one", {"greeting.txt": "hello\n"})
    opened = work.open_pull("Greet", "Closes #1", head="pull/one", base="trunk", draft=True)
    assert (opened.title, opened.draft, opened.from_fork) == ("WIP: Greet", True, False)
    assert (opened.head_ref, opened.head_sha) == ("pull/one", head)
    assert opened.base_ref == "trunk"
    assert ("refs/heads/trunk", opened.base_sha) in work.refs("heads")
    again = work.open_pull("Greet again", "", head="pull/one", base="trunk")
    assert (again.number, again.title) == (opened.number, "WIP: Greet")
    assert opened.number in {pull.number for pull in work.pulls()}

    work.edit_pull(opened.number, title="Greet", body="")
    edited = work.pull(opened.number)
    assert (edited.title, edited.body, edited.draft) == ("Greet", "", False)
    assert work.issue(opened.number).is_pull
    work.edit_pull(opened.number, state="closed")
    assert work.pull(opened.number).state == "closed"
    assert opened.number not in {pull.number for pull in work.pulls()}
    assert opened.number in {pull.number for pull in work.all_pulls()}


def test_a_branch_that_is_not_there_opens_no_pull_request(work: WorkForge) -> None:
    with pytest.raises(NotFoundError):
        work.open_pull("Nothing", "", head="no-such-branch", base="trunk")


def test_reviews_are_requested_of_those_who_can_read(
    work: WorkForge, peer: WorkForge, pull: Pull
) -> None:
    number = pull.number
    for _ in range(2):
        work.request_review(number, [peer.whoami().login])
    assert work.pull(number).requested_reviewers == (peer.whoami().login,)
    with pytest.raises(ForgeError, match="poster"):
        work.request_review(number, [work.whoami().login])


def test_the_last_status_of_each_context_counts(desk: Desk, work: WorkForge, forge: Forge) -> None:
    sha = desk.git("rev-parse", "trunk")
    assert (work.statuses(sha).state, work.statuses(sha).statuses) == ("", ())
    for context, state in (("b", "failure"), ("a", "success"), ("b", "pending"), ("b", "success")):
        forge._http.post(  # noqa: SLF001
            f"/repos/{desk.repo}/statuses/{sha}",
            {"context": context, "state": state, "description": state},
            dict,
            look=lambda: None,
        )
    seen = work.statuses(sha)
    assert seen.state == "success"
    assert [(one.context, one.description) for one in seen.statuses] == [
        ("a", "success"),
        ("b", "success"),
    ]


def test_a_pull_request_is_not_merged_at_another_head(work: WorkForge, pull: Pull) -> None:
    with pytest.raises(ForgeError, match="head out of date"):
        merge(work, replace(pull, head_sha="0" * 40))
    assert not work.pull(pull.number).merged


# Reviews


def test_a_review_is_submitted_once_with_its_comments(
    work: WorkForge, peer: WorkForge, pull: Pull
) -> None:
    remarks = [("shared.txt", 2, "Say more"), ("shared.txt", 1, "Fine")]
    first, again = (
        peer.review(
            pull.number,
            "REQUEST_CHANGES",
            "Two remarks",
            commit_id=pull.head_sha,
            comments=remarks,
        )
        for _ in range(2)
    )
    assert first == again
    assert [one for one in work.reviews(pull.number) if one.body == "Two remarks"] == [first]
    assert (first.author, first.state, first.body) == (
        peer.whoami().login,
        "REQUEST_CHANGES",
        "Two remarks",
    )
    assert (first.commit_id, first.official) == (pull.head_sha, True)
    assert not first.stale
    assert not first.dismissed
    listed = work.review_comments(pull.number, first.id)
    assert [(one.path, one.line, one.body) for one in listed] == remarks
    assert {(one.author, one.resolved) for one in listed} == {(first.author, False)}


def test_an_agent_that_may_only_read_opens_issues_and_comments(desk: Desk) -> None:
    reader = desk.work("reader")
    found = reader.repository()
    assert found is not None
    assert not found.may_push
    issue = reader.create_issue("A proposal", "By one who reads")
    reader.comment(issue.number, "And one thing more")
    assert reader.issue(issue.number).author == reader.whoami().login


def test_an_agent_that_may_only_read_gives_no_official_review(desk: Desk, pull: Pull) -> None:
    review = desk.work("reader").review(pull.number, "APPROVED", "", commit_id=pull.head_sha)
    assert (review.state, review.official) == ("APPROVED", False)


def test_nobody_approves_an_own_pull_request(work: WorkForge, pull: Pull) -> None:
    with pytest.raises(ForgeError, match="approve your own"):
        work.review(pull.number, "APPROVED", "", commit_id=pull.head_sha)


def test_comments_of_a_review_that_was_left_unsubmitted_are_not_submitted_with_the_next(
    desk: Desk, work: WorkForge, peer: WorkForge, pull: Pull
) -> None:
    peer._http.post(  # noqa: SLF001
        f"/repos/{desk.repo}/pulls/{pull.number}/reviews",
        {
            "event": "PENDING",
            "body": "Wait",
            "comments": [{"path": "shared.txt", "new_position": 1, "body": "x"}],
        },
        dict,
        look=lambda: None,
    )
    review = peer.review(pull.number, "COMMENT", "Nothing to add", commit_id=pull.head_sha)
    assert work.review_comments(pull.number, review.id) == []


def test_a_reply_names_what_it_replies_to_and_repeats_no_command_of_it(
    desk: Desk, work: WorkForge, pull: Pull
) -> None:
    issue = work.create_issue("Referred to", "").number
    remark = f"`Really`?\nCloses #{issue}"
    review = desk.work("reader").review(
        pull.number,
        "COMMENT",
        "See below",
        commit_id=pull.head_sha,
        comments=[("shared.txt", 2, remark)],
    )
    [comment] = work.review_comments(pull.number, review.id)
    work.reply(pull.number, comment, "Fixed in 1234567")
    replies = work.review_comments(pull.number, review.id)[1:]  # Forgejo
    replies_or_comments = [reply.body for reply in replies] or [
        comment.body
        for comment in work.comments(pull.number)  # Gitea
    ]
    assert len(replies_or_comments) == 1
    assert replies_or_comments[0].endswith("Fixed in 1234567")
    events = work._http.get(f"/repos/{desk.repo}/issues/{issue}/timeline", list)  # noqa: SLF001
    assert {event["user"]["login"] for event in events} == {desk.work("reader").whoami().login}


# Answers that get lost


REPO = "/repos/{owner}/{repo}"


def posts(proxy: StrictForge) -> set[int]:
    """Return how often each POST came in."""
    return {count for (method, _), count in proxy.calls.items() if method == "POST"}


def test_what_is_created_while_its_answer_gets_lost_is_created_once(
    desk: Desk, failing: StrictForge
) -> None:
    dev = desk.work("dev", failing.url)
    failing.drop_answers("POST", f"{REPO}/labels")
    label = dev.ensure_label("lost", "d93f0b", "")
    assert desk.work("dev").ensure_label("lost", "d93f0b", "") == label
    failing.drop_answers("POST", f"{REPO}/contents/lost%20file.txt")
    dev.create_file("lost file.txt", "found\n", "trunk", "Add a file")
    assert dev.file("lost file.txt", "trunk") == b"found\n"
    failing.drop_answers("POST", f"{REPO}/issues")
    issue = dev.create_issue("Lost", "and found", ["lost"])
    failing.drop_answers("POST", f"{REPO}/issues/{issue.number}/labels")
    dev.add_labels(issue.number, ["lost"])
    failing.drop_answers("POST", f"{REPO}/issues/{issue.number}/comments")
    comment = dev.comment(issue.number, "Once")
    assert dev.comments(issue.number) == [comment]
    assert [one for one in dev.open_issues() if one.title == "Lost"] == [dev.issue(issue.number)]
    assert posts(failing) == {1}


def test_a_pull_request_whose_answers_get_lost_is_opened_reviewed_and_merged_once(
    desk: Desk, failing: StrictForge
) -> None:
    dev, peer = desk.work("dev", failing.url), desk.work("peer", failing.url)
    head = desk.push("lost", {"lost.txt": "lost\n"})
    failing.drop_answers("POST", f"{REPO}/pulls")
    pull = dev.open_pull("Lost", "", head="lost", base="trunk")
    path = f"{REPO}/pulls/{pull.number}"
    failing.drop_answers("POST", f"{path}/requested_reviewers")
    dev.request_review(pull.number, [peer.whoami().login])
    failing.drop_answers("POST", f"{path}/reviews")
    review = peer.review(pull.number, "APPROVED", "Good", commit_id=head)
    assert [one.id for one in dev.reviews(pull.number) if one.state == "APPROVED"] == [review.id]
    assert posts(failing) == {1}
    merge(dev, pull, before=lambda: failing.drop_answers("POST", f"{path}/merge"))
    merged = dev.pull(pull.number)
    assert (merged.merged, merged.state) == (True, "closed")
