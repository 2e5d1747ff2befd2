"""An agent's credentials as files, and its CA's certificates, in a volume of their own."""

import dataclasses
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import docker
import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.docker_place import OtherEngineError, docker_place, engine
from components.provider import Props, Provider
from muster import private_ca
from muster.agent_container import file_in_image
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
    update_on = ("files", "ca", "path", "owner", "helper", "labels")

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
        if props.get("ca"):
            delivery = dataclasses.replace(delivery, public=_trusted(client, props))
        fill_volume(client, delivery)
    return {**props, "delivery": secrets.token_hex(4)}


def _trusted(client: docker.DockerClient, props: Props) -> dict[str, str]:
    """Return the CA's certificates, and a bundle of them with the system's roots of the image.

    Most programs take one file for all that they trust, and which roots an image has is known to
    the image alone. The bundle is made here and not at the container's start, so that images with
    another runtime have it too.

    Raises:
        CaFileError: the file has changed since the preflight, and cannot be used.
    """
    own = private_ca.read(Path(props["ca_file"]))
    lines = file_in_image(
        client,
        props["ca"]["image"],
        private_ca.SYSTEM_ROOTS,
        helper=props["helper"],
        labels=props["labels"],
    )
    return private_ca.files(own, lines)


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
        ca_file: Path | None,
        image: str,
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
            ca_file: the file with the certificates of a private CA, None if there is none. They
                are read when they are delivered; the state holds their digest.
            image: the id of the agent's image, whose system's roots are trusted too.
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
                "ca_file": ca_file and str(ca_file),
                "ca": ca_file and {"sha256": private_ca.digest(ca_file), "image": image},
                "owner": owner,
                "helper": helper,
                "labels": dict(labels),
                **docker_place(project),
                "delivery": None,
            },
            opts,
        )
