"""Plans that `muster preview --save` writes, and when `muster up --plan` refuses one."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from muster.cli import saved_plan
from muster.cli.changes import Changes
from muster.cli.saved_plan import SavedPlan
from muster.errors import MusterError

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

ROSTER = 'name = "acme"\n'
STATE: dict[str, Any] = {"resources": [{"urn": "urn:pulumi:acme::a", "outputs": {"n": 1}}]}
PLAN = SavedPlan("acme", saved_plan.digest(ROSTER), saved_plan.state_digest(STATE), {"steps": []})


def test_a_plan_is_read_as_it_was_written_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "acme.plan"
    PLAN.write(path)
    assert saved_plan.read(path) == PLAN
    assert path.stat().st_mode & 0o777 == 0o600
    PLAN.expect("acme", ROSTER, {**STATE, "manifest": {"time": "later"}})


@pytest.mark.parametrize(
    ("stack", "roster", "state", "reason"),
    [
        ("other", ROSTER, STATE, "it is for stack acme"),
        ("acme", f"{ROSTER}# more\n", STATE, "the roster was changed since"),
        ("acme", ROSTER, {"resources": []}, "the stack was updated since"),
    ],
)
def test_a_plan_of_something_else_is_refused(
    stack: str, roster: str, state: dict[str, Any], reason: str
) -> None:
    with pytest.raises(MusterError, match=f"{reason}. Nothing was changed"):
        PLAN.expect(stack, roster, state)


@pytest.mark.parametrize("content", ["", "[]", '{"stack": "acme"}', json.dumps({"steps": {}})])
def test_what_is_not_a_plan_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "acme.plan"
    path.write_text(content)
    with pytest.raises(MusterError, match="is not a plan of muster preview --save"):
        saved_plan.read(path)
    with pytest.raises(MusterError, match="No such file"):
        saved_plan.read(tmp_path / "gone")


def test_what_a_plan_did_not_foresee_is_reported_without_values() -> None:
    changes = Changes()
    urn = "urn:pulumi:acme::muster::forgejo:AccessToken::dev-qwen"
    text = f"<{{%reset%}}>resource {urn} violates plan: properties changed: ~~secret[one!=two]"
    diagnostic = SimpleNamespace(severity="error", ephemeral=False, message=text, urn=urn)
    event = SimpleNamespace(
        resource_pre_event=None,
        res_outputs_event=None,
        res_op_failed_event=None,
        diagnostic_event=diagnostic,
    )
    changes(cast("EngineEvent", event))
    assert changes.errors == [
        "dev-qwen: the update would change this in another way than the plan says"
    ]
