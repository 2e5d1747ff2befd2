"""The health check: waiting is healthy, a refused token or no sign of life is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from runtime import health, state
from runtime.health import PATIENCE, complaint
from runtime.state import Reporter
from workshop import TOKEN


def record(age: float = 0.0, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    time = (datetime.now(UTC) - timedelta(seconds=age)).isoformat(timespec="milliseconds")
    return {"time": time, "waiting_for": None, "error": None, "cycle": 1} | changes


@pytest.mark.parametrize(
    "waiting_for",
    [None, "endpoint", "queue", "forge", "disk", "sandbox", "window", "budget"],
)
def test_an_agent_is_healthy_whatever_it_waits_for(waiting_for: str | None) -> None:
    assert complaint(record(waiting_for=waiting_for, error={"forge": "down"})) is None


def test_a_refused_token_is_not_healthy() -> None:
    refused = record(waiting_for="token", error={"forge": "the forge refuses the token: 401"})

    assert complaint(refused) == "the forge refuses the token: 401"
    assert complaint(record(waiting_for="token")) == "the forge refuses the token"


def test_an_agent_without_a_sign_of_life_is_not_healthy() -> None:
    assert complaint(record(age=PATIENCE - 5)) is None
    assert complaint(record(age=PATIENCE + 5)) == f"no sign of life for {PATIENCE + 5} s"


def test_a_sign_of_life_from_the_future_is_none() -> None:
    """The machine's clock was put back: the agent may be gone."""
    assert complaint(record(age=-PATIENCE - 5)) == f"no sign of life for {PATIENCE + 5} s"


@pytest.fixture
def reporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reporter:
    monkeypatch.setattr(state, "DATA", tmp_path)
    return Reporter("dev-qwen", tmp_path, lambda: [TOKEN], lambda _: None)


@pytest.mark.usefixtures("reporter")
def test_a_container_without_a_state_is_not_healthy_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health.main() == 1
    assert capsys.readouterr().out == "no state yet\n"
    assert not (tmp_path / state.CHECKED).exists()


def test_a_container_is_healthy_from_its_first_cycle_on(
    reporter: Reporter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter.clear()
    assert health.main() == 1
    assert capsys.readouterr().out == "no cycle yet\n"
    assert not (tmp_path / state.CHECKED).exists()

    reporter.enter("idle", "Nothing to do.", cycle=1)
    assert health.main() == 0
    assert capsys.readouterr().out == "healthy\n"
    assert (tmp_path / state.CHECKED).exists()


def test_the_reason_is_printed_in_one_line(
    reporter: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "the forge refuses the token: 401"
    reporter.enter("waiting", text, waiting_for="token", error={"forge": text}, cycle=1)

    assert health.main() == 1
    assert capsys.readouterr().out == f"{text}\n"
