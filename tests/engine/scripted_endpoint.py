"""The scripted endpoint, in this process, where containers reach it."""

from collections.abc import Mapping
from typing import Any

import bridge
import docker
from endpoint import ScriptedEndpoint


class ContainersEndpoint(ScriptedEndpoint):
    """A scripted endpoint on the address by which containers find this machine.

    No other machine reaches that address. The port stays the same if the endpoint is stopped and
    another one is started with `port`.
    """

    def __init__(
        self, client: docker.DockerClient, script: Mapping[str, Any], port: int = 0
    ) -> None:
        super().__init__(script, bridge.address(client), port)

    @property
    def base_url(self) -> str:
        """What the roster says: the address inside containers."""
        return f"http://host.docker.internal:{self.port}"
