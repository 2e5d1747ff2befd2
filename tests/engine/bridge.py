"""The way from containers to this machine."""

import ipaddress

import docker


def address(client: docker.DockerClient) -> str:
    """Return the address by which containers find this machine; no other machine does."""
    [bridge] = client.networks.list(names=["bridge"])
    return str(ipaddress.ip_network(bridge.attrs["IPAM"]["Config"][0]["Subnet"])[1])
