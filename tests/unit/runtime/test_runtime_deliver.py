"""What of a model's tree is delivered: one commit in the bot's name, with the runtime's message."""

from pathlib import Path

import pytest
from issue_tracker import BOT, IssueTracker
from runtime.deliver import NotDeliveredError, ProtectedError, collect
from runtime.services import Services
from runtime.tree import Tree
from workshop import bare, commit, git, services, settings

MESSAGE = "Greet people\n\nCloses #12"


@pytest.fixture
def agent(tmp_path: Path) -> Services:
    bare(tmp_path / "origin", {"greet.py": "hello\n"})
    return services(tmp_path, IssueTracker(), settings({"diff_lines": 5}))


@pytest.fixture
def base(agent: Services) -> str:
    return agent.fetch_branches()


@pytest.fixture
def tree(agent: Services, base: str) -> Tree:
    made = agent.tree("issue", 12)
    made.make("muster/issue-12", base)
    return made


def write(tree: Tree, name: str, text: str) -> None:
    path = tree.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def shown(agent: Services, revision: str, form: str) -> str:
    return agent.mirror.run("show", "--no-patch", f"--format={form}", revision).strip()


def test_commits_of_a_model_become_one_with_our_message(
    agent: Services, tree: Tree, base: str
) -> None:
    write(tree, "one.txt", "1\n")
    git(tree.path, "add", "--all")
    git(tree.path, "commit", "--quiet", "--message", "Closes #1")
    write(tree, "two.txt", "2\n")
    tree.commit("Fixes #2")

    change = collect(agent, tree, MESSAGE, [base])

    assert shown(agent, change.commit, "%B") == MESSAGE
    assert shown(agent, change.commit, "%P") == base
    assert shown(agent, change.commit, "%an %cn") == f"{BOT} {BOT}"
    assert change.files == ("one.txt", "two.txt")
    assert tree.head() == change.commit  # the next round goes on from there
    assert tree.git("status", "--porcelain") == ""


def test_a_commit_that_is_as_it_should_be_stays(agent: Services, tree: Tree, base: str) -> None:
    write(tree, "one.txt", "1\n")
    tree.commit(MESSAGE)
    head = tree.head()

    assert collect(agent, tree, MESSAGE, [base]).commit == head
    assert collect(agent, tree, MESSAGE, [base]).commit == head


def test_a_rewritten_history_follows_the_branch_that_people_see(
    agent: Services, tree: Tree, base: str, tmp_path: Path
) -> None:
    head = commit(tmp_path / "origin", "muster/issue-12", {"ann.txt": "ann\n"}, base)
    agent.fetch_branches()
    write(tree, "one.txt", "1\n")
    tree.commit("Follow up")  # on the base, as if the model had reset its branch

    change = collect(agent, tree, "Follow up", [head])

    assert shown(agent, change.commit, "%P") == head


def test_a_merge_follows_both_branches(
    agent: Services, tree: Tree, base: str, tmp_path: Path
) -> None:
    write(tree, "one.txt", "1\n")
    tree.commit(MESSAGE)
    first = collect(agent, tree, MESSAGE, [base]).commit
    main = commit(tmp_path / "origin", "main", {"main.txt": "main\n"}, base)
    agent.fetch_branches()
    tree.git("merge", "--quiet", "--no-edit", main)

    change = collect(agent, tree, "Merge main", [first, main], onto=agent.primary)

    assert shown(agent, change.commit, "%P").split() == [first, main]
    assert change.files == ("one.txt",)


def test_a_merge_without_a_change_of_content_is_concluded(
    agent: Services, tree: Tree, base: str, tmp_path: Path
) -> None:
    write(tree, "greet.py", "hello you\n")
    tree.commit(MESSAGE)
    main = commit(tmp_path / "origin", "main", {"greet.py": "good day\n"}, base)
    agent.fetch_branches()
    assert not tree.try_git("merge", "--quiet", main)
    write(tree, "greet.py", "hello you\n")

    assert tree.commit("Merge main")
    assert tree.try_git("merge-base", "--is-ancestor", main, "HEAD")


def test_commits_without_a_change_deliver_nothing(agent: Services, tree: Tree, base: str) -> None:
    git(tree.path, "commit", "--quiet", "--allow-empty", "--message", "Closes #1")

    assert collect(agent, tree, MESSAGE, [base]).commit == base


def test_a_change_of_too_many_lines_is_not_delivered(
    agent: Services, tree: Tree, base: str
) -> None:
    write(tree, "long.txt", "1\n" * 6)
    tree.commit(MESSAGE)

    with pytest.raises(NotDeliveredError, match="6 lines, more than the 5 of diff_lines"):
        collect(agent, tree, MESSAGE, [base])


def test_protected_paths_are_named_without_effect(agent: Services, tree: Tree, base: str) -> None:
    write(tree, ".github/workflows/@ann", "1\n")
    tree.commit(MESSAGE)

    with pytest.raises(ProtectedError, match=r"protected paths: .*@\u200bann"):
        collect(agent, tree, MESSAGE, [base])
