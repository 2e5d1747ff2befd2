"""The forge that the tests talk to: the same image that a local forge runs."""

import contextlib
import json
import secrets
from types import TracebackType
from typing import Self

import docker

from muster import local_forge
from muster.credentials import new_password
from muster.forge import Administrator, Basic, Forge


class ForgeServer:
    """A forge container with an administrator who has a password and a PAT.

    Attributes:
        url: the forge, as seen from this machine.
        internal_url: the forge, as seen from containers on `network`.
        network: a Docker network that the forge is on.
        administrator: name, password and PAT.
    """

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self.network = f"muster-test-{secrets.token_hex(4)}"
        self.internal_url = f"http://{self.network}:{local_forge.PORT}"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            network = self.client.networks.create(self.network)
            undo.callback(network.remove)
            container = self.client.containers.run(
                local_forge.IMAGE,
                name=self.network,
                detach=True,
                network=self.network,
                environment=local_forge.settings(local_forge.PORT),
                ports={f"{local_forge.PORT}/tcp": ("127.0.0.1", 0)},
            )
            undo.callback(container.remove, force=True, v=True)
            container.reload()
            [published] = container.ports[f"{local_forge.PORT}/tcp"] or []
            self.url = f"http://127.0.0.1:{published['HostPort']}"
            self.administrator = self._administrator()
            self._undo = undo.pop_all()
        return self

    def _administrator(self) -> Administrator:
        basic = Basic("keeper", new_password())
        local_forge.make_administrator(self.network, self.url, basic)
        pat = Forge(self.url, basic).mint_token(basic.user, "tests", ["all"])
        return Administrator(basic.user, basic.password, pat.secret)

    @property
    def forge(self) -> Forge:
        """The forge, in the name of its administrator."""
        return Forge(self.url, self.administrator.basic)

    def sql(self, statement: str, *values: object) -> None:
        """Change the forge's database by hand, where its API offers no way."""
        code = (
            "import json, sqlite3, sys\n"
            "database = sqlite3.connect('/var/lib/gitea/data/gitea.db', timeout=10)\n"
            "with database:\n"
            "    database.execute(sys.argv[1], json.loads(sys.argv[2]))\n"
        )
        self.client.containers.run(
            "muster-agent",
            entrypoint=["python3", "-c", code, statement, json.dumps(values)],
            volumes_from=[self.network],
            user="1000",
            remove=True,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()
