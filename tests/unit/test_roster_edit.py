"""Editing a roster touches the lines that change, and no others."""

import difflib
import tomllib
from pathlib import Path

import pytest

from muster import roster_edit, toml_file
from muster.roster_edit import RosterEditError

ROSTER = """\
# Our crew. Talk to Ann before you change it.
name    = "acme"   # the project
repo = 'acme/site'
forge_url = "https://forge.example.org"

#[agents.dev-qwen]
#roles = ["gardener"]

[agents.dev-qwen] # the first one
  base_url = "http://10.0.0.5:8081"
  model = "a-model"   # swapped in May
  roles = [
    "dev",            # for now
  ]
# below: the reviewer

[agents.review-qwen]
base_url = "http://10.0.0.5:8081"
model = "a-model"

[monitoring]        # the factory's
port=  9090
# the end"""


def changed_lines(old: str, new: str) -> list[str]:
    return [line for line in difflib.ndiff(old.split("\n"), new.split("\n")) if line[0] in "+-"]


def test_a_new_agent_stands_at_the_end_and_every_other_byte_stays() -> None:
    edited = roster_edit.with_agent(ROSTER, "dev-two", {"roles": ["dev"], "poll_interval": 5})
    assert edited.startswith(ROSTER)
    added = edited.removeprefix(ROSTER)
    assert added == '\n\n[agents.dev-two]\nroles = ["dev"]\npoll_interval = 5\n'


def test_an_agent_that_came_and_went_leaves_the_roster_as_it_was() -> None:
    before = f"{ROSTER}\n"
    assert roster_edit.without_agent(roster_edit.with_agent(before, "x", {}), "x") == before


WORK = f"""\
{ROSTER}

[muster.work]
turns = 9   # enough
check = ["make test"]

[muster.endpoints."http://10.0.0.5:8081"]
slots = 2
"""


def test_sections_below_an_agents_stay_as_they_are() -> None:
    added = roster_edit.with_agent(WORK, "dev-two", {"turns": 5})
    assert added == f"{WORK}\n[agents.dev-two]\nturns = 5\n"
    changed = roster_edit.with_fields(added, "dev-two", {"turns": 6})
    assert changed_lines(added, changed) == ["- turns = 5", "+ turns = 6"]
    assert roster_edit.without_agent(changed, "dev-two") == WORK
    fired = roster_edit.without_agent(WORK, "review-qwen")
    assert tomllib.loads(fired)["muster"] == tomllib.loads(WORK)["muster"]


def test_a_changed_field_keeps_its_comment_and_indentation() -> None:
    edited = roster_edit.with_fields(ROSTER, "dev-qwen", {"model": "another"})
    assert changed_lines(ROSTER, edited) == [
        '-   model = "a-model"   # swapped in May',
        '+   model = "another"   # swapped in May',
    ]


def test_a_new_field_stands_below_the_last_one_of_its_section() -> None:
    edited = roster_edit.with_fields(ROSTER, "dev-qwen", {"rotation": 2})
    assert "  ]\n  rotation = 2\n# below: the reviewer\n" in edited
    assert len(changed_lines(ROSTER, edited)) == 1


def test_a_field_is_taken_out_with_its_line_alone() -> None:
    edited = roster_edit.with_fields(ROSTER, "review-qwen", {"model": None})
    assert changed_lines(ROSTER, edited) == ['- model = "a-model"']


def test_a_fired_agent_leaves_comments_that_may_speak_of_the_next_one() -> None:
    edited = roster_edit.without_agent(ROSTER, "dev-qwen")
    assert "# below: the reviewer\n\n[agents.review-qwen]" in edited
    assert set(tomllib.loads(edited)["agents"]) == {"review-qwen"}


def test_a_commented_out_section_of_the_same_name_is_left_alone() -> None:
    edited = roster_edit.without_agent(ROSTER, "dev-qwen")
    assert '#[agents.dev-qwen]\n#roles = ["gardener"]\n' in edited


