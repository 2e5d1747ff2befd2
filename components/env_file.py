"""Credentials in a `.env` file, for the factory's own tools."""

from collections.abc import Mapping
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.provider import Props, Provider
from muster import dotenv


class EnvFileProvider(Provider):
    """Writes keys to a `.env` file and removes those that it wrote.

    The output `written` names them: a key that had its value already is somebody else's, and stays.
    """

    replace_on = ("path",)
    update_on = ("values",)

    def create(self, props: Props) -> CreateResult:
        """Write the keys; the file's other lines stay as they are."""
        written = dotenv.write(Path(props["path"]), props["values"])
        return CreateResult(props["path"], {**props, "written": sorted(written)})

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Write the keys, and remove those that are no longer wanted."""
        path = Path(news["path"])
        written = dotenv.write(path, news["values"]) | set(olds["written"])
        dotenv.remove(path, written - news["values"].keys())
        return UpdateResult({**olds, **news, "written": sorted(written & news["values"].keys())})

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report our keys as they stand in the file."""
        path = Path(props["path"])
        found = dotenv.read(path) if path.exists() else {}
        values = {key: found[key] for key in props["values"] if key in found}
        outs = {**props, "values": values}
        return ReadResult(id_, outs, outs)

    def delete(self, _id: str, props: Props) -> None:
        """Remove our keys."""
        if Path(props["path"]).exists():
            dotenv.remove(Path(props["path"]), set(props["written"]))


class EnvFile(Resource, module="dotenv", name="EnvFile"):
    """Keys in a `.env` file of mode 0600, written in place and atomically."""

    def __init__(
        self,
        name: str,
        *,
        path: str,
        values: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the keys.

        Args:
            name: the resource's name.
            path: the file.
            values: each key's value, kept secret.
            opts: the resource's options.
        """
        super().__init__(
            EnvFileProvider(),
            name,
            {"path": path, "values": pulumi.Output.secret(dict(values)), "written": None},
            opts,
        )
