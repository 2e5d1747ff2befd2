"""Which hosts are loopback, and which are reached without the environment's proxy."""

import pytest

from muster.docker_host import DockerHost
from muster.hosts import exceptions, is_direct, is_loopback, proxy_for

LOOPBACK = [
    *("localhost", "LOCALHOST", "localhost.", "forge.localhost", "127.0.0.1", "127.1", "0"),
    *("[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"),  # noqa: S104 - what a URL may hold
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_machine_reaches_itself_by_many_names(host: str) -> None:
    assert is_loopback(f"http://{host}:8081")
    assert not DockerHost(f"tcp://{host}:2376").is_remote


@pytest.mark.parametrize(
    "host", ["10.0.0.5", "llama", "host.docker.internal", "127.example.org", "localhost.example"]
)
def test_another_machine_is_not_loopback(host: str) -> None:
    assert not is_loopback(f"http://{host}:8081")


@pytest.mark.parametrize(
    "host",
    [
        *LOOPBACK,
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


PROXIES = {"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:2"}


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://api.example.org/v1", {}, None),
        ("https://api.example.org/v1", PROXIES, "http://lower:2"),
        ("http://api.example.org/v1", PROXIES, None),
        ("http://api.example.org", {"http_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("http://api.example.org", {"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ("http://api.example.org", {"ALL_PROXY": "socks5://all:1"}, None),
        ("https://api.example.org", {**PROXIES, "NO_PROXY": "corp, example.org"}, None),
        ("https://api.example.org:8443", {**PROXIES, "NO_PROXY": "api.example.org:8443"}, None),
        ("https://api.example.org", {**PROXIES, "NO_PROXY": "*"}, None),
        ("https://api.example.org", {**PROXIES, "NO_PROXY": "ample.org"}, "http://lower:2"),
        ("https://10.0.0.5", PROXIES, None),
        ("https://llama:8080", PROXIES, None),
    ],
)
def test_a_proxy_is_found_as_programs_find_it(
    url: str, environment: dict[str, str], proxy: str | None
) -> None:
    assert proxy_for(url, environment) == proxy
