"""The compose file through which `docker compose` works on the crew's containers."""

import hashlib
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.provider import Props, Provider
from muster import compose


class ComposeFileProvider(Provider):
    """Keeps a file's text.

    Of the text only a digest is recorded: a crew's is long, and the engine writes all that is
    recorded at every step.
    """

    replace_on = ("path",)
    update_on = ("digest",)

    def create(self, props: Props) -> CreateResult:
        """Write the file."""
        compose.write(Path(props["path"]), props["text"])
        return CreateResult(props["path"], _recorded(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Write the file again."""
        compose.write(Path(news["path"]), news["text"])
        return UpdateResult(_recorded(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the file's text; gone where there is no file."""
        path = Path(props["path"])
        if not path.exists():
            return ReadResult(None, {})
        inputs = _inputs(props["path"], path.read_text(encoding="utf-8"))
        return ReadResult(id_, _recorded(inputs), inputs)

    def delete(self, _id: str, props: Props) -> None:
        """Remove the file."""
        Path(props["path"]).unlink(missing_ok=True)


def _inputs(path: str, text: str) -> Props:
    return {"path": path, "text": text, "digest": hashlib.sha256(text.encode()).hexdigest()}


def _recorded(inputs: Props) -> Props:
    return {"path": inputs["path"], "digest": inputs["digest"]}


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
        super().__init__(ComposeFileProvider(), name, _inputs(path, text), opts)
