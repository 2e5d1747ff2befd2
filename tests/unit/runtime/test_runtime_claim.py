"""Claims: of agents that want the same issue one gets it, at a real bare repository."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from runtime.claim import LEASE, PREFIX, Claim, Claims
from runtime.git import GitError
from workshop import bare, git, mirror

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Clock:
    """What time it is."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """The project's repository at the forge."""
    return bare(tmp_path / "origin", {"README.md": "hello"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


def claims(origin: Path, agent: str, clock: Clock) -> Claims:
    return Claims(mirror(origin.parent / f"mirror-{agent}", origin), agent, clock)


def taken(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def test_a_claim_says_who_works_on_an_issue_and_until_when(origin: Path, clock: Clock) -> None:
    claims(origin, "one", clock).take(12, None)

    [claim] = claims(origin, "two", clock).all().values()

    assert (claim.number, claim.agent, claim.state, claim.attempt) == (12, "one", "working", 1)
    assert datetime.fromisoformat(claim.since) == NOON
    assert datetime.fromisoformat(claim.until or "") == NOON + LEASE
    assert claim.commit == git(origin, "rev-parse", f"{PREFIX}12").strip()


def test_a_claim_adds_nothing_to_the_repositorys_branches_and_files(
    origin: Path, clock: Clock
) -> None:
    claims(origin, "one", clock).take(12, None)

    refs = git(origin, "for-each-ref", "--format=%(refname)").split()
    assert refs == ["refs/heads/main", f"{PREFIX}12"]
    assert git(origin, "ls-tree", f"{PREFIX}12") == ""


def test_of_two_agents_that_claim_at_once_one_wins_each_time(origin: Path, clock: Clock) -> None:
    racers = [claims(origin, name, clock) for name in ("one", "two")]
    start = Barrier(2)

    def race(racer: Claims, number: int) -> Claim | None:
        start.wait(10)
        return racer.take(number, None)

    with ThreadPoolExecutor(2) as pool:
        for number in range(1, 9):
            results = [*pool.map(race, racers, [number, number])]
            [winner] = [result for result in results if result is not None]
            assert racers[0].all()[number] == winner


def test_of_two_agents_that_take_over_at_once_one_wins(origin: Path, clock: Clock) -> None:
    claims(origin, "gone", clock).take(12, None)
    clock.now += 2 * LEASE
    racers = [claims(origin, name, clock) for name in ("one", "two")]
    old = racers[0].all()[12]
    racers[1].all()
    start = Barrier(2)

    def race(racer: Claims) -> Claim | None:
        start.wait(10)
        return racer.take(12, old)

    with ThreadPoolExecutor(2) as pool:
        results = [*pool.map(race, racers)]

    assert sorted(result is None for result in results) == [False, True]


def test_a_claimed_issue_cannot_be_claimed_by_who_did_not_see_it(
    origin: Path, clock: Clock
) -> None:
    first = claims(origin, "one", clock).take(12, None)

    assert claims(origin, "two", clock).take(12, None) is None
    assert claims(origin, "two", clock).all()[12] == first


def test_a_renewed_claim_holds_longer(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    claim = taken(one.take(12, None))
    clock.now += timedelta(minutes=10)

    renewed = taken(one.update(claim))

    assert not renewed.is_free(NOON + LEASE + timedelta(minutes=9))
    assert renewed.is_free(NOON + LEASE + timedelta(minutes=11))
    assert renewed.since == claim.since


def test_a_claim_is_free_after_its_end_and_no_sooner(origin: Path, clock: Clock) -> None:
    claim = taken(claims(origin, "one", clock).take(12, None))

    assert not claim.is_free(NOON + LEASE)
    assert claim.is_free(NOON + LEASE + timedelta(seconds=1))


def test_the_claim_of_an_open_pull_request_has_no_end(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    claim = taken(one.update(taken(one.take(12, None)), state="pull", pull=13))

    assert claim.until is None
    assert not claim.is_free(NOON + timedelta(days=900))


def test_a_failed_attempt_leaves_the_issue_free(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    claim = taken(one.update(taken(one.take(12, None)), state="failed"))

    assert claim.is_free(NOON)
    assert claim.until is None


def test_who_takes_over_goes_on_where_the_issue_is_but_not_in_anothers_session(
    origin: Path, clock: Clock
) -> None:
    one = claims(origin, "one", clock)
    old = taken(
        one.update(
            taken(one.take(12, None)),
            branch="muster/issue-12",
            pull=13,
            session="s1",
            rounds=2,
            seen="2026",
            comment=7,
        )
    )

    other = taken(claims(origin, "two", clock).take(12, old))

    assert (other.branch, other.pull, other.rounds, other.seen) == (
        *("muster/issue-12", 13, 2),
        "2026",
    )
    assert (other.session, other.comment) == (None, None)


def test_the_same_agent_goes_on_in_its_session(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    old = taken(one.update(taken(one.take(12, None)), session="s1", comment=7))

    again = taken(one.take(12, old, counts=False))

    assert (again.session, again.comment, again.attempt) == ("s1", 7, 1)


def test_who_was_taken_over_can_neither_change_nor_release(origin: Path, clock: Clock) -> None:
    one, two = claims(origin, "one", clock), claims(origin, "two", clock)
    mine = taken(one.take(12, None))
    clock.now += 2 * LEASE
    theirs = taken(two.take(12, two.all()[12]))

    assert one.update(mine) is None
    assert one.release(mine) is False
    assert one.all()[12] == theirs


def test_a_released_issue_has_no_claim(origin: Path, clock: Clock) -> None:
    one, two = claims(origin, "one", clock), claims(origin, "two", clock)
    claim = taken(one.take(12, None))
    two.all()

    assert one.release(claim) is True
    assert two.all() == {}
    assert two.take(12, None) is not None


def test_attempts_are_counted_and_begin_again_after_the_third(origin: Path, clock: Clock) -> None:
    agents = [claims(origin, name, clock) for name in ("one", "two")]
    counted = []
    old = None
    for attempt in range(5):
        agent = agents[attempt % 2]
        claim = taken(agent.take(12, old))
        counted.append(claim.attempt)
        old = taken(agent.update(claim, state="failed"))

    assert counted == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_an_interruption_counts_no_attempt(attempt: int, origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    old = taken(one.update(taken(one.take(12, None)), attempt=attempt))

    assert taken(one.take(12, old, counts=False)).attempt == max(1, attempt)


def test_an_interruption_of_the_third_attempt_is_still_the_third(
    origin: Path, clock: Clock
) -> None:
    one = claims(origin, "one", clock)
    old = taken(one.update(taken(one.take(12, None)), attempt=3))

    assert taken(one.take(12, old, counts=False)).attempt == 3


def test_a_forge_that_refuses_a_claim_is_no_lost_race(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    hook = origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho archived >&2; exit 1\n")
    hook.chmod(0o755)

    with pytest.raises(GitError, match="the forge refuses the claim"):
        one.take(12, None)


GOOD = {
    "agent": "one",
    "attempt": 1,
    "number": 12,
    "since": NOON.isoformat(),
    "state": "working",
    "until": (NOON + LEASE).isoformat(),
}


def put(origin: Path, number: int, message: str) -> None:
    tree = git(origin, "hash-object", "-t", "tree", "-w", "--stdin").strip()
    commit = git(origin, "commit-tree", tree, stdin=message).strip()
    git(origin, "update-ref", f"{PREFIX}{number}", commit)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "hello\n\nthere\x01refs/muster/claims/13",
        json.dumps(GOOD | {"until": "soon"}),
        json.dumps(GOOD | {"until": 5}),
        json.dumps(GOOD | {"until": "2026-11-25T12:00:00"}),
        json.dumps(GOOD | {"attempt": "many"}),
        json.dumps(GOOD | {"attempt": None}),
    ],
)
def test_a_claim_that_cannot_be_read_is_free_and_can_be_taken(
    message: str, origin: Path, clock: Clock
) -> None:
    put(origin, 12, message)
    one = claims(origin, "one", clock)

    [old] = one.all().values()

    assert old.is_free(NOON)
    assert taken(one.take(12, old)).attempt == 1
    assert not one.all()[12].is_free(NOON)


def test_a_claim_holds_whatever_another_claim_says(origin: Path, clock: Clock) -> None:
    put(origin, 12, json.dumps(GOOD))
    put(origin, 13, "\x01")

    assert not claims(origin, "two", clock).all()[12].is_free(NOON)


def test_a_claim_of_a_newer_runtime_holds(origin: Path, clock: Clock) -> None:
    put(origin, 12, json.dumps(GOOD | {"speed": "high"}))

    assert not claims(origin, "two", clock).all()[12].is_free(NOON)


def test_the_ref_says_which_issue_is_claimed_not_the_message(origin: Path, clock: Clock) -> None:
    put(origin, 14, json.dumps(GOOD | {"number": 12, "commit": "0" * 40}))

    [(number, claim)] = claims(origin, "one", clock).all().items()

    assert number == claim.number == 14
    assert claim.commit == git(origin, "rev-parse", f"{PREFIX}14").strip()


def test_other_refs_beside_the_claims_are_no_claims(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    claim = taken(one.take(12, None))
    git(origin, "update-ref", f"{PREFIX}twelve", claim.commit)
    git(origin, "update-ref", f"{PREFIX}12-of-others", claim.commit)

    assert one.all() == {12: claim}


def test_a_forge_that_does_not_answer_is_no_lost_race(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    claim = taken(one.take(12, None))
    origin.rename(origin.with_name("away"))

    for call in (one.all, lambda: one.take(13, None), lambda: one.release(claim)):
        with pytest.raises(GitError):
            call()


def test_a_change_whose_answer_was_lost_is_made_again(origin: Path, clock: Clock) -> None:
    one = claims(origin, "one", clock)
    before = taken(one.take(12, None))
    lost = taken(one.update(before, rounds=1))

    again = taken(one.update(before, rounds=2))

    assert again.rounds == 2
    assert again.commit == git(origin, "rev-parse", f"{PREFIX}12").strip() != lost.commit


def test_a_later_attempt_of_the_same_bot_user_is_not_taken_for_a_lost_answer(
    origin: Path, clock: Clock
) -> None:
    one = claims(origin, "one", clock)
    before = taken(one.take(12, None))
    clock.now += timedelta(minutes=1)
    taken(one.take(12, before))
    assert one.update(before) is None
