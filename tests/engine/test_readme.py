"""The README's session: recorded from a crew that is hired and fired.

`MUSTER_RECORD=1 pytest -m slow tests/engine/test_readme.py` records it again.
"""

import os
import re
from collections.abc import Iterator

import pytest
from workplace import PROMPT, ROOT, Workplace

README = ROOT / "README.md"
SESSION = re.compile(r"(?<=<!-- session -->\n```console\n).*?(?=```\n)", re.DOTALL)
BEFORE = """\
$ . .venv/bin/activate
$ export FORGE_ADMIN_USER=… FORGE_ADMIN_PASS=…     # or FORGE_ADMIN_PAT; best is all three
"""
COMMANDS = """\
muster init acme --repo acme/site --forge-url https://forge.example.org
muster hire dev-qwen dev --local-model http://host.docker.internal:8081 --model qwen3.5
muster fire dev-qwen --yes
"""


@pytest.mark.slow
def test_the_readmes_session_is_what_muster_prints(workplace: Workplace) -> None:
    recorded = BEFORE + "".join(_recorded(workplace))

    assert "Done: 12 created." in recorded
    assert "error" not in recorded.lower()
    if os.environ.get("MUSTER_RECORD"):
        README.write_text(SESSION.sub(lambda _: recorded, README.read_text()))
    [printed] = SESSION.findall(README.read_text())
    assert printed == recorded


def _recorded(place: Workplace) -> Iterator[str]:
    """Return the session line by line, in the README's words."""
    place.pulumi("stack", "rm", place.name, "--yes")  # the session creates it
    words = {
        "https://forge.example.org": place.forge_url,
        "acme/site": place.repo,
        "dev-qwen": place.user("dev-qwen"),
        "acme": place.name,
    }
    shell = place.shell()
    try:
        for command in COMMANDS.splitlines():
            typed = command
            for shown, word in words.items():
                typed = typed.replace(shown, word)
            shell.sendline(typed)
            yield f"$ {command}\n"
            while shell.expect([PROMPT, r"\? \[y/N\]: "]):
                yield from _lines(f"{shell.before}{shell.after}y", words)
                shell.sendline("y")
            yield from _lines(str(shell.before), words)
    finally:
        shell.close(force=True)


def _lines(printed: str, words: dict[str, str]) -> Iterator[str]:
    """Return lines of output, without what differs from run to run."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed)
    for shown, word in words.items():
        text = text.replace(word, shown)
    before = ""
    for line in filter(None, map(str.rstrip, text.splitlines())):
        # Resources are in the order in which they were ready.
        shown = re.sub(r"^  [+~±=-] .*|^ [+~=-] .*\(\d+\.\d s\)$", "  …", line)
        if shown != before or shown != "  …":
            yield f"{shown}\n"
        before = shown
