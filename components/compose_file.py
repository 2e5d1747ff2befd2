"""The compose file through which `docker compose` works on the crew's containers."""

from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.provider import Props, Provider
from muster import compose


class ComposeFileProvider(Provider):
    """Keeps a file's text."""

    replace_on = ("path",)
    update_on = ("text",)

    def create(self, props: Props) -> CreateResult:
        """Write the file."""
        compose.write(Path(props["path"]), props["text"])
        return CreateResult(props["path"], props)

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Write the file again."""
        compose.write(Path(news["path"]), news["text"])
        return UpdateResult(news)

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the file's text; gone where there is no file."""
        path = Path(props["path"])
        if not path.exists():
            return ReadResult(None, {})
        outs = {**props, "text": path.read_text(encoding="utf-8")}
        return ReadResult(id_, outs, outs)

    def delete(self, _id: str, props: Props) -> None:
        """Remove the file."""
        Path(props["path"]).unlink(missing_ok=True)


class ComposeFile(Resource, module="muster", name="ComposeFile"):
    """A compose file that names what Muster made and holds no secret."""

    def __init__(
        self,
        name: str,
        *,
        path: str,
        text: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the file.

        Args:
            name: the resource's name.
            path: the file.
            text: what it says.
            opts: the resource's options.
        """
        super().__init__(ComposeFileProvider(), name, {"path": path, "text": text}, opts)
