"""Which hosts are reached directly, whatever proxy the environment names.

A proxy cannot reach this machine's loopback, nor names and networks that only this machine's Docker
knows; and it must not see credentials meant for them. HTTP libraries ask a proxy for all hosts that
`NO_PROXY` does not list, loopback included.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ALWAYS_DIRECT = ("localhost", "127.0.0.1", "::1", "host.docker.internal")
"""What `NO_PROXY` has to list for programs that know no rule, only names."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = re.compile(r"127[\d.]*|0")
"""Short forms such as `127.1`, which resolvers take and `ipaddress` does not."""


def is_direct(url: str) -> bool:
    """Tell whether a URL's host is reached directly.

    That is loopback, a private or link-local address, a name without a dot (a container's, or one
    of `/etc/hosts`), and the names by which Docker makes its host known to containers.
    """
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _is_direct_name(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_private or (mapped or address).is_link_local


def _is_direct_name(host: str) -> bool:
    return (
        "." not in host
        or host.endswith((".localhost", ".docker.internal"))
        or _LOOPBACK.fullmatch(host) is not None
    )


def exceptions(environment: Mapping[str, str], *urls: str) -> dict[str, str]:
    """Return `no_proxy` and `NO_PROXY` for programs that read proxies from their environment.

    Args:
        environment: What the program gets otherwise.
        *urls: Addresses that it asks besides `ALWAYS_DIRECT`; direct ones are listed too.

    Returns:
        Both variables with what they list already; none if the environment names no proxy.
    """
    if not any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES):
        return {}
    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host for url in urls if (host := urlsplit(url).hostname) and is_direct(url)]
    names = [*filter(None, map(str.strip, listed.split(","))), *ALWAYS_DIRECT, *hosts]
    value = ",".join(dict.fromkeys(names))
    return {"no_proxy": value, "NO_PROXY": value}
