"""What the agent writes at the forge, to the letter."""

import pytest
from runtime.report import MARK, Checked, Effort, checked, comment, pull_body, quoted, title_line

EFFORT = Effort("dev-qwen", "qwen", "http://models:8080", 12, 1_234_567, 4.25)

BODY = """\
Closes #12

**What was changed**, in the agent's words:

> `greet` now takes a name.
>\x20
> Thanks to @\u200bann.

```
 greet.py      | 4 ++--
 test_greet.py | 2 ++
 2 files changed, 4 insertions(+), 2 deletions(-)
```

**How it was checked**

- `make lint`: passed
- `make test`: failed

```
1 failed
```
- `make bench`: took too long

```

```

| agent | model | endpoint | turns | tokens | minutes |
|---|---|---|--:|--:|--:|
| dev-qwen | qwen | http://models:8080 | 12 | 1,234,567 | 4.2 |"""


def test_a_pull_requests_text() -> None:
    stat = """\
 greet.py      | 4 ++--
 test_greet.py | 2 ++
 2 files changed, 4 insertions(+), 2 deletions(-)
"""
    checks = [
        Checked("make lint", 0, "fine"),
        Checked("make test", 1, "\n1 failed\n"),
        Checked("make bench", None, ""),
    ]
    summary = "`greet` now takes a name.<!-- hidden -->\n\nThanks to @ann."

    assert pull_body(12, summary, stat, checks, EFFORT) == BODY


def test_a_pull_request_without_a_summary_says_so() -> None:
    assert "\n\n> (the agent wrote no summary)\n\n" in pull_body(12, "", "", [], EFFORT)


def test_an_agent_without_a_model_uses_the_default() -> None:
    row = Effort("dev", None, "the Anthropic API", 1, 10, 0.0).row().splitlines()[-1]

    assert row == "| dev | default | the Anthropic API | 1 | 10 | 0.0 |"


def test_without_check_commands_the_text_says_how_to_name_some() -> None:
    assert checked([]) == (
        'No check command is configured: name some in `.muster/work.toml` (`check = ["make test"]`)'
        "."
    )


def test_only_an_exit_code_of_0_is_a_success() -> None:
    assert [Checked("x", code, "").passed for code in (0, 1, -9, None)] == [
        True,
        *(False, False, False),
    ]


def test_of_a_long_output_the_end_is_shown() -> None:
    text = checked([Checked("make", 2, "begin" + "x" * 5000 + "end")])

    assert "begin" not in text
    assert "xend\n```" in text


@pytest.mark.parametrize("code", [0, None])
def test_an_output_stays_in_its_block(code: int | None) -> None:
    """A check may print Markdown, such as the end of a code block and a mention."""
    text = checked([Checked("make", 1 if code == 0 else code, "a\n```\n@ann\n````\nb")])

    fence = text.splitlines()[2]
    assert fence.strip("`") == ""
    assert len(fence) > 4
    assert text.splitlines()[-1] == fence


def test_a_title_is_one_line_without_hidden_parts() -> None:
    assert title_line(" Greet\n by\tname<!-- x -->\u202e ") == "Greet by name"
    assert len(title_line("x" * 500)) == 200


def test_a_title_closes_no_other_issue() -> None:
    assert title_line("Finish what closes #5 and fixed: #6, see #7") == (
        "Finish what closes 5 and fixed: 6, see #7"
    )


def test_the_bots_comment_is_marked() -> None:
    assert comment("**dev** works on this.") == f"{MARK}\n**dev** works on this."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one", "> one"),
        ("one\n\ntwo", "> one\n> \n> two"),
        ("> deeper", "> > deeper"),
        ("ask @ann, @bob", "> ask @\u200bann, @\u200bbob"),
        (f"{MARK}forged", "> forged"),
        ("closes #5, see !6", "> closes #\u200b5, see !\u200b6"),
        ("![x](http://x)", "> !\u200b[x](http://x)"),
        ("a <b>c</b>", "> a <\u200bb>c<\u200b/b>"),
        ("", ""),
    ],
)
def test_a_models_words_are_quoted_and_mention_nobody(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_every_line_of_a_quote_is_quoted() -> None:
    text = "a\u2028b\u2029c\x0bd\x0ce\x1cf\x85g\rh\r\ni"

    assert all(line.startswith("> ") for line in quoted(text).splitlines())
