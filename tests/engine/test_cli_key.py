"""`muster key`, as a person types it."""

import json

import docker
from asking import process_arguments
from model_server import Model
from workplace import Workplace

KEY = "sk-llama-0123456789"
FILE = "/run/secrets/muster/anthropic_api_key"


def test_a_key_is_tested_inside_stored_encrypted_delivered_and_removed(
    workplace: Workplace, docker_client: docker.DockerClient
) -> None:
    model = Model(docker_client)
    section = workplace.agent("dev-qwen", base_url=f"{model.url}/v1", context_window=65536)
    workplace.roster(section)
    workplace.up()

    with model.serving(key=KEY), process_arguments() as arguments:
        refused = workplace.muster("key", "dev-qwen", stdin="sk-wrong\n", expect=1)
        assert "refused the key (HTTP 401): nothing was changed" in refused
        assert workplace.preview() == {}
        printed = workplace.muster("key", "dev-qwen", stdin=f"{KEY}\n")
    assert "it was accepted there" in printed
    assert not any(KEY in line for line in [*arguments, printed])
    printed = workplace.muster("up", "--yes")
    assert _key(workplace) == KEY
    settings = workplace.folder / "stacks" / f"Pulumi.{workplace.name}.yaml"
    seen = [printed, json.dumps(workplace.inspected()), settings.read_text()]
    assert not any(KEY in text for text in seen)
    assert workplace.preview() == {}

    workplace.muster("key", "dev-qwen", "--remove")
    workplace.muster("up", "--yes")
    assert _key(workplace) == "sk-no-key-required"


def _key(place: Workplace) -> str:
    read = place.container("dev-qwen").exec_run(["cat", FILE], user="1000")
    return str(read.output.decode())
