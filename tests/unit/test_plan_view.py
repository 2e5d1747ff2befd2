"""Previews for people, from events as the engine (Pulumi 3.256) sends them."""

import json
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from muster.cli.changes import Changes
from muster.cli.plan_view import lines
from muster.cli.screen import Screen

TOKEN = "0123456789abcdef0123456789abcdef01234567"
SECRET = "4dabf18193072939515e22adb298388d"
INSIDE = "urn:pulumi:acme::muster::muster:index:Crew$muster:index:Agent$"
CONTAINER = "docker:index/container:Container"
USER = "pulumi-python:dynamic/forgejo:BotUser"


def event(op: str, kind: str, agent: str, **changes: tuple[object, object]) -> dict[str, Any]:
    urn = f"{INSIDE}{kind}::{agent}"
    parent = f"urn:pulumi:acme::muster::muster:index:Crew$muster:index:Agent::{agent}"
    old, new = (
        {
            "type": kind,
            "urn": urn,
            "id": "1",
            "parent": parent,
            "inputs": {key: values[index] for key, values in changes.items()},
        }
        for index in (0, 1)
    )
    diffs = sorted(changes) or None
    told = {"op": op, "urn": urn, "type": kind, "provider": "", "old": old, "new": new}
    return {"resourcePreEvent": {"metadata": told | {"diffs": diffs}}}


def seen(*events: dict[str, Any]) -> Changes:
    changes = Changes()
    for number, each in enumerate(events):
        changes(EngineEvent.from_json({"sequence": number, "timestamp": 0, **each}))
    return changes


def shown(*events: dict[str, Any], brief: bool = False) -> list[str]:
    texts = [line.plain for line in lines(seen(*events).all, brief=brief)]
    return "\n".join(texts).splitlines()


HIRED = [event("create", USER, "dev-b"), event("create", CONTAINER, "dev-b")]
REPLACED = [
    event("create-replacement", CONTAINER, "dev-a", cpus=(2.0, 4.0)),
    event("delete-replaced", CONTAINER, "dev-a"),
]


def test_changes_stand_under_their_agents_in_the_future_tense() -> None:
    assert shown(HIRED[0], *REPLACED, HIRED[1]) == [
        "dev-a",
        "  ± container: replace",
        "      cpus: 2 → 4",
        "dev-b",
        "  + bot user: create",
        "  + container: create",
        "2 to create, 1 to replace.",
    ]


def test_a_summary_has_a_line_an_agent() -> None:
    assert shown(*HIRED, *REPLACED, brief=True) == [
        "dev-a: 1 to replace",
        "dev-b: 2 to create",
        "2 to create, 1 to replace.",
    ]


def test_without_changes_there_is_nothing_to_do() -> None:
    assert shown() == ["Nothing to do."]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (2.0, 4.0, "2 → 4"),
        (0.5, 1.0, "0.5 → 1"),
        ("a", "b", "a → b"),
        (True, False, "true → false"),
        (None, "x", "none → x"),
        (["A=1", "B=2"], ["A=1", "B=3", "C=4"], "B=2 → B=3, C=4"),
        ([], ["dev"], "none → dev"),
        ("[secret]", "[secret]", "(secret) → (secret)"),
        ({SECRET: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:a"}, "x", "(secret) → x"),
        (
            [{"__defaults": [], "label": "hash", "value": "1"}],
            [{"__defaults": [], "label": "hash", "value": "2"}],
            "hash=1 → hash=2",
        ),
        ("x", "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "x → (known after the update)"),
        (f"k={TOKEN}", "sk-ant-api03-abcdef", "k=… → …"),
        ("a" * 70, "b\x1b[2J", f"{'a' * 59}… → b"),
    ],
)
def test_an_input_shows_its_old_and_its_new_value_without_secrets(
    old: object, new: object, words: str
) -> None:
    assert (
        shown(event("update", CONTAINER, "dev-a", field=(old, new)))[2] == f"      field: {words}"
    )


def test_programs_get_the_values_too_and_no_secret() -> None:
    [change] = seen(event("update", CONTAINER, "dev-a", envs=([f"T={TOKEN}"], ["T=b"]))).all
    report = json.dumps(change.report())
    assert change.report()["values"] == {"envs": {"old": "T=…", "new": "T=b"}}
    assert TOKEN not in report


def test_an_input_whose_values_are_not_shown_is_named() -> None:
    told = event("update", CONTAINER, "dev-a", envs=("x", "x"))
    assert shown(told)[2] == "      envs"


def test_a_preview_is_brief_where_the_screen_is() -> None:
    screen = Screen()
    screen.brief = True
    with screen.console.capture() as printed:
        screen.plan(seen(*HIRED))
    assert printed.get().splitlines() == ["dev-b: 2 to create", "2 to create."]
