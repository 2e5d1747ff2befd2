"""What people do at a forge beside a crew: accounts, commits, statuses, protection, forks."""

import json
import time
from base64 import b64encode
from typing import Any

import requests
from crew import Crew, Worker, until
from patience import COMMAND

from muster.credentials import TOKEN_SCOPES, new_password
from muster.forge import Basic, Pull, Token, WorkForge


class Person:
    """Somebody with an account at the forge and access to the crew's repository."""

    def __init__(self, crew: Crew, name: str, permission: str) -> None:
        self.login = f"{crew.name}-{name}"
        self._crew = crew
        crew.admin.create_user(
            self.login,
            email=f"{self.login}@muster.invalid",
            password=new_password(),
            login_name=self.login,
            full_name=self.login,
        )
        crew.admin.add_collaborator(crew.repo, self.login, permission)
        secret = str(crew.admin.mint_token(self.login, "test", TOKEN_SCOPES).secret)
        self.token = Token(secret)
        self.forge = WorkForge(crew.server.url, self.token, crew.repo)

    def pull_from_fork(self, branch: str, path: str) -> Pull:
        """Open a pull request from a fork."""
        crew = self._crew
        call(crew, "POST", f"repos/{crew.repo}/forks", self.token, {})
        fork = f"{self.login}/{crew.name}"
        until(lambda: crew.admin.repository(fork), "a fork")
        content = {"branch": "main", "new_branch": branch, "content": _encoded("from a fork\n")}
        call(crew, "POST", f"repos/{fork}/contents/{path}", self.token, content)
        head = f"{self.login}:{branch}"
        return self.forge.open_pull("From a fork", "Please.", head=head, base="main")


def call(
    crew: Crew,
    method: str,
    path: str,
    auth: Basic | Token | None,
    content: Any,  # noqa: ANN401 - JSON
) -> Any:  # noqa: ANN401 - JSON
    """Call the forge's API where the product has no method."""
    assert auth is not None
    answer = requests.request(
        method,
        f"{crew.server.url}/api/v1/{path}",
        json=content,
        headers={"Authorization": auth.header},
        timeout=COMMAND,
    )
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def as_keeper(crew: Crew, method: str, path: str, content: Any) -> Any:  # noqa: ANN401
    """Call the forge's API below the crew's repository, in its owner's name."""
    return call(crew, method, f"repos/{crew.repo}/{path}", crew.server.administrator.basic, content)


def commit(crew: Crew, branch: str, path: str, text: str) -> None:
    """Add a file to a new branch that begins at `main`."""
    content = {"branch": "main", "new_branch": branch, "content": _encoded(text)}
    as_keeper(crew, "POST", f"contents/{path}", content)


def set_status(crew: Crew, sha: str, state: str, description: str = "") -> None:
    """Set a commit's status `ci`."""
    content = {"context": "ci", "state": state, "description": description}
    as_keeper(crew, "POST", f"statuses/{sha}", content)


def protect(crew: Crew, branch: str) -> None:
    """Protect a branch: nobody pushes to it."""
    as_keeper(crew, "POST", "branch_protections", {"rule_name": branch, "branch_name": branch})


def commits_of(crew: Crew, pull: Pull) -> list[dict[str, Any]]:
    """Return a pull request's commits, newest first."""
    commits: list[dict[str, Any]] = as_keeper(crew, "GET", f"pulls/{pull.number}/commits", None)
    return commits


def cycles(worker: Worker) -> None:
    """Wait until an agent has begun and ended a look at the forge."""
    first = _cycle(worker)

    def looked() -> bool:
        time.sleep(0.5)  # a question costs the engine more than the agent
        return _cycle(worker) >= first + 2

    until(looked, f"a cycle of {worker.name}")


def _cycle(worker: Worker) -> int:
    status, text = worker.run("cat", "/home/agent/data/state.json")
    return int(json.loads(text)["cycle"]) if status == 0 else 0


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
