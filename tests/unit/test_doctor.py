"""The doctor's parts that need no engine, forge or Docker."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, serving
from strict_forge import StrictForge

from muster.doctor import engine, findings, forge, hired, mends
from muster.doctor.findings import Finding, Found, NotAskedError, examine, well, wrong
from muster.doctor.subject import Subject
from muster.errors import MusterError


def asked(check: Callable[[], Iterator[Finding]], *, fix: bool = False) -> list[dict[str, Any]]:
    return [each.report() for each in examine("a", check, fix=fix, again="muster doctor")]


def test_a_check_whose_ground_is_missing_is_not_asked_and_does_not_fail() -> None:
    ground: Found[str] = Found("Docker is unreachable")

    def check() -> Iterator[Finding]:
        yield well(ground.get())

    [line] = findings_of = list(examine("a", check, fix=False, again=""))
    assert (line.ok, line.message) == (None, "not asked: Docker is unreachable")
    assert findings.exit_code(findings_of) == 0
    ground.put("it answers")
    assert [each["message"] for each in asked(check)] == ["it answers"]


def test_a_check_that_fails_itself_is_told_with_what_it_found_before() -> None:
    def check() -> Iterator[Finding]:
        yield well("first")
        raise MusterError("the forge went away")

    assert asked(check) == [
        {"name": "a", "ok": True, "warning": False, "message": "first", "mend": ""},
        {
            "name": "a",
            "ok": False,
            "warning": False,
            "message": "the forge went away",
            "mend": "muster doctor",
        },
    ]


def test_what_is_safe_is_mended_only_when_asked_and_before_the_next_look() -> None:
    there = ["stray"]

    def check() -> Iterator[Finding]:
        yield wrong("a stray", "muster doctor --fix", there.clear)
        yield well(f"{len(there)} left")

    assert [line["ok"] for line in asked(check)] == [False, True]
    assert there == ["stray"]
    assert [line["message"] for line in asked(check, fix=True)] == ["mended: a stray", "0 left"]


def test_a_mend_that_fails_stays_a_problem() -> None:
    def refuse() -> None:
        raise MusterError("403 no")

    [line] = asked(lambda: iter([wrong("a stray", "muster doctor --fix", refuse)]), fix=True)
    assert line["ok"] is False
    assert line["message"] == "a stray. Mending it failed: 403 no"


def resource(kind: str, name: str, *, old: bool = False, **outputs: object) -> dict[str, Any]:
    urn = f"urn:pulumi:acme::muster::muster:index:Agent${kind}::{name}"
    return {"urn": urn, "type": kind, "delete": old, "outputs": outputs}


def test_the_old_token_of_an_unfinished_rotation_is_known_and_not_in_service() -> None:
    secret = {"plaintext": json.dumps("new-secret")}
    resources = [
        resource("muster:index:Agent", "dev-qwen"),
        resource("pulumi-python:dynamic/forgejo:BotUser", "dev-qwen", user="qwen"),
        resource("pulumi-python:dynamic/forgejo:AccessToken", "dev-qwen", token_id=8, token=secret),
        resource(
            "pulumi-python:dynamic/forgejo:AccessToken",
            "dev-qwen",
            old=True,
            token_id=7,
            token={"plaintext": json.dumps("old-secret")},
        ),
    ]
    begun = {"resource": resource("docker:index/container:Container", "dev-qwen")}

    state = hired.read({"resources": resources, "pending_operations": [begun]})

    found = state.hired["dev-qwen"]
    assert (found.user, found.token, found.password) == ("qwen", "new-secret", None)
    assert found.token_id == 8
    assert found.replaced == {7}
    assert state.agents == {"dev-qwen"}
    assert state.unfinished == ("dev-qwen",)
    assert "secret" not in repr(state)


def test_a_stack_without_a_state_has_hired_nobody() -> None:
    assert hired.read({}) == hired.State({}, frozenset(), ())


def test_commands_name_the_stack_that_was_named_and_files_as_seen_from_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert mends.Muster(None)("up") == "muster up"
    assert mends.Muster("a b")("doctor", "--fix") == "muster doctor --fix --stack 'a b'"
    assert mends.edit(tmp_path / "stacks" / "a.toml", 7) == "${EDITOR:-vi} +7 stacks/a.toml"
    assert mends.edit(Path("/elsewhere/a b.toml")) == "${EDITOR:-vi} '/elsewhere/a b.toml'"


@pytest.mark.parametrize(("off", "verdict"), [(0, True), (57, True), (-65, False), (65, False)])
def test_clocks_that_differ_by_a_minute_are_told_and_which_is_ahead(
    off: int,
    verdict: bool,  # noqa: FBT001
) -> None:
    subject = Subject({}, mends.Muster(None))
    with (
        serving(lambda _: Answer(json={"version": "1"})) as server,
        StrictForge(server.url, ahead=off) as proxy,
    ):
        subject.forge_url.put(proxy.url)
        subject.clock_ahead.put(float(off))
        found = list(forge.clocks(subject))
    assert [each.ok for each in found] == [verdict, verdict]
    where = "ahead of" if off > 0 else "behind"
    assert verdict or all(where in each.message for each in found)


def test_a_forge_that_wants_everybody_to_sign_in_answers_and_shows_its_clock(
    tmp_path: Path,
) -> None:
    """`REQUIRE_SIGNIN_VIEW`: every anonymous call is 403."""
    subject = Subject({}, mends.Muster(None))
    refusal = Answer(403, {"message": "Only signed in user is allowed to call APIs."})
    with serving(lambda _: refusal) as server:
        roster = tmp_path / "acme.toml"
        roster.write_text(f'name = "acme"\nrepo = "acme/site"\nforge_url = "{server.url}"\n')
        subject.roster_path.put(roster)
        subject.clock_ahead.put(0.0)
        found = [*forge.answers(subject), *forge.clocks(subject)]
    assert [each.ok for each in found] == [True, True, True]


def test_the_containers_clock_is_asked_where_the_forge_cannot_be() -> None:
    subject = Subject({}, mends.Muster(None))
    subject.clock_ahead.put(0.0)
    assert [each.ok for each in forge.clocks(subject)] == [None, True]


def test_a_broken_roster_still_tells_docker_and_forge(tmp_path: Path) -> None:
    subject = Subject({}, mends.Muster(None))
    assert (subject.docker_host, subject.written_forge_url) == (None, None)
    roster = tmp_path / "acme.toml"
    subject.roster_path.put(roster)
    roster.write_text(
        'nme = "acme"\nrepo = "acme/site"\nforge_url = "http://forge"\n'
        '[muster]\ndocker_host = "unix:///run/docker.sock"\n'
    )
    assert subject.docker_host == "unix:///run/docker.sock"
    assert subject.written_forge_url == "http://forge"
    assert subject.written_repo == "acme/site"
    roster.write_text('[muster]\ndocker_host = "host"\n')
    with pytest.raises(NotAskedError):
        _ = subject.docker_host


@pytest.mark.parametrize(
    ("variables", "mend"),
    [
        ({"DOCKER_HOST": "unix:///nowhere/docker.sock"}, "unset DOCKER_HOST"),
        ({"DOCKER_CONTEXT": "gone"}, "unset DOCKER_CONTEXT"),
        ({}, "docker context use default"),
    ],
)
def test_an_engine_that_does_not_answer_is_left_by_what_named_it(
    tmp_path: Path, variables: dict[str, str], mend: str
) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "also-gone"}')
    subject = Subject({**variables, "DOCKER_CONFIG": str(tmp_path)}, mends.Muster(None))
    (found,) = engine.answers(subject)
    assert (found.ok, found.mend) == (False, mend)
