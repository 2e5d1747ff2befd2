"""What the doctor finds of the crew's accounts."""

from types import SimpleNamespace
from typing import Any

import pytest
from scripted_server import Answer, Request, serving

from muster.doctor.crew import _obstacles
from muster.doctor.hired import Hired
from muster.forge import Basic, Forge, Token

OURS = "Set-By-Muster.0123456789"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
BOT: dict[str, Any] = {"id": 3, "login": "dev-qwen", "created": "2026-01-02T04:04:05+01:00"}


@pytest.mark.parametrize("takes_ours", [True, False])
def test_a_password_that_somebody_set_by_hand_is_found(takes_ours: bool) -> None:  # noqa: FBT001
    taken = [Token(TOKEN).header, Basic("dev-qwen", OURS).header][: 1 + takes_ours]

    def forge(request: Request) -> Answer:
        auth = request.headers["Authorization"]
        if auth is None:
            return Answer(401, {"message": "token is required"})
        if auth not in taken:
            return Answer(401, {"message": "invalid username, password or token"})
        if request.path.endswith("/permission"):
            return Answer(json={"permission": "write"})
        return Answer(json=BOT)

    agent: Any = SimpleNamespace(permission="write")
    roster: Any = SimpleNamespace(repositories_of=lambda _: ["acme/demo"])
    with serving(forge) as server:
        asker = Forge(server.url, Token(TOKEN))
        found = _obstacles(asker, roster, agent, Hired("dev-qwen", TOKEN, OURS))
    assert bool(found) != takes_ours
    assert all(
        "does not take the password that Muster set for bot user dev-qwen" in one for one in found
    )
