"""What is done beside Pulumi's own calls to Docker, around a container's or network's create."""

import asyncio
import functools
from collections.abc import Mapping
from typing import Any

import pulumi

from muster.docker import (
    connect,
    limit_processes,
    remove_leftover_container,
    remove_leftover_network,
)
from muster.names import PIDS_LABEL


class Hooks:
    """The resource hooks of one crew.

    The engine killed in a container's create leaves the container, and every later update would
    fail with "name already in use". So what carries our labels under the name is removed before
    a create. After it, the limit of processes is set, for which pulumi-docker 5.2 has no input.
    """

    def __init__(self, docker_host: str | None, labels: Mapping[str, str]) -> None:
        """Register the hooks for an engine and for what carries these labels."""
        # Hooks are called on the thread that registers resources, so they wait elsewhere, and to
        # connect takes ten times as long as to ask: once is enough.
        client = functools.cache(lambda: connect(docker_host))

        async def clear_container(args: pulumi.ResourceHookArgs) -> None:
            name = _inputs(args)["name"]
            await asyncio.to_thread(remove_leftover_container, client(), name, labels)

        async def clear_network(args: pulumi.ResourceHookArgs) -> None:
            name = _inputs(args)["name"]
            await asyncio.to_thread(remove_leftover_network, client(), name, labels)

        async def limit(args: pulumi.ResourceHookArgs) -> None:
            limits = [
                label["value"] for label in _inputs(args)["labels"] if label["label"] == PIDS_LABEL
            ]
            await asyncio.to_thread(limit_processes, client(), args.id, int(limits[0]))

        cleared = pulumi.ResourceHook("clear-leftover-container", clear_container)
        limited = pulumi.ResourceHook("limit-processes", limit)
        self.container = pulumi.ResourceHookBinding(before_create=[cleared])
        self.limited_container = pulumi.ResourceHookBinding(
            before_create=[cleared], after_create=[limited]
        )
        self.network = pulumi.ResourceHookBinding(
            before_create=[pulumi.ResourceHook("clear-leftover-network", clear_network)]
        )


def _inputs(args: pulumi.ResourceHookArgs) -> Mapping[str, Any]:
    return args.new_inputs or {}
