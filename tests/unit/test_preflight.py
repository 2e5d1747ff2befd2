"""What is asked of a forge before the first change, and what is told of its answers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Request, Server, serving

from muster import preflight
from muster.accounts import mark_of
from muster.forge import Administrator
from muster.preflight import MANY_USERS, PreflightError
from muster.roster import load

PAT = "0123456789abcdef0123456789abcdef01234567"
QWEN = '[agents.dev-qwen]\nbase_url = "http://10.0.0.5:8081"\nmodel = "qwen"\n'


class World:
    """A forge whose administrator has a PAT that mints nothing, as on strict ones.

    Attributes:
        users: the accounts of people and bots, by name: their marks.
        organizations: the names of organizations.
    """

    def __init__(self) -> None:
        self.users = {"root": ""}
        self.organizations: list[str] = []

    def __call__(self, request: Request) -> Answer:
        below = request.path.removeprefix("/api/v1")
        answers: dict[str, Callable[[], Answer]] = {
            "/user": lambda: Answer(json=_told("root", "", is_admin=True)),
            "/admin/users": lambda: _page(request, [_told(*one) for one in self.users.items()]),
            "/admin/orgs": lambda: _page(request, [{"name": one} for one in self.organizations]),
            "/repos/acme/demo": lambda: Answer(json=REPOSITORY),
        }
        if request.method == "GET" and below in answers:
            return answers[below]()
        if request.method == "GET" and below.startswith("/users/"):
            return self._account(below.removeprefix("/users/"))
        return Answer(401 if "/tokens" in below else 404, {"message": "not found"})

    def _account(self, name: str) -> Answer:
        """Answer as forges do, to which an organization is an account like others."""
        known = {**self.users, **dict.fromkeys(self.organizations, "")}
        found = next((one for one in known if one.lower() == name.lower()), None)
        if found is None:
            return Answer(404, {"message": "not found"})
        return Answer(json=_told(found, known[found]))


REPOSITORY = {
    "id": 1,
    "full_name": "acme/demo",
    "default_branch": "main",
    "private": True,
    "archived": False,
    "empty": False,
}


def _told(name: str, mark: str, **more: object) -> dict[str, Any]:
    born = "2026-01-02T04:04:05+01:00"
    return {"id": 7, "login": name, "login_name": mark, "created": born, **more}


def _page(request: Request, everything: list[dict[str, Any]]) -> Answer:
    page, limit = (int(request.query[key][0]) for key in ("page", "limit"))
    listed = everything[(page - 1) * limit : page * limit]
    return Answer(json=listed, headers={"X-Total-Count": str(len(everything))})


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with serving(world) as started:
        yield started


def told(server: Server, folder: Path, agents: str = QWEN) -> list[str]:
    """Return what is told of the forge, where no Docker engine is asked."""
    path = folder / "live.toml"
    path.write_text(
        f'name = "demo"\nrepo = "acme/demo"\nforge_url = "{server.url}"\n'
        f'[muster]\ndocker_host = "unix:///nowhere/docker.sock"\n{agents}'
    )
    with pytest.raises(PreflightError) as error:
        preflight.inspect(
            load(path),
            "live",
            forge_url=server.url,
            administrator=Administrator("root", "Admin-Pass-1", PAT),
            anthropic_api_key=None,
        )
    engine, *others = error.value.problems
    assert engine.startswith("Docker is unreachable")
    return [one.removeprefix(f"{path}:") for one in others]


def test_a_forge_is_asked_for_each_right_once(server: Server, tmp_path: Path) -> None:
    """Whoever may set a bot user's password can mint by it: that need not be asked for."""
    assert told(server, tmp_path) == []
    assert server.asked() == [
        ("GET", "/api/v1/user"),
        ("PATCH", "/api/v1/admin/users/-"),
        ("DELETE", "/api/v1/repos/acme/demo/collaborators/-"),
        ("GET", "/api/v1/repos/acme/demo"),
        ("GET", "/api/v1/admin/users"),
        ("GET", "/api/v1/admin/orgs"),
    ]


@pytest.mark.parametrize("others", [0, MANY_USERS - 2, MANY_USERS - 1, MANY_USERS + 100])
def test_a_taken_name_is_refused_however_many_accounts_a_forge_has(
    world: World, server: Server, tmp_path: Path, others: int
) -> None:
    world.users |= {f"somebody-{number}": "" for number in range(others)}
    world.users["Dev-Qwen"] = ""
    taken = 'agent "dev-qwen", forge_user: user Dev-Qwen exists and Muster did not make it'
    (problem,) = told(server, tmp_path)
    assert problem.startswith(f"6: {taken}")


def test_a_large_forge_is_asked_for_bot_users_by_name(
    world: World, server: Server, tmp_path: Path
) -> None:
    world.users |= {f"somebody-{number}": "" for number in range(2 * MANY_USERS)}
    assert told(server, tmp_path, QWEN + QWEN.replace("dev-qwen", "review-qwen")) == []
    asked = [path.removeprefix("/api/v1") for _, path in server.asked()]
    by_name = ["/users/dev-qwen", "/users/review-qwen"]
    assert asked[4:] == [*10 * ["/admin/users"], *by_name, "/admin/orgs"]


@pytest.mark.parametrize("others", [0, MANY_USERS])
@pytest.mark.parametrize("adopt", ["false", "true"])
def test_an_organizations_name_is_refused_even_for_adoption(
    world: World, server: Server, tmp_path: Path, others: int, adopt: str
) -> None:
    world.users |= {f"somebody-{number}": "" for number in range(others)}
    world.users["dev-qwens-former-name"] = mark_of("live", "demo", "dev-qwen")
    world.organizations = [*(f"team-{number}" for number in range(60)), "Dev-Qwen"]
    (problem,) = told(server, tmp_path, f"{QWEN}adopt = {adopt}\n")
    where, _, reason = problem.partition("forge_user: ")
    assert where == '6: agent "dev-qwen", '
    assert reason == "dev-qwen is an organization of the forge: choose another forge_user"


def test_organizations_are_not_asked_for_once_a_crew_is_hired(
    world: World, server: Server, tmp_path: Path
) -> None:
    world.users["dev-qwen"] = mark_of("live", "demo", "dev-qwen")
    assert told(server, tmp_path) == []
    assert ("GET", "/api/v1/admin/orgs") not in server.asked()
