"""The pages of docs/: every command that they print works as printed."""

import re
from collections.abc import Mapping, Sequence

import pexpect
import pytest
from asking import wait_until
from model_server import Model
from old_factory import OldFactory
from workplace import ROOT, Workplace

from muster.credentials import TOKEN_SCOPES

DOCS = ROOT / "docs"
PROMPT = "READY-FOR-THE-NEXT> "


def commands(page: str) -> list[str]:
    """Return the commands of a page: what stands behind `$ ` in its console blocks."""
    text = (DOCS / page).read_text()
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    found = re.findall(r"^\$ ((?:.*\\\n)*.*)$", "\n".join(blocks), flags=re.MULTILINE)
    return [re.sub(r"\\\n\s*", "", command) for command in found]


def answered(shell: "pexpect.spawn[str]", command: str) -> str:
    """Type a command and answer what it asks; return what it printed where it failed."""
    shell.sendline(command)
    while True:
        asked = shell.expect([PROMPT, r"\[y/N\]: ", r"Type (\S+) to purge it: "])
        if asked == 0:
            break
        shell.sendline("y" if asked == 1 else str(shell.after).split()[1])
    printed = str(shell.before)
    shell.sendline("test $? = 0 && echo it worked")
    shell.expect(PROMPT)
    return "" if "it worked" in str(shell.before) else printed


def shell_of(place: Workplace) -> "pexpect.spawn[str]":
    shell = pexpect.spawn(
        "bash",
        ["--noprofile", "--norc"],
        cwd=place.folder,
        env={**place.environment, "PS1": PROMPT, "TERM": "dumb"},
        encoding="utf-8",
        echo=False,
        dimensions=(50, 400),
        timeout=place.patience,
    )
    shell.expect(PROMPT)
    return shell


def ran(place: Workplace, pages: Sequence[str], words: Mapping[str, str]) -> list[str]:
    """Type all that pages print, with the test's words in place of theirs; return what failed."""
    shell, failed = shell_of(place), []
    try:
        for page in pages:
            for command in commands(page):
                typed = command
                for printed, word in words.items():
                    typed = typed.replace(printed, word)
                if said := answered(shell, re.sub(r"\bacme\b", place.name, typed)):
                    failed.append(f"{page}: {command}\n{said}")
    finally:
        shell.close(force=True)
    return failed


def test_hiring_rotating_and_firing_work_as_the_pages_say(workplace: Workplace) -> None:
    workplace.pulumi("stack", "rm", workplace.name, "--yes")  # the first page makes it
    words = {"https://forge.example.org": workplace.server.url, "acme/site": workplace.repo}

    failed = ran(workplace, ["hire.md"], words)
    token = workplace.forge.mint_token("dev-qwen", "by hand", TOKEN_SCOPES)
    (workplace.folder / "token.txt").write_text(f"{token.secret}\n")
    failed += ran(workplace, ["rotate.md", "fire.md"], words)

    assert failed == []
    assert workplace.containers() == set()


def test_troubleshooting_works_as_the_page_says(workplace: Workplace) -> None:
    model = Model(workplace.client)
    workplace.roster(workplace.agent("dev-qwen", base_url=model.url, poll_interval=1))
    workplace.up()
    printed = ("http://host.docker.internal:8081", "http://192.168.1.100:8081")

    with model.serving():
        wait_until(lambda: bool(workplace.container("dev-qwen").logs()))
        failed = ran(workplace, ["troubleshoot.md"], dict.fromkeys(printed, model.url))

    assert failed == []
    assert workplace.container("dev-qwen").status == "running"


def test_adopting_works_as_the_page_says(
    workplace: Workplace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workplace.pulumi("stack", "rm", workplace.name, "--yes")
    with OldFactory(workplace, tmp_path_factory.mktemp("host") / f"{workplace.name}f") as factory:
        failed = ran(
            workplace, ["adopt.md"], {"/srv/disinto/projects/acme.toml": str(factory.file)}
        )

        assert failed == []
        assert workplace.container(factory.agent).status == "running"


def test_every_page_has_commands_and_is_named_in_the_readme() -> None:
    pages = sorted(path.name for path in DOCS.glob("*.md"))
    readme = (ROOT / "README.md").read_text()
    assert [page for page in pages if not commands(page)] == []
    assert [page for page in pages if f"docs/{page}" not in readme] == []
