"""The pages of docs/: every command that they print works as printed."""

import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pytest
from asking import wait_until
from crew import bash, says
from old_factory import OldFactory
from scripted_endpoint import ContainersEndpoint
from workplace import PROMPT, ROOT, Workplace

from muster.credentials import TOKEN_SCOPES
from muster.forge import Issue, Pull, WorkForge

if TYPE_CHECKING:
    import pexpect

DOCS = ROOT / "docs"
KEY = "made-up-key-0123456789"


def commands(*pages: str) -> list[str]:
    """Return the commands of pages: what follows `$ ` in their console blocks."""
    text = "\n".join((DOCS / page).read_text() for page in pages)
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    found = re.findall(r"^\$ ((?:.*\\\n)*.*)$", "\n".join(blocks), flags=re.MULTILINE)
    return [re.sub(r"\\\n\s*", "", command) for command in found]


def answered(shell: "pexpect.spawn[str]", command: str) -> str:
    """Type a command and answer what it asks; return what it printed if it failed."""
    began = time.monotonic()
    shell.sendline(command)
    while True:
        asked = shell.expect([PROMPT, r"\[y/N\]: ", r"Type (\S+) to purge it: ", "Key .*: "])
        if asked == 0:
            break
        shell.sendline({1: "y", 3: KEY}.get(asked) or str(shell.after).split()[1])
    printed = str(shell.before)
    print(f"{time.monotonic() - began:6.1f} s  {command}")  # noqa: T201 - shown if a test fails
    # What a test's crew cannot reach is not as wanted, and that is 1.
    worst = 1 if command.startswith("muster status") else 0
    shell.sendline(f"test $? -le {worst} && echo it worked")
    shell.expect(PROMPT)
    return "" if "it worked" in str(shell.before) else printed


def ran(place: Workplace, typed: Iterable[str], words: Mapping[str, str]) -> list[str]:
    """Type commands, with the test's words in place of the page's; return what failed."""
    shell, failed = place.shell(), []
    try:
        for command in typed:
            changed = command
            for printed, word in words.items():
                changed = changed.replace(printed, word)
            if said := answered(shell, re.sub(r"\bacme\b", place.name, changed)):
                failed.append(f"{command}\n{said}")
    finally:
        shell.close(force=True)
    return failed


class Repository:
    """The repository of a workplace, with issues for its agents."""

    def __init__(self, place: Workplace) -> None:
        basic = place.server.administrator.basic
        assert basic is not None
        self.forge = WorkForge(place.server.url, basic, place.repo)
        self.forge.ensure_label("backlog", "0e8a16", "")

    def issue(self, *labels: str) -> Issue:
        return self.forge.create_issue("Say hello", "Please.", labels)

    def pull_for(self, issue: Issue) -> Pull | None:
        closing = f"Closes #{issue.number}"
        return next((pull for pull in self.forge.pulls() if closing in pull.body), None)


def endpoint(place: Workplace) -> ContainersEndpoint:
    """Return a model server that says hello."""
    steps = [bash("echo hello > hello.txt"), says("I added `hello.txt`.")]
    script = {"window": 65536, "plays": [{"when": "Say hello", "steps": steps}]}
    return ContainersEndpoint(place.client, script)


def test_a_crew_works_from_its_hire_to_its_end_as_the_pages_say(workplace: Workplace) -> None:
    workplace.pulumi("stack", "rm", workplace.name, "--yes")  # the first page creates it
    repository = Repository(workplace)
    first, second = repository.issue("backlog"), repository.issue()
    words = {
        "https://forge.example.org": workplace.server.url,
        "acme/site": workplace.repo,
        " 12 ": f" {second.number} ",
    }

    init, *hire = commands("hire.md")
    failed = ran(workplace, [init], words)
    workplace.find_forge_from_inside()
    with endpoint(workplace) as model:
        words["http://host.docker.internal:8081"] = model.base_url
        words["https://llm.example.org"] = model.base_url
        (workplace.folder / "key.txt").write_text(f"{KEY}\n")
        failed += ran(workplace, hire, words)
        wait_until(lambda: repository.pull_for(first) is not None, 120)
        token = workplace.forge.mint_token("dev-qwen", "by hand", TOKEN_SCOPES)
        (workplace.folder / "token.txt").write_text(f"{token.secret}\n")
        failed += ran(workplace, commands("rotate.md", "work.md"), words)
        taken = repository.forge.comments(second.number)  # until the agent is purged
        failed += ran(workplace, commands("operate.md", "fire.md"), words)

    assert failed == []
    assert [comment.author for comment in taken] == ["dev-qwen"]
    assert workplace.containers() == set()


def test_troubleshooting_works_as_the_page_says(workplace: Workplace) -> None:
    with endpoint(workplace) as model:
        workplace.roster(workplace.agent("dev-qwen", base_url=model.base_url))
        workplace.up()
        wait_until(lambda: b'"idle"' in workplace.container("dev-qwen").logs())
        printed = ("http://host.docker.internal:8081", "http://192.168.1.100:8081")
        typed = commands("troubleshoot.md")
        failed = ran(workplace, typed, dict.fromkeys(printed, model.base_url))

    assert failed == []
    assert workplace.container("dev-qwen").status == "running"


def test_adopting_works_as_the_page_says(
    workplace: Workplace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workplace.pulumi("stack", "rm", workplace.name, "--yes")
    with OldFactory(workplace, tmp_path_factory.mktemp("host") / f"{workplace.name}f") as factory:
        words = {"/srv/disinto/projects/acme.toml": str(factory.file)}
        failed = ran(workplace, commands("adopt.md"), words)

        assert failed == []
        assert workplace.container(factory.agent).status == "running"


def test_every_page_but_the_reference_has_commands_and_all_are_linked_in_the_readme() -> None:
    pages = sorted(path.name for path in DOCS.glob("*.md"))
    readme = (ROOT / "README.md").read_text()
    assert [page for page in pages if not commands(page)] == ["reference.md"]
    assert [page for page in pages if f"docs/{page}" not in readme] == []
