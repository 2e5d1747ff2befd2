"""What hooks make of errors of Docker."""

import asyncio
import contextlib

import pulumi
import pytest

from components.hooks import NoAddressesError, explain


def explained(error: str) -> bool:
    """Run the hook in a loop of its own: `asyncio.run` would take away that of other tests."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(explain(failed(error)))


def failed(error: str) -> pulumi.ErrorHookArgs:
    return pulumi.ErrorHookArgs(
        urn="urn:pulumi:live::muster::docker:index/network:Network::network",
        id="",
        name="network",
        type="docker:index/network:Network",
        new_inputs=None,
        old_inputs=None,
        old_outputs=None,
        failed_operation="create",
        errors=[error],
    )


@pytest.mark.parametrize(
    "words",
    [
        "could not find an available, non-overlapping IPv4 address pool among the defaults",
        "all predefined address pools have been fully subnetted",
    ],
)
def test_used_up_address_pools_are_the_networks_error_with_the_way_out(words: str) -> None:
    """A message to the engine's log may be lost when the engine ends."""
    with pytest.raises(NoAddressesError, match="docker network prune") as caught:
        explained(f"1 error occurred:\n\t* {words}\n\n")
    assert str(caught.value).endswith(f"Docker: 1 error occurred: * {words}")


def test_other_errors_of_a_network_stay_as_they_are() -> None:
    assert explained("network with name x already exists") is False
