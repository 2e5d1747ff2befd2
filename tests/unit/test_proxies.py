"""Which hosts are reached without the environment's proxy."""

import pytest

from muster.forge.proxies import exceptions, is_direct


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "forge.localhost", "127.0.0.1", "127.1", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"),  # noqa: S104 - what a URL may hold
        *("acme-forge", "forgejo", "host.docker.internal", "gateway.docker.internal"),
        *("10.0.0.5", "172.17.0.2", "172.31.255.254", "192.168.1.7", "169.254.1.1"),
        *("[fd00::2]", "[fe80::1%25eth0]"),
    ],
)
@pytest.mark.parametrize("form", ["http://{}", "https://{}:3000/git"])
def test_loopback_and_what_only_docker_knows_is_direct(host: str, form: str) -> None:
    assert is_direct(form.format(host))


@pytest.mark.parametrize(
    "host", ["forge.example.org", "8.8.8.8", "172.32.0.1", "[2001:4860::8888]", "docker.internal.x"]
)
def test_other_hosts_are_not(host: str) -> None:
    assert not is_direct(f"https://{host}:3000")


def test_programs_are_told_what_is_direct_beside_what_their_environment_lists() -> None:
    found = exceptions(
        {"HTTPS_PROXY": "http://proxy:8080", "NO_PROXY": "example.org, 10.0.0.0/8"},
        "http://acme-forge:3000",
        "https://forge.example.org",
    )
    expected = "example.org,10.0.0.0/8,localhost,127.0.0.1,::1,host.docker.internal,acme-forge"
    assert found == {"no_proxy": expected, "NO_PROXY": expected}


def test_an_environment_without_a_proxy_stays_as_it_is() -> None:
    assert exceptions({"NO_PROXY": "example.org", "http_proxy": ""}, "http://acme-forge") == {}
