"""The few things that Muster asks the Docker engine itself; the rest goes through Pulumi."""

import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import docker
import docker.errors
import docker.tls
import requests
from docker.models.containers import Container
from docker.types import Mount

from muster import docker_host, docker_ssh
from muster.docker_host import CERTIFICATES, DockerHost, DockerHostError
from muster.errors import MusterError
from muster.forge.session import DirectSession
from muster.names import STACK_LABEL

EMPTY_IMAGE = "muster-empty"
"""An image without files, for containers that never run."""


class DockerError(MusterError):
    """Docker does not answer, or refuses; the message is for the person at the keyboard."""


def connect(host: str | None) -> docker.DockerClient:
    """Connect to the engine at `host`, or to the one that `docker ps` uses.

    Raises:
        DockerError: no engine answers, or it is not known which one is meant.
    """
    try:
        return connect_to(docker_host.resolve(host))
    except DockerHostError as error:
        raise DockerError(str(error)) from None


def connect_to(host: DockerHost) -> docker.DockerClient:
    """Connect to an engine.

    Raises:
        DockerError: it does not answer.
    """
    ssh = docker_ssh.Ssh(host.address) if host.address.startswith("ssh://") else None
    try:
        client = docker_ssh.client(ssh) if ssh else _client(host)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        reason = ((ssh and ssh.complaint()) or _reason(error)).rstrip(".")
        raise DockerError(
            f"Docker is unreachable ({host}): {reason}. {_advice(host)}, or name another engine "
            "with DOCKER_HOST or [muster] docker_host"
        ) from None
    return client


def _client(host: DockerHost) -> docker.DockerClient:
    if host.certificates is None:
        return docker_ssh.with_api(_Client(host.address))
    ca, certificate, key = (str(host.certificates / name) for name in CERTIFICATES)
    tls = docker.tls.TLSConfig((certificate, key), ca, verify=True)
    return docker_ssh.with_api(_Client(host.address, tls=tls))


