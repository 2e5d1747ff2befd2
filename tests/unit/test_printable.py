"""What others wrote is safe to print, and holds no secrets."""

import json

import pytest

from muster.printable import one_line, printable, printable_json

TOKEN = "0123456789abcdef0123456789abcdef01234567"
KEY = "sk-ant-api03-abcDEF_123"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\image", "image"),
        ("\x1b(0lines\x1b7\x1bc", "lines"),
        ("bell\x07 back\x08space null\x00", "bell backspace null"),
        ("abc\u202edcb\u2066x\u2069", "abcdcbx"),
        ("half \ud800 of a pair", "half  of a pair"),
        ("one\r\ntwo\rthree\ttab", "one\ntwo\nthree\ttab"),
        ("Grüße, 世界 🙂 [bold]x[/bold]", "Grüße, 世界 🙂 [bold]x[/bold]"),
    ],
)
def test_only_text_reaches_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_unfinished_sequence_hides_nothing_behind_it() -> None:
    assert printable("\x1b]0;rm -rf /\nnext line") == "0;rm -rf /\nnext line"
    assert printable("\x1b]0;rm\n-rf /\x07") == "0;rm\n-rf /"
    assert printable("text\x1b") == "text"


@pytest.mark.parametrize("secret", [TOKEN, KEY, "sk-" + "a" * 40])
def test_what_looks_like_a_token_or_a_key_is_masked(secret: str) -> None:
    assert printable(f"token={secret}, and more") == "token=…, and more"


def test_a_token_with_an_escape_sequence_in_it_is_masked() -> None:
    assert printable(f"{TOKEN[:9]}\x1b[0m{TOKEN[9:]}") == "…"


def test_credentials_in_a_url_are_masked() -> None:
    assert printable("http://bot:secret@forge/acme") == "http://…forge/acme"


def test_longer_and_shorter_numbers_are_not_tokens() -> None:
    for text in (TOKEN[:39], TOKEN + "0", TOKEN * 2):
        assert printable(text) == text


def test_one_line_stays_one_line() -> None:
    assert one_line(" a\n\tb\r\nc ") == "a b c"


def test_a_line_of_json_stays_as_it_is() -> None:
    for line in ('{"a": 1,  "b": "\\u001b[31m"}', "[1, 2.50, null]", '"Grüße"'):
        assert printable_json(line) == line


def test_a_masked_line_of_json_is_still_json() -> None:
    values = {"text": f"x {TOKEN}", "list": [KEY, 1], "url": "http://f", "b": "a@c"}
    line = json.dumps(values, separators=(",", ":"))
    masked = json.loads(printable_json(line))
    assert masked == {"text": "x …", "list": ["…", 1], "url": "http://f", "b": "a@c"}


def test_control_characters_in_json_are_escaped_and_keep_their_meaning() -> None:
    line = '{"text": "\x9b2J\u202e"}'
    shown = printable_json(line)
    assert shown.isascii()
    assert json.loads(shown) == json.loads(line)


@pytest.mark.parametrize("line", ["not \x1b[31mjson", "[" * 100_000])
def test_a_line_that_is_not_json_is_printable(line: str) -> None:
    assert printable_json(line) == printable(line)
