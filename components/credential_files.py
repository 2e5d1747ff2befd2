"""An agent's credentials as files, in a volume of their own."""

import secrets
from collections.abc import Mapping
from contextlib import suppress

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.docker_place import OtherEngineError, docker_place, engine
from components.provider import Props, Provider
from muster.docker import Delivery, DockerError, fill_volume, has_volume, remove_volume
from muster.project import Project


class CredentialFilesProvider(Provider):
    """Fills the volume, and removes it.

    A volume and a container of pulumi-docker's could do it, too. But the engine writes all that
    it knows of both at every step of everybody's, and the plugin (5.2) sleeps for two seconds
    before it removes a volume.

    The way to the engine is carried along: another one changes no file, and an update would
    replace the container.
    """

    replace_on = ("volume",)
    update_on = ("files", "path", "owner", "helper", "labels")

    def create(self, props: Props) -> CreateResult:
        """Make the volume, unless a killed engine has left it, and put the files into it."""
        return CreateResult(props["volume"], _delivered(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Put the files into the volume again."""
        return UpdateResult(_delivered(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report what is recorded, for nobody can read a volume; gone where there is none.

        The way to the engine may be an old one: whoever reads the container reports an engine that
        cannot be reached.
        """
        try:
            with engine(props) as client:
                return ReadResult(id_, props) if has_volume(client, id_) else ReadResult(None, {})
        except OtherEngineError:
            return ReadResult(None, {})
        except DockerError:
            return ReadResult(id_, props)

    def delete(self, id_: str, props: Props) -> None:
        """Remove the volume; what cannot be removed now goes with the container's claim."""
        with suppress(DockerError), engine(props) as client:
            remove_volume(client, id_, props["labels"])


def _delivered(props: Props) -> Props:
    delivery = Delivery(
        volume=props["volume"],
        path=props["path"],
        files=props["files"],
        owner=int(props["owner"]),
        helper=props["helper"],
        labels=props["labels"],
    )
    with engine(props) as client:
        fill_volume(client, delivery)
    return {**props, "delivery": secrets.token_hex(4)}


class CredentialFiles(Resource, module="muster", name="CredentialFiles"):
    """Files in a volume that only their owner may read.

    `delivery` is another whenever they were written, so that a container can be made to follow.
    """

    delivery: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        volume: str,
        path: str,
        files: Mapping[str, pulumi.Input[str]],
        owner: int,
        helper: str,
        labels: Mapping[str, str],
        project: Project,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the files.

        Args:
            name: the resource's name.
            volume: the volume's name.
            path: the folder over which the volume is mounted.
            files: each file's content by its name, kept secret.
            owner: the user and group whose files they are.
            helper: the name of the container through which they go in.
            labels: by which both are known to be the agent's.
            project: the project, which knows the engine.
            opts: the resource's options.
        """
        super().__init__(
            CredentialFilesProvider(),
            name,
            {
                "volume": volume,
                "path": path,
                "files": pulumi.Output.secret(dict(files)),
                "owner": owner,
                "helper": helper,
                "labels": dict(labels),
                **docker_place(project),
                "delivery": None,
            },
            opts,
        )
