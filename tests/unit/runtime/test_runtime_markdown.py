"""A model's words at the forge: read by people, without effect otherwise."""

import pytest
from runtime.prompt import visible
from runtime.report import comment, fenced, is_of_agent, neutral, note, quoted, title_line


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Ask @keeper about it.", "@keeper"),
        ("This closes #12.", "#12"),
        ("fixes keeper/greet#12", "#12"),
        ("Resolves !12", "!12"),
        ("fixes http://forge/keeper/greet/issues/12", "/issues/12"),
        ("closes http://forge/keeper/greet/pulls/12", "/pulls/12"),
        ("![seen](http://elsewhere/?secret)", "!["),
        ("<img src=http://elsewhere>", "<img"),
        ("</details>", "</details"),
    ],
)
def test_words_with_an_effect_at_the_forge_lose_it(text: str, gone: str) -> None:
    shown = neutral(text)

    assert gone not in shown
    assert visible(shown) == text  # readers and models see no difference


def test_other_words_stay_as_they_are() -> None:
    text = "a < b, c! d # e\n\n```python\nx = [1]\n```\n- `greet.py`: see https://forge/docs"

    assert neutral(text) == text


def test_a_quote_stays_one_although_its_text_would_end_it() -> None:
    assert quoted("one\n\n# two") == "> one\n> \n> # two"


def test_output_cannot_end_its_code_block() -> None:
    block = fenced("failed:\n```\n@keeper\n````\n")

    first, *_, last = block.splitlines()
    assert first == last == "`````"


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("Fix #5", "Fix 5"),
        (
            "Greeting: closes keeper/greet#5 and fixes: #6",
            "Greeting: closes keeper/greet5 and fixes: 6",
        ),
        ("Explain #5\n", "Explain #5"),
        ("Suffix #5", "Suffix #5"),
        ("Say  hello <!-- hidden -->", "Say hello"),
    ],
)
def test_a_title_closes_no_other_issue(title: str, line: str) -> None:
    assert title_line(title) == line


@pytest.mark.parametrize("text", [comment("Hello."), note("Hello."), f"> quoted\n\n{note('Hi.')}"])
def test_comments_of_agents_are_known(text: str) -> None:
    assert is_of_agent(text)


def test_a_person_who_quotes_an_agent_is_none() -> None:
    assert not is_of_agent("> <!-- muster -->\n> I did it.\n\nThat is wrong.")
