"""The pages of docs/: every command that they print works as printed."""

import re
from collections.abc import Iterator

import pexpect
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


def ours(command: str, place: Workplace) -> str:
    """Put a test's project, forge and repository in place of the pages'."""
    words = {"https://forge.example.org": place.server.url, "acme/site": place.repo}
    for printed, name in words.items():
        command = command.replace(printed, name)
    return re.sub(r"\bacme\b", place.name, command)


def test_hiring_rotating_and_firing_work_as_the_pages_say(workplace: Workplace) -> None:
    workplace.pulumi("stack", "rm", workplace.name, "--yes")  # the first page makes it
    shell = shell_of(workplace)
    failed = []
    try:
        for page, command in _in_order():
            if "token.txt" in command and not (workplace.folder / "token.txt").exists():
                token = workplace.forge.mint_token("dev-qwen", "by hand", TOKEN_SCOPES)
                (workplace.folder / "token.txt").write_text(f"{token.secret}\n")
            if printed := answered(shell, ours(command, workplace)):
                failed.append(f"{page}: {command}\n{printed}")
    finally:
        shell.close(force=True)
    assert failed == []
    assert workplace.containers() == set()


def _in_order() -> Iterator[tuple[str, str]]:
    for page in ("hire.md", "rotate.md", "fire.md"):
        for command in commands(page):
            yield page, command


def test_every_page_has_commands_and_is_named_in_the_readme() -> None:
    pages = sorted(path.name for path in DOCS.glob("*.md"))
    readme = (ROOT / "README.md").read_text()
    assert [page for page in pages if not commands(page)] == []
    assert [page for page in pages if f"docs/{page}" not in readme] == []
