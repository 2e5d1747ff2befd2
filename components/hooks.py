"""What is done beside Pulumi's own calls to Docker, around a container's or network's create."""

import asyncio
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pulumi

from muster.docker import (
    connect_to,
    limit_processes,
    remove_leftover_container,
    remove_leftover_network,
)
from muster.docker_engine import DockerEngine
from muster.docker_host import DockerHost
from muster.errors import MusterError
from muster.names import PIDS_LABEL

_threads = ThreadPoolExecutor(4, "hooks")

_POOLS_USED_UP = (
    "could not find an available, non-overlapping IPv4 address pool",  # Docker 20.10
    "all predefined address pools have been fully subnetted",  # Docker 29
)
"""What Docker answers if no addresses are left for another network."""


class Hooks:
    """The resource hooks of one crew.

    The engine killed in a container's create leaves the container, and every later update would
    fail with "name already in use". So what carries our labels under the name is removed before
    a create. After it, the limit of processes is set, for which pulumi-docker 5.2 has no input.
    """

    def __init__(self, host: DockerHost, engine: DockerEngine, labels: Mapping[str, str]) -> None:
        """Register the hooks for an engine and for what carries these labels."""
        client = functools.cache(lambda: connect_to(host))

        async def clear_container(args: pulumi.ResourceHookArgs) -> None:
            await _aside(remove_leftover_container, client(), _inputs(args)["name"], labels)

        async def clear_network(args: pulumi.ResourceHookArgs) -> None:
            await _aside(remove_leftover_network, client(), _inputs(args)["name"], labels)

        async def limit(args: pulumi.ResourceHookArgs) -> None:
            limits = [
                label["value"] for label in _inputs(args)["labels"] if label["label"] == PIDS_LABEL
            ]
            await _aside(limit_processes, client(), args.id, int(limits[0]))

        cleared = pulumi.ResourceHook("clear-leftover-container", clear_container)
        limited = pulumi.ResourceHook("limit-processes", limit)
        self.container = pulumi.ResourceHookBinding(before_create=[cleared])
        self.limited_container = pulumi.ResourceHookBinding(
            before_create=[cleared], after_create=[limited] if engine.limits_pids else None
        )
        self.network = pulumi.ResourceHookBinding(
            before_create=[pulumi.ResourceHook("clear-leftover-network", clear_network)],
            on_error=[pulumi.ErrorHook("explain-address-pools", explain)],
        )


class NoAddressesError(MusterError):
    """Docker has no addresses left for another network."""


async def explain(args: pulumi.ErrorHookArgs) -> bool:
    """Report what to do about a network for which no addresses are left; it is not tried again.

    What a hook raises becomes the error of the resource (3.256: deploy/retries.go), so the engine
    shows it whatever else happens. A message to its log is an event beside the failure, and a busy
    machine was seen to end without showing it.

    Raises:
        NoAddressesError: with Docker's words.
    """
    for error in args.errors:
        if any(words in error for words in _POOLS_USED_UP):
            raise NoAddressesError(
                "Docker has no addresses left for another network. Remove networks that nothing "
                'uses (docker network prune), join an existing one ([muster] network = "NAME"), or '
                "give the engine more addresses (default-address-pools in /etc/docker/daemon.json)"
                f". Docker: {' '.join(error.split())}"
            )
    return False


async def _aside(call: Callable[..., None], *arguments: object) -> None:
    """Call in a thread: hooks begin on the one that registers resources.

    Never in the event loop's own threads: registrations that wait for a hook may fill them all.
    """
    await asyncio.get_running_loop().run_in_executor(_threads, call, *arguments)


def _inputs(args: pulumi.ResourceHookArgs) -> Mapping[str, Any]:
    return args.new_inputs or {}
