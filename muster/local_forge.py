"""A local forge's settings, and the two commands that make it ready for a crew.

`python -m muster.local_forge administrator|repository` reads what it needs from the environment,
so that no secret stands in a command line. Both commands are safe to repeat.
"""

import os
import re
import secrets
import sys
from typing import cast

from muster import docker
from muster.docker import DockerError
from muster.errors import MusterError
from muster.forge import Basic, Forge, ForgeError, Token, UnauthorizedError

PORT = 3000
"""The port inside the container, and the first choice on this machine's loopback."""

DATA_PATH = "/var/lib/gitea"
"""Where Forgejo's rootless image keeps its data."""

SETUP_TOKEN = "muster-setup-"  # noqa: S105
"""What the names of the administrator's short-lived tokens begin with."""

IMAGE = "muster-forge"
"""The image that set-up chose: Forgejo's own where it can be pulled, else one with Gitea."""


class LocalForgeError(MusterError):
    """The forge's own command failed; the message is its standard error."""


def container_name(project: str) -> str:
    """Return the name of a project's forge container."""
    return f"{project}-forge"


def url(port: int) -> str:
    """Return the forge's URL as people and Pulumi see it."""
    return f"http://127.0.0.1:{port}"


def internal_url(project: str) -> str:
    """Return the forge's URL as agents see it.

    Docker resolves the container's name on the networks that it is on. An alias would be answered
    by every forge on a network that projects share, and an agent's token be shown to any of them.
    """
    return f"http://{container_name(project)}:{PORT}"


def settings(port: int) -> dict[str, str]:
    """Return the container's environment; Forgejo's image reads Gitea's names too.

    The settings' file lies with the data: the keys that are made at the first start are in it.
    """
    return {
        "GITEA_APP_INI": f"{DATA_PATH}/custom/conf/app.ini",
        "GITEA__cron_0x2E_update_checker__ENABLED": "false",
        "GITEA__database__DB_TYPE": "sqlite3",
        "GITEA__log__LEVEL": "Warn",
        "GITEA__mailer__ENABLED": "false",
        "GITEA__security__INSTALL_LOCK": "true",
        "GITEA__server__DISABLE_SSH": "true",
        "GITEA__server__OFFLINE_MODE": "true",
        "GITEA__server__ROOT_URL": f"{url(port)}/",
        "GITEA__service__DISABLE_REGISTRATION": "true",
    }


def make_administrator(container: str, forge_url: str, administrator: Basic) -> None:
    """Make the administrator, or give an existing one this password.

    The forge's command takes a password in its arguments only, where every process of the
    machine can read it. So the account is made with a random one, and a token that lives for
    a moment sets the real one over the API.

    Raises:
        LocalForgeError: the forge's command failed.
        DockerError: the Docker engine does not answer, or refuses.
        ForgeError: the forge refused.
    """
    forge = Forge(forge_url, administrator)
    forge.wait_until_ready(60)
    try:
        forge.whoami()
    except UnauthorizedError:
        pass
    else:
        return
    name = administrator.user
    try:
        _forgejo(
            container,
            *("user", "create", "--admin", "--random-password", "--must-change-password=false"),
            *("--username", name, "--email", f"{name}@muster.invalid"),
        )
    except LocalForgeError as error:
        if "already exists" not in str(error):
            raise
    token_name = f"{SETUP_TOKEN}{secrets.token_hex(4)}"
    said = _forgejo(
        container,
        *("user", "generate-access-token", "--raw", "--scopes", "all"),
        *("--username", name, "--token-name", token_name),
    )
    token = re.findall(r"\b[0-9a-f]{40}\b", said)[-1]
    me = Forge(forge_url, Token(token))
    me.edit_user(name, login_name=name, source_id=0, password=administrator.password)
    for minted in forge.tokens(name):
        if minted.name.startswith(SETUP_TOKEN):
            forge.revoke_token(name, minted.id)


def make_repository(
    forge_url: str, administrator: Basic, full_name: str, primary_branch: str
) -> None:
    """Make the project's repository with a first commit, unless it exists.

    An owner that does not exist becomes an organisation of the administrator's.

    Raises:
        ForgeError: the forge refused.
    """
    forge = Forge(forge_url, administrator)
    if forge.repository(full_name) is None:
        forge.create_repository(full_name, primary_branch)


def _forgejo(container: str, *arguments: str) -> str:
    """Run the forge's own command in its container, on the engine that DOCKER_HOST or Docker names.

    Raises:
        LocalForgeError: it failed.
        DockerError: the engine does not answer, or refuses.
    """
    command = ["forgejo", "admin", *arguments]
    with docker.engine(None) as client:
        done = client.containers.get(container).exec_run(command, user="git", demux=True)
    output = cast("tuple[bytes | None, bytes | None]", done.output)
    stdout, stderr = ((text or b"").decode(errors="replace") for text in output)
    if done.exit_code:
        raise LocalForgeError(stderr or stdout)
    return stdout


def main(what: str) -> None:
    """Do `what` for the forge that the environment names; exits with a message on failure."""
    forge_url = os.environ["MUSTER_FORGE_URL"]
    administrator = Basic(os.environ["FORGE_ADMIN_USER"], os.environ["FORGE_ADMIN_PASS"])
    try:
        if what == "administrator":
            make_administrator(os.environ["MUSTER_FORGE_CONTAINER"], forge_url, administrator)
        else:
            make_repository(
                forge_url,
                administrator,
                os.environ["MUSTER_FORGE_REPOSITORY"],
                os.environ["MUSTER_FORGE_BRANCH"],
            )
    except (DockerError, ForgeError, LocalForgeError) as error:
        sys.exit(f"local forge: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
