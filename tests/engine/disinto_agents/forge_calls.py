"""What the stand-in for disinto's agents asks of the forge, by its token but for one check."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

API = f"{os.environ['FORGE_URL']}/api/v1"
ISSUES = f"/repos/{os.environ['FORGE_REPO']}/issues"
TOKEN = f"token {os.environ['FORGE_TOKEN']}"


def call(method: str, path: str, content: object = None, authorization: str = TOKEN) -> Any:  # noqa: ANN401 - JSON
    """Return what the forge answers."""
    request = urllib.request.Request(  # noqa: S310 - the forge's URL
        API + path,
        data=None if content is None else json.dumps(content).encode(),
        headers={"Authorization": authorization, "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        body = answer.read()
    return json.loads(body) if body else None


def whoami(authorization: str = TOKEN) -> str:
    """Return the account's name."""
    return str(call("GET", "/user", authorization=authorization)["login"])


def check_password(user: str) -> None:
    """Log in with the password."""
    pair = f"{user}:{os.environ['FORGE_PASS']}".encode()
    whoami(f"Basic {base64.b64encode(pair).decode()}")


def poll() -> None:
    """Relabel the backlog's issues, as disinto does with one that it takes."""
    for issue in call("GET", f"{ISSUES}?state=open&labels=backlog&type=issues"):
        labels = f"{ISSUES}/{issue['number']}/labels"
        call("PUT", labels, {"labels": ["in-progress"]})
        print(f"took #{issue['number']}", flush=True)  # noqa: T201


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    try:
        if command == "whoami":
            print(whoami())  # noqa: T201
        elif command == "check-password":
            check_password(*arguments)
        else:
            poll()
    except urllib.error.URLError as error:
        sys.exit(f"{command}: {error}")
