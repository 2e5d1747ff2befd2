"""Secrets stay out of everything that is printed, listed or kept in plain text."""

import json

from asking import process_arguments
from workplace import Workplace

KEY = "sk-ant-only-for-this-test-0123456789"


def test_no_secret_in_state_output_docker_inspect_or_process_arguments(
    workplace: Workplace,
) -> None:
    workplace.environment["ANTHROPIC_API_KEY"] = KEY
    crew = workplace.agent("dev-qwen") + workplace.agent("dev-claude", base_url="", model="")
    rotated = workplace.agent("dev-qwen", rotation=2)
    printed = []
    secrets = {KEY}
    with process_arguments() as seen:
        for agents in (crew, crew, rotated):
            workplace.roster(agents)
            printed.append(workplace.pulumi("preview", "--diff"))
            printed.append(workplace.up("--diff"))
            secrets |= {workplace.token("dev-qwen"), workplace.password("dev-qwen")}
            printed.append(workplace.pulumi("stack", "export"))
            printed.append(json.dumps(workplace.outputs()))
            printed.append(json.dumps(workplace.inspected()))
        printed.append(workplace.pulumi("refresh", "--yes", "--diff"))
        printed.append(workplace.destroy("--diff"))
    keeper = workplace.server.administrator
    secrets |= {str(keeper.password), str(keeper.pat)}
    printed += seen
    printed += [
        file.read_text(errors="replace")
        for file in (workplace.folder / "state").rglob("*")
        if file.is_file() and file.suffix != ".gz"
    ]

    assert len(secrets) == 7
    assert [secret for secret in secrets if any(secret in text for text in printed)] == []