def test_fifty_edits_change_what_they_say_and_nothing_else() -> None:
    text = ROSTER
    for number in range(2, 52):
        text = roster_edit.with_fields(text, "review-qwen", {"rotation": number})
    assert changed_lines(ROSTER, text) == ["+ rotation = 51"]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends_and_the_byte_order_mark_stay(end: str) -> None:
    text = "\ufeff" + f"{ROSTER}\n".replace("\n", end)
    edited = roster_edit.with_fields(text, "dev-qwen", {"rotation": 2})
    edited = roster_edit.with_agent(edited, "x", {"roles": ["dev"]})
    assert edited.startswith("\ufeff# Our")
    assert edited.count("\n") == edited.count(end)
    assert f"rotation = 2{end}" in edited


def test_a_line_separator_in_a_comment_is_no_end_of_a_line() -> None:
    text = f"# a\u2028b\n{ROSTER}\n"
    assert roster_edit.without_agent(roster_edit.with_agent(text, "x", {}), "x") == text


@pytest.mark.parametrize(
    "agents",
    [
        'agents = { dev = { roles = ["dev"] } }',
        '[agents]\ndev = { roles = ["dev"] }',
        '[agents]\ndev.roles = ["dev"]',
    ],
)
def test_agents_that_are_no_sections_are_refused_with_what_to_do(agents: str) -> None:
    with pytest.raises(RosterEditError, match=r"\[agents\.dev\]"):
        roster_edit.with_fields(f"{agents}\n", "dev", {"rotation": 2})


def test_a_section_that_cannot_be_added_is_refused() -> None:
    with pytest.raises(RosterEditError, match="by hand"):
        roster_edit.with_agent("agents = { dev = {} }\n", "x", {"roles": ["dev"]})


def test_a_written_roster_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_bytes(ROSTER.encode())
    path.chmod(0o640)
    roster_edit.write(path, "name = 'other'\n")
    assert path.read_text() == "name = 'other'\n"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("agents", ["agents = []\n", "[[agents]]\n"])
def test_agents_that_are_a_list_are_refused(agents: str) -> None:
    with pytest.raises(RosterEditError, match="no sections"):
        roster_edit.with_agent(agents, "x", {"roles": ["dev"]})


NASTY = '''\
a = """
[not.a.table] # text
\\""" ' # text
""""" # a quote before the end
b = \'\'\'
"""
it\'s\'\'\'\'
c = [ # list [
  "]", \']\', """
]""", { d = 1 }, # }
]
"quoted # [" = {e = "\\"[", \'f\' = [[1], []]} # end [

[t."x.y]"] # "
[[l]]
g = ""
h = """"""
\'i\' = \'\'
# "
'''


def test_texts_lists_and_comments_are_cut_where_they_end() -> None:
    tomllib.loads(NASTY)
    cut = [each.text for each in toml_file.statements(NASTY)]
    assert "".join(cut) == NASTY
    starts = [text.split()[0] for text in cut if text.strip()]
    assert starts == ["a", "b", "c", '"quoted', '[t."x.y]"]', "[[l]]", "g", "h", "'i'", "#"]


def test_an_edit_reads_a_long_roster_a_fixed_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = "".join(f'  "scripts/check {number}",  # one\n' for number in range(2000))
    work = f"\n\n[muster.work]\ncheck = [\n{many}]\nsetup = ['''\n{many}''']\n"
    others = "".join(f"\n[agents.a{number}]\nrotation = 1\n" for number in range(500))
    roster = ROSTER + work + others
    read = 0

    def loads(text: str) -> dict[str, object]:
        nonlocal read
        read += len(text)
        return original(text)

    original = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", loads)
    edited = roster_edit.with_fields(roster, "dev-qwen", {"model": "b-model", "rotation": 2})
    assert changed_lines(roster, edited) == [
        '-   model = "a-model"   # swapped in May',
        '+   model = "b-model"   # swapped in May',
        "+   rotation = 2",
    ]
    assert read < 6 * len(roster)


def test_a_value_that_does_not_change_keeps_the_comments_in_it() -> None:
    edited = roster_edit.with_fields(ROSTER, "dev-qwen", {"roles": ["dev"], "model": "b-model"})
    assert changed_lines(ROSTER, edited) == [
        '-   model = "a-model"   # swapped in May',
        '+   model = "b-model"   # swapped in May',
    ]
