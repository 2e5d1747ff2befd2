"""Parts of the API's paths, quoted so that no name leads to another path."""

from urllib.parse import quote

from muster.forge.errors import ForgeError


def repository(full_name: str) -> str:
    """Return the path of the repository `owner/name`."""
    owner, _, name = full_name.partition("/")
    return f"/repos/{segment(owner)}/{segment(name)}"


def segment(name: str) -> str:
    """Quote one part of a path.

    Raises:
        ForgeError: The name is empty, or consists of dots only.
    """
    if name.strip(".") == "":
        raise ForgeError(f"{name!r} is not a valid name at a forge")
    return quote(name, safe="")
