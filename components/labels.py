"""Labels as pulumi-docker's resources take them."""

from collections.abc import Callable, Mapping
from typing import TypeVar

Label = TypeVar("Label")


def label_args(kind: Callable[..., Label], labels: Mapping[str, str]) -> list[Label]:
    """Return labels as arguments of a kind of resource, sorted, so that diffs are quiet.

    Args:
        kind: the resource's own class for a label, such as `docker.VolumeLabelArgs`.
        labels: the labels' values by name.
    """
    return [kind(label=name, value=labels[name]) for name in sorted(labels)]
