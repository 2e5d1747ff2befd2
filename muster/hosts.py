"""What a URL's host is: loopback, or reached directly whatever proxy the environment names.

A proxy cannot reach this machine's loopback, nor names and networks that only this machine's Docker
knows; and it must not see credentials meant for them. HTTP libraries ask a proxy for all hosts that
`NO_PROXY` does not list, loopback included.

The doctor takes this module along into containers: it needs the standard library alone, of Python
3.7 or later.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ALWAYS_DIRECT = ("localhost", "127.0.0.1", "::1", "host.docker.internal")
"""What `NO_PROXY` has to list for programs that know no rule, only names."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_SHORT_LOOPBACK = re.compile(r"127[\d.]*|0")
"""Short forms such as `127.1`, which resolvers take and `ipaddress` does not."""


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is the machine, or container, that opens it."""
    host = _host(url)
    address = _address(host)
    if address is None:
        named = host == "localhost" or host.endswith(".localhost")
        return named or _SHORT_LOOPBACK.fullmatch(host) is not None
    return address.is_loopback or address.is_unspecified


def is_direct(url: str) -> bool:
    """Tell whether a URL's host is reached directly.

    That is loopback, a private or link-local address, a name without a dot (a container's, or one
    of `/etc/hosts`), and the names by which Docker makes its host known to containers.
    """
    host = _host(url)
    address = _address(host)
    if address is None:
        return is_loopback(url) or "." not in host or host.endswith(".docker.internal")
    return address.is_private or address.is_link_local


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".").lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of an environment, and `no_proxy`, by names in small letters.

    Small letters win, as in most programs; curl reads `http_proxy` in small letters only.
    """
    names = (*_PROXIES, "no_proxy")
    found = {name: environment.get(name) or environment.get(name.upper()) for name in names}
    return {name: value for name, value in found.items() if value}


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the HTTP proxy by which a URL is reached; None if it is reached directly."""
    parts, found = urlsplit(url), proxies(environment)
    named = found.get(f"{parts.scheme}_proxy") or found.get("all_proxy") or ""
    address = named if "://" in named else f"http://{named}"
    excepted = {"no": found.get("no_proxy", "")}
    if not named or is_direct(url) or not address.lower().startswith("http"):  # SOCKS
        return None
    host = parts.netloc.rpartition("@")[2]
    is_excepted = urllib.request.proxy_bypass_environment(host, excepted)  # type: ignore[attr-defined]
    return None if is_excepted else address


def exceptions(environment: Mapping[str, str], *urls: str) -> dict[str, str]:
    """Return `no_proxy` and `NO_PROXY` for programs that read proxies from their environment.

    Args:
        environment: What the program gets otherwise.
        *urls: Addresses that it asks besides `ALWAYS_DIRECT`; direct ones are listed too.

    Returns:
        Both variables with what they list already; none if the environment names no proxy.
    """
    found = proxies(environment)
    listed = found.pop("no_proxy", "")
    if not found:
        return {}
    hosts = [urlsplit(url).hostname or "" for url in urls if is_direct(url)]
    names = [*map(str.strip, listed.split(",")), *ALWAYS_DIRECT, *hosts]
    value = ",".join(dict.fromkeys(filter(None, names)))
    return {"no_proxy": value, "NO_PROXY": value}