class _Client(DirectSession, docker.APIClient):
    """The SDK's client, which verifies the engine by its own authority alone.

    requests (2.34) would prefer REQUESTS_CA_BUNDLE to what a session says, and ask a proxy for an
    engine on loopback.
    """

    def merge_environment_settings(
        self,
        url: Any,  # noqa: ANN401
        proxies: Any,  # noqa: ANN401
        stream: Any,  # noqa: ANN401
        verify: Any,  # noqa: ANN401
        cert: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Return a request's settings, with the session's authority."""
        verify = verify or self.verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


def _advice(host: DockerHost) -> str:
    if host.address.startswith("ssh://"):
        return f"docker --host {host.address} version must work without asking for anything"
    return "Start it"


@contextmanager
def engine(host: str | None) -> Iterator[docker.DockerClient]:
    """Connect as `connect` does, for as long as the context lasts.

    Raises:
        DockerError: no engine answers, or it refuses what is asked meanwhile.
    """
    with in_use(connect(host)) as client:
        yield client


@contextmanager
def in_use(client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    """Close a client at the end; what an engine refuses meanwhile is a message.

    Raises:
        DockerError: the engine refuses, or does not answer any more.
    """
    try:
        yield client
    except docker.errors.APIError as error:
        raise DockerError(f"Docker refuses: {error.explanation}") from None
    except requests.RequestException as error:
        raise DockerError(f"Docker does not answer any more: {_reason(error)}") from None
    finally:
        client.close()


def _reason(error: BaseException) -> str:
    """Say what kept the engine from answering: docker and requests wrap that several times."""
    for wrapped in (error.__cause__, *error.args):
        if isinstance(wrapped, BaseException):
            return _reason(wrapped)
    return getattr(error, "strerror", None) or str(error)


def expect_in_registry(client: docker.DockerClient, image: str) -> None:
    """Check that an image can be pulled, and pull nothing.

    Raises:
        DockerError: its registry does not have it, or cannot be reached.
    """
    try:
        client.images.get_registry_data(_tagged(image))
    except docker.errors.APIError as error:
        raise _not_found(image, error) from None


def pull(client: docker.DockerClient, image: str) -> str:
    """Pull an image; return its id.

    Raises:
        DockerError: it cannot be pulled.
    """
    try:
        return str(client.images.pull(_tagged(image)).id)
    except docker.errors.APIError as error:
        raise _not_found(image, error) from None


def _tagged(image: str) -> str:
    """Return an image's name with its tag or digest."""
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def _not_found(image: str, error: docker.errors.APIError) -> DockerError:
    return DockerError(
        f"image {image} is not on this engine, and cannot be pulled: {error.explanation}. "
        "Build it (make setup builds muster-agent), or name another image in the roster"
    )


def local_image_id(client: docker.DockerClient, image: str) -> str | None:
    """Return the id of an image, None where this engine does not have it."""
    try:
        return str(client.images.get(image).id)
    except docker.errors.ImageNotFound:
        return None


def image_user(client: docker.DockerClient, image: str) -> str | None:
    """Return the user that an image's containers start as; empty for root.

    None if this engine does not have the image.
    """
    try:
        return str(client.images.get(image).attrs["Config"].get("User") or "")
    except docker.errors.ImageNotFound:
        return None


def variables_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a container or an image from what Docker reports of it."""
    lines = (each.partition("=") for each in attributes["Config"].get("Env") or [])
    return {name: value for name, _, value in lines}


def make_empty_image(client: docker.DockerClient) -> None:
    """Make `EMPTY_IMAGE`, unless this engine has it."""
    try:
        client.images.get(EMPTY_IMAGE)
    except docker.errors.ImageNotFound:
        no_files = io.BytesIO()
        tarfile.open(fileobj=no_files, mode="w").close()
        client.api.import_image_from_data(no_files.getvalue(), repository=EMPTY_IMAGE, tag="latest")


def container_labels(client: docker.DockerClient, name: str) -> dict[str, str] | None:
    """Return the labels of the container of that name, None where there is none."""
    try:
        return dict(client.containers.get(name).labels)
    except docker.errors.NotFound:
        return None


def labels_by_name(client: docker.DockerClient) -> dict[str, dict[str, str]]:
    """Return the labels of every container, by its name; one question, however many there are."""
    return {
        name.removeprefix("/"): dict(each["Labels"] or {})
        for each in client.api.containers(all=True)
        for name in each["Names"] or ()
    }


def published_ports(client: docker.DockerClient, name: str) -> set[int]:
    """Return this machine's ports that the container of that name has while it runs."""
    try:
        container = client.containers.get(name)
    except docker.errors.NotFound:
        return set()
    bound = container.attrs["NetworkSettings"]["Ports"] or {}  # empty unless it runs
    return {int(each["HostPort"]) for bindings in bound.values() for each in bindings or ()}


def containers_of(client: docker.DockerClient, stack: str) -> dict[str, Container]:
    """Return the containers that carry a stack's label, by name, with what `inspect` says."""
    labelled: dict[str, str | list[str] | bool] = {"label": f"{STACK_LABEL}={stack}"}
    found = client.containers.list(all=True, filters=labelled, ignore_removed=True)
    return {str(each.name): each for each in found}


def has_network(client: docker.DockerClient, name: str) -> bool:
    """Tell whether there is a network of that name."""
    return any(network.name == name for network in client.networks.list(names=[name]))


def remove_leftover_container(
    client: docker.DockerClient, name: str, labels: Mapping[str, str]
) -> None:
    """Remove a container of that name, where it carries all of these labels.

    A killed engine leaves the container that it was creating, and Pulumi knows nothing of it.

    Raises:
        DockerError: the container is somebody else's.
    """
    found = container_labels(client, name)
    if found is None:
        return
    if not labels.items() <= found.items():
        raise DockerError(
            f"a container named {name} exists and is not this stack's: remove or rename it, "
            "or give the project another name"
        )
    client.containers.get(name).remove(force=True)


@dataclass(frozen=True)
class Delivery:
    """Files for a volume, and how they get there.

    Attributes:
        volume: the volume's name.
        path: the folder over which the volume is mounted.
        files: each file's content by its name.
        owner: the user and group who alone may read them.
        helper: the name of the container through which they go in.
        labels: the labels of the volume and of that container.
        public: files that everybody may read.
    """

    volume: str
    path: str
    files: Mapping[str, str] = field(repr=False)
    owner: int
    helper: str
    labels: Mapping[str, str]
    public: Mapping[str, str] = field(default_factory=dict)


def fill_volume(client: docker.DockerClient, delivery: Delivery) -> None:
    """Put files into a volume, which is made where there is none.

    Docker copies files into a container's own layer, and refuses to where the root is read-only.
    So they go in through a container that never starts. Its image names no user: Docker would
    look that up on the host and give it the files.

    Raises:
        DockerError: a container of the helper's name is somebody else's, or Docker refuses.
    """
    mount = Mount(delivery.path, delivery.volume)
    try:
        client.volumes.create(delivery.volume, labels=dict(delivery.labels))
        with holder(client, delivery.helper, mount, delivery.labels) as helper:
            helper.put_archive(delivery.path, archive_of(delivery.files, delivery.owner))
            if delivery.public:
                packed = archive_of(delivery.public, delivery.owner, mode=0o444)
                helper.put_archive(delivery.path, packed)
    except docker.errors.APIError as error:
        raise DockerError(f"volume {delivery.volume}: {error.explanation}") from None


@contextmanager
def holder(
    client: docker.DockerClient, name: str, mount: Mount, labels: Mapping[str, str]
) -> Iterator[Container]:
    """Create a container with a volume, which never starts: Docker copies files through it.

    Raises:
        DockerError: a container of that name is somebody else's.
    """
    make_empty_image(client)
    remove_leftover_container(client, name, labels)
    container = client.containers.create(
        EMPTY_IMAGE,
        ["-"],  # it never runs, and Docker wants a command
        name=name,
        network_mode="none",
        labels=dict(labels),
        mounts=[mount],
    )
    try:
        yield container
    finally:
        container.remove()


def archive_of(files: Mapping[str, str], owner: int, mode: int = 0o400) -> bytes:
    """Return files as Docker takes them for a container.

    Args:
        files: each file's content by its name.
        owner: the user and group whose files they are.
        mode: what is allowed with them.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            content = text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = int(time.time())
            info.mode = mode
            info.uid = info.gid = owner
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def has_volume(client: docker.DockerClient, name: str) -> bool:
    """Tell whether there is a volume of that name."""
    try:
        client.volumes.get(name)
    except docker.errors.NotFound:
        return False
    return True


def remove_volume(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> None:
    """Remove the volume of that name, where it carries all of these labels and nobody holds it.

    Raises:
        DockerError: Docker refuses.
    """
    try:
        volume = client.volumes.get(name)
        if labels.items() <= (volume.attrs["Labels"] or {}).items():
            volume.remove()
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise DockerError(f"volume {name}: {error.explanation}") from None


def remove_leftover_network(
    client: docker.DockerClient, name: str, labels: Mapping[str, str]
) -> None:
    """Remove networks of that name that carry all of these labels and hold no container.

    Raises:
        DockerError: the network is somebody else's.
    """
    for network in client.networks.list(names=[name]):
        if network.name != name:
            continue
        if not labels.items() <= network.attrs["Labels"].items():
            raise DockerError(
                f"a network named {name} exists and is not this stack's: join it with "
                f'[muster] network = "{name}", or remove it'
            )
        network.remove()


def limit_processes(client: docker.DockerClient, container_id: str, pids: int) -> None:
    """Limit the number of processes of a container; pulumi-docker 5.2 has no option for it."""
    api = client.api
    url = f"{api.base_url}/v{api.api_version}/containers/{container_id}/update"
    response = api.post(url, json={"PidsLimit": pids})  # docker 7.2 has no argument for it
    response.raise_for_status()


def restart(client: docker.DockerClient, containers: Mapping[str, str]) -> Iterator[str]:
    """Restart containers side by side, and tell each one's agent when it is done.

    Args:
        client: the engine.
        containers: the containers' names by agent.

    Raises:
        DockerError: a container is not there, or Docker refuses.
    """

    def one(agent: str) -> str:
        try:
            client.containers.get(containers[agent]).restart()
        except docker.errors.NotFound:
            raise DockerError(
                f"there is no container {containers[agent]}: muster up makes it"
            ) from None
        except docker.errors.APIError as error:
            raise DockerError(f"{containers[agent]}: {error.explanation}") from None
        return agent

    with ThreadPoolExecutor(4) as pool:
        yield from pool.map(one, containers)


def remove_volumes(client: docker.DockerClient, labels: Mapping[str, str]) -> list[str]:
    """Remove the volumes that carry all of these labels; return their names.

    Raises:
        DockerError: one is in use.
    """
    wanted = [f"{name}={value}" for name, value in labels.items()]
    found = client.volumes.list(filters={"label": wanted})
    for volume in found:
        try:
            volume.remove()
        except docker.errors.APIError as error:
            raise DockerError(f"volume {volume.name}: {error.explanation}") from None
    return sorted(str(volume.name) for volume in found)
