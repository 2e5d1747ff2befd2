"""What is asked of a forge before the first change, and what is told of its answers."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Request, Server, serving

from muster import preflight
from muster.accounts import full_name_of, mark_of
from muster.forge import REQUIRED_SECOND_FACTOR, SECOND_FACTOR, Administrator, Basic
from muster.keys import Keys
from muster.preflight import PreflightError
from muster.roster import load

PAT = "0123456789abcdef0123456789abcdef01234567"
ADMIN = Basic("root", "Admin-Pass-1")
QWEN = '[agents.dev-qwen]\nbase_url = "http://10.0.0.5:8081"\nmodel = "qwen"\n'


class World:
    """A forge whose administrator has a PAT that mints nothing, as on strict ones.

    Attributes:
        users: the accounts of people and bots, by name: their marks.
        organizations: the names of organizations.
        repository: the project's repository, as the forge tells it.
        branches: its branches.
        files: the files of its default branch.
        version: the forge's.
        takes_passwords: whether it takes names and passwords at its API.
        renamed: the new names of users by their old ones, from which it redirects.
        full_name: that of each account.
        shows: whether it shows the repository that its search finds.
    """

    def __init__(self) -> None:
        self.users = {"root": ""}
        self.organizations: list[str] = []
        self.repository = dict(REPOSITORY)
        self.branches = {"main"}
        self.files: set[str] = set()
        self.version = "15.0.3+gitea-1.22.0"
        self.takes_passwords = True
        self.renamed: dict[str, str] = {}
        self.full_name = ""
        self.shows = True

    def __call__(self, request: Request) -> Answer:
        below = request.path.removeprefix("/api/v1")
        refusal = self._refusal(request.headers["Authorization"])
        if refusal is not None:
            return Answer(401, {"message": refusal})
        answers: dict[str, Callable[[], Answer]] = {
            "/user": lambda: Answer(json=_told("root", "", is_admin=True)),
            "/admin/users": lambda: _page(
                request,
                [_told(*one, full_name=self.full_name) for one in self.users.items()],
            ),
            "/admin/orgs": lambda: _page(request, [{"name": one} for one in self.organizations]),
            "/version": lambda: Answer(json={"version": self.version}),
            "/repos/search": lambda: _page(request, [self.repository]),
            **({"/repos/acme/demo": lambda: Answer(json=self.repository)} if self.shows else {}),
            "/repos/acme/handbook": lambda: Answer(
                json=REPOSITORY | {"full_name": "acme/handbook"}
            ),
            **{
                f"/repos/acme/demo/contents/{file}": partial(Answer, json={"sha": "0" * 40})
                for file in self.files
            },
            **{
                f"/repos/acme/demo/branches/{name}": partial(Answer, json={"name": name})
                for name in self.branches
            },
        }
        if request.method == "GET" and below in answers:
            return answers[below]()
        if request.method == "GET" and below.startswith("/users/"):
            return self._account(below.removeprefix("/users/"))
        moved = self.repository["full_name"] != "acme/demo"
        if moved and request.method == "DELETE" and below.startswith("/repos/acme/demo/"):
            target = request.path.replace("acme/demo", str(self.repository["full_name"]))
            return Answer(301, headers={"Location": target})  # as Gitea 1.26
        return Answer(401 if "/tokens" in below else 404, {"message": "not found"})

    def _refusal(self, auth: str | None) -> str | None:
        if auth is None or (auth.startswith("Basic") and not self.takes_passwords):
            return "token is required"
        known = {f"token {PAT}", ADMIN.header}
        return None if auth in known else "user does not exist [uid: 0, name: -]"

    def _account(self, name: str) -> Answer:
        """Answer as forges do, to which an organization is an account like others."""
        if name in self.renamed:
            return Answer(307, headers={"Location": f"/api/v1/users/{self.renamed[name]}"})
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


def told(
    server: Server, folder: Path, agents: str = QWEN, given: Collection[str] = ()
) -> list[str]:
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
            keys=Keys(),
            given=given,
        )
    engine, *others = error.value.problems
    assert engine.startswith("Docker is unreachable")
    return [one.removeprefix(f"{path}:") for one in others]


def crew(size: int) -> str:
    return "".join(QWEN.replace("dev-qwen", f"dev-{number}") for number in range(size))


def test_a_forge_is_asked_for_each_right_once(world: World, server: Server, tmp_path: Path) -> None:
    """How tokens are minted is not asked for a crew that has its own."""
    world.users["dev-qwen"] = mark_of("live", "demo", "dev-qwen")
    assert told(server, tmp_path) == []
    assert server.asked() == [
        ("GET", "/api/v1/user"),
        ("PATCH", "/api/v1/admin/users/-"),
        ("DELETE", "/api/v1/repos/acme/demo/collaborators/-"),
        ("GET", "/api/v1/repos/acme/demo"),
        ("GET", "/api/v1/admin/users"),
    ]


@pytest.mark.parametrize("others", [0, 48, 49, 50, 600])
@pytest.mark.parametrize("agents", [QWEN, QWEN + crew(4)])
def test_a_taken_name_is_refused_however_many_accounts_a_forge_has(
    world: World, server: Server, tmp_path: Path, others: int, agents: str
) -> None:
    world.users |= {f"somebody-{number}": "" for number in range(others)}
    world.users["Dev-Qwen"] = ""
    taken = 'agent "dev-qwen", forge_user: user Dev-Qwen exists and Muster did not make it'
    (problem,) = told(server, tmp_path, agents)
    assert problem.startswith(f"6: {taken}")


@pytest.mark.parametrize("others", [0, 600])
def test_a_bot_user_that_was_renamed_is_named_and_an_earlier_one_is_not(
    world: World, server: Server, tmp_path: Path, others: int
) -> None:
    world.users |= {f"somebody-{number}": "" for number in range(others)}
    world.users["robot"] = mark_of("live", "demo", "dev-qwen")
    assert told(server, tmp_path) == []  # that was forge_user before
    world.renamed = {"dev-qwen": "robot"}
    (problem,) = told(server, tmp_path)
    assert "bot user dev-qwen was renamed to robot at the forge: write forge_user = " in problem


def test_a_project_of_another_name_is_reported_once(
    world: World, server: Server, tmp_path: Path
) -> None:
    world.users |= {f"dev-{one}": mark_of("live", "before", f"dev-{one}") for one in range(3)}
    (problem,) = told(server, tmp_path, crew(3))
    assert problem.startswith('1: name: the crew was hired with name = "before"')


def test_an_overwritten_mark_is_left_to_the_state_if_the_full_name_is_ours(
    world: World, server: Server, tmp_path: Path
) -> None:
    world.users["dev-qwen"] = "by-a-script"
    (problem,) = told(server, tmp_path)
    assert "Muster did not make it" in problem
    world.full_name = full_name_of("demo", "dev-qwen")
    assert told(server, tmp_path) == []


def test_a_renamed_repository_is_named(world: World, server: Server, tmp_path: Path) -> None:
    world.repository["full_name"] = "acme/new"
    (problem,) = told(server, tmp_path)
    assert problem.startswith("2: repo: acme/demo was renamed to acme/new at the forge: write acme")


@pytest.mark.parametrize(("others", "size", "calls"), [(600, 1, 2), (600, 5, 6), (0, 5, 1)])
def test_a_large_forge_is_not_listed_to_its_end(  # noqa: PLR0913, PLR0917 - fixtures and a table
    world: World, server: Server, tmp_path: Path, others: int, size: int, calls: int
) -> None:
    world.users |= {f"somebody-{number}": "" for number in range(others)}
    agents = [f"dev-{number}" for number in range(size)]
    world.users |= {agent: mark_of("live", "demo", agent) for agent in agents}
    assert told(server, tmp_path, crew(size)) == []
    assert len(server.asked()) - 4 == calls


@pytest.mark.parametrize("others", [0, 600])
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


@pytest.mark.parametrize(("others", "listed"), [(0, True), (600, False)])
def test_organizations_are_not_listed_where_names_are_asked_for(
    world: World, server: Server, tmp_path: Path, others: int, *, listed: bool
) -> None:
    world.users |= {f"somebody-{number}": "" for number in range(others)}
    assert told(server, tmp_path) == []
    assert (("GET", "/api/v1/admin/orgs") in server.asked()) is listed


def test_organizations_are_not_asked_for_once_a_crew_is_hired(
    world: World, server: Server, tmp_path: Path
) -> None:
    world.users["dev-qwen"] = mark_of("live", "demo", "dev-qwen")
    assert told(server, tmp_path) == []
    assert ("GET", "/api/v1/admin/orgs") not in server.asked()


@pytest.mark.parametrize(
    ("repository", "problem"),
    [
        (
            {"default_branch": "master"},
            (
                ' primary_branch: acme/demo has no branch main: write primary_branch = "master", '
                "its default branch, or create the branch"
            ),
        ),
        (
            {"archived": True},
            (
                "2: repo: acme/demo is archived, so the forge refuses every push: unarchive it, "
                "or correct repo"
            ),
        ),
        (
            {"empty": True},
            "2: repo: acme/demo is empty: push a first commit to its branch main",
        ),
    ],
)
def test_a_repository_that_takes_no_work_is_reported_before_any_change(
    world: World, server: Server, tmp_path: Path, repository: dict[str, object], problem: str
) -> None:
    world.repository |= repository
    world.branches = {"master"}
    assert told(server, tmp_path) == [problem]


def test_a_primary_branch_beside_the_default_one_is_fine(
    world: World, server: Server, tmp_path: Path
) -> None:
    world.repository["default_branch"] = "stable"
    assert told(server, tmp_path) == []


@pytest.mark.parametrize("version", ["7.0.16+gitea-1.21.11", "1.22.6"])
def test_a_name_that_this_forge_reserves_is_reported_before_any_change(
    world: World, server: Server, tmp_path: Path, version: str
) -> None:
    world.version = version
    (problem,) = told(server, tmp_path, QWEN.replace("dev-qwen", "debug"))
    assert problem == (
        f'6: agent "debug", forge_user: debug is reserved by the forge (version {version}): set '
        'forge_user to another name, such as "debug-bot"'
    )
    world.version = "1.26.0"
    assert told(server, tmp_path, QWEN.replace("dev-qwen", "debug")) == []


def test_a_new_agent_is_refused_where_nobody_can_mint_its_token(
    world: World, server: Server, tmp_path: Path
) -> None:
    """Otherwise an update would end half-way and leave its account."""
    world.takes_passwords = False
    world.users["dev-0"] = mark_of("live", "demo", "dev-0")
    (problem,) = told(server, tmp_path, crew(1) + QWEN)
    assert 'agent "dev-qwen", forge_user: forge http' in problem
    assert "ENABLE_BASIC_AUTHENTICATION = false" in problem
    assert "muster rotate dev-qwen --token-from-stdin" in problem
    assert told(server, tmp_path, crew(1) + QWEN, given=["dev-qwen"]) == []
    assert {method for method, _ in server.asked()} == {"GET", "PATCH", "DELETE"}


@pytest.mark.parametrize(
    ("role", "hint"),
    [
        ("revew", 'did you mean "review"?'),
        (
            "translator",
            "known are dev, review, gardener, architect, planner, predictor, supervisor.",
        ),
    ],
)
def test_a_role_without_a_formula_is_reported(
    server: Server, tmp_path: Path, role: str, hint: str
) -> None:
    (problem,) = told(server, tmp_path, f'{QWEN}roles = ["dev", "{role}"]\n')
    assert problem == (
        f'9: agent "dev-qwen", roles: the role "{role}" has no formula; {hint} For a role of your '
        f"own, add .muster/formulas/{role}.toml to branch main of acme/demo"
    )


def test_a_role_of_the_repositorys_own_is_accepted(
    world: World, server: Server, tmp_path: Path
) -> None:
    world.files.add(".muster/formulas/translator.toml")
    assert told(server, tmp_path, f'{QWEN}roles = ["translator"]\n') == []


def test_a_further_repository_that_the_forge_does_not_have_is_reported(
    server: Server, tmp_path: Path
) -> None:
    fields = 'repositories = ["acme/handbook", "acme/gone"]\n'
    (problem,) = told(server, tmp_path, QWEN + fields)
    assert problem == (
        f'9: agent "dev-qwen", repositories: the forge at {server.url} has no repository '
        "acme/gone: create it, or remove it from the list"
    )
    assert ("DELETE", "/api/v1/repos/acme/handbook/collaborators/-") in server.asked()


def test_a_repository_that_only_the_search_finds_is_hidden_by_a_required_second_factor(
    world: World, server: Server, tmp_path: Path
) -> None:
    """Gitea with `TWO_FACTOR_AUTH = enforced`, to an administrator without one."""
    world.shows = False
    (problem,) = told(server, tmp_path, QWEN)
    assert problem == f"2: repo: not visible: {REQUIRED_SECOND_FACTOR}"


@pytest.mark.parametrize(("hired", "told_unknown"), [([], True), (["dev-0"], False)])
def test_what_only_the_first_bot_user_can_show_is_a_warning_before_it_is_hired(
    world: World, server: Server, tmp_path: Path, hired: list[str], *, told_unknown: bool
) -> None:
    world.users |= {agent: mark_of("live", "demo", agent) for agent in hired}
    roster = tmp_path / "live.toml"
    roster.write_text(f'name = "demo"\nrepo = "acme/demo"\nforge_url = "{server.url}"\n{crew(2)}')
    minting = preflight.Minting(Administrator(pat=PAT), (), [])
    problems = list(preflight.forge_problems(load(roster), "live", server.url, minting))
    assert (problems, minting.warnings) == (
        [],
        [f"Not checked: {SECOND_FACTOR}"] if told_unknown else [],
    )
