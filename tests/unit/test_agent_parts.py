"""What the agent image takes from PyPI: the versions that were tested, by their hashes."""

import re
from pathlib import Path

import pytest

from toolchain import agent_parts, docker_engine, images, stamps, versions
from toolchain.agent_parts import LOCKS
from toolchain.steps import SetupError

PINS = {name: (LOCKS / name).read_text() for name in ("requirements.txt", "claude.txt")}
SHARED = ["aiohttp", "landlockpy", "pyseccomp", "requests", "tenacity"]
"""What the runtime imports in the image, and in tests and type checks on this machine."""


def requirements(text: str) -> list[str]:
    """Return the requirements of a pip file, each with its continued lines."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [each for each in "\n".join(lines).replace("\\\n", " ").splitlines() if each.strip()]


@pytest.mark.parametrize("package", SHARED)
def test_the_runtime_is_tested_with_the_versions_of_the_image(package: str) -> None:
    pinned = re.search(rf"^{package}==(\S+)", PINS["requirements.txt"], re.MULTILINE)

    assert pinned is not None
    assert pinned[1] == versions.requirement(package)


@pytest.mark.parametrize("file", PINS)
def test_all_that_goes_into_the_image_is_pinned_by_version_and_hash(file: str) -> None:
    found = requirements(PINS[file])

    assert found
    for each in found:
        assert re.fullmatch(r"[\w.-]+==[\w.]+(\s+--hash=sha256:[0-9a-f]{64})+\s*", each), each


def test_claude_code_is_one_wheel_with_a_hash_for_each_processor() -> None:
    [claude] = requirements(PINS["claude.txt"])

    assert claude.startswith("claude-agent-sdk==")
    assert claude.count("--hash=") == 2


def test_an_engine_on_another_processor_is_refused_with_what_to_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_parts, "ask", lambda *_: "riscv64")

    with pytest.raises(SetupError, match="not available for riscv64: use an engine on"):
        agent_parts.make()


def test_a_second_checkout_fetches_claude_code_though_the_image_exists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tests run Claude Code outside the image too."""
    monkeypatch.setattr(docker_engine, "answers", lambda: True)
    monkeypatch.setattr(images, "_stands_for", lambda *_: True)
    monkeypatch.setattr(agent_parts, "ask", lambda *_: "amd64")
    monkeypatch.setattr(agent_parts, "BUILD", tmp_path / "build")
    monkeypatch.setattr(stamps, "STAMPS", tmp_path / "stamps")

    assert [step.run for step in images.plan()] == [agent_parts.make]

    for part in agent_parts._parts():  # noqa: SLF001
        (tmp_path / "build" / part.name).mkdir(parents=True)
        stamps.write(part.name, part.stamp(agent_parts._platforms()))  # noqa: SLF001
    assert images.plan() == []
