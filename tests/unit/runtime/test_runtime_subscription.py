"""Claude Code at the Anthropic API with the token of a Claude subscription.

With `--bare` Claude Code reads no such token itself. It gets the key of its session's gateway, and
the gateway sends the token, as the API expects it.
"""

import json
import subprocess
import tempfile
from pathlib import Path

from messages_api import Exchange, end, event, serving, text
from runtime.gateway import Gateway, Upstream
from runtime.session import SWITCHES
from test_runtime_jail import PATH

from toolchain.agent_parts import CLAUDE

TOKEN = "sk-ant-oat01-0123456789"
BETA = "oauth-2025-04-20"
STREAM = (
    event(
        "message_start",
        message={
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-new-1",
            "content": [],
            "usage": {"input_tokens": 10, "output_tokens": 1},
        },
    ),
    event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    text("hello"),
    event("content_block_stop", index=0),
    end(output_tokens=5),
)


def anthropic(exchange: Exchange) -> None:
    """Stand in for the Anthropic API: it takes the token as Bearer, with its beta, alone."""
    headers = exchange.headers
    betas = (headers["anthropic-beta"] or "").split(",")
    is_right = headers.get_all("Authorization") == [f"Bearer {TOKEN}"] and BETA in betas
    if not is_right or headers["x-api-key"]:
        exchange.answer(401, {"error": {"type": "authentication_error", "message": "invalid"}})
    else:
        exchange.stream(*STREAM)


def test_claude_code_works_with_a_subscriptions_token_that_it_never_sees(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(anthropic) as server:
        upstream = Upstream(server.url, lambda: TOKEN, anthropic=True)
        with Gateway(upstream, tokens=None, socket=Path(folder, "socket")) as gateway:
            variables = {
                **SWITCHES,
                "ANTHROPIC_API_KEY": gateway.key,
                "ANTHROPIC_BASE_URL": "http://gateway.invalid",
                "ANTHROPIC_UNIX_SOCKET": str(gateway.socket),
                "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
                "HOME": str(tmp_path),
                "PATH": PATH,
            }
            done = subprocess.run(
                [CLAUDE / "claude", "--print", "--bare", "--output-format", "json"],
                cwd=tmp_path,
                env=variables,
                input="Say hello.",
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
    result = json.loads(done.stdout)
    assert (result["is_error"], result["result"]) == (False, "hello")
    assert gateway.failure is None
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and TOKEN in path.read_text()
    ]
