"""HTTP sessions that give credentials to the forge and to nobody else."""

from __future__ import annotations

import threading
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.util.ssl_ import create_urllib3_context

from muster.hosts import is_direct

if TYPE_CHECKING:
    import ssl

    from muster.forge.credentials import Basic, Token

_of_thread = threading.local()

_trusted: dict[str, str] = {}
"""The certificates of private CAs, in PEM, by the beginning of the URLs that they are for."""


def trust(url: str, certificates: str) -> None:
    """Have this process trust a private CA's certificates at a forge, in addition to all others.

    Args:
        url: The forge's address.
        certificates: In PEM, and nothing but certificates.
    """
    parts = urlsplit(url.strip().lower())
    if parts.scheme == "https":
        _trusted[f"https://{parts.netloc}/"] = certificates


class RedirectedError(Exception):
    """A redirect that is not followed; `target` is where it leads, without a query."""

    def __init__(self, status: int, target: str) -> None:
        self.status = status
        self.target = target
        super().__init__()


class Authorization(requests.auth.AuthBase):
    """Sets our header, or none where nobody speaks; requests then leaves .netrc alone."""

    def __init__(self, auth: Basic | Token | None) -> None:
        self._auth = auth

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Complete a request, as requests asks of an `AuthBase`."""
        if self._auth:
            r.headers["Authorization"] = self._auth.header
        return r


def session() -> requests.Session:
    """Return this thread's session, whose connections are kept and serve all clients.

    It knows no credentials and keeps no cookies: a forge's cookie could speak for someone else.
    """
    found: requests.Session | None = getattr(_of_thread, "session", None)
    if found is None:
        found = _of_thread.session = _Session()
        found.headers.update({"Accept": "application/json", "User-Agent": "muster"})
        found.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for beginning, certificates in tuple(_trusted.items()):
        mounted = found.adapters.get(beginning)
        if not isinstance(mounted, _Trusting) or mounted.certificates != certificates:
            found.mount(beginning, _Trusting(certificates))
    return found


class _Trusting(requests.adapters.HTTPAdapter):
    """Trusts certificates in addition to those that requests verifies with.

    requests loads its own, or those of REQUESTS_CA_BUNDLE, into the context that it finds.
    """

    def __init__(self, certificates: str) -> None:
        self.certificates = certificates
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - the base's types
        """Set up connections without a proxy."""
        super().init_poolmanager(*args, **more, ssl_context=self._context())

    def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:  # noqa: ANN401 - the base's types
        """Set up connections through a proxy."""
        return super().proxy_manager_for(proxy, **more, ssl_context=self._context())

    def _context(self) -> ssl.SSLContext:
        context = create_urllib3_context()
        context.load_verify_locations(cadata=self.certificates)
        return context


class DirectSession(requests.Session):
    """Takes proxies and the CA bundle from the environment, but no proxy for a direct host."""

    def merge_environment_settings(
        self,
        url: Any,  # noqa: ANN401 - the base's types
        proxies: Any,  # noqa: ANN401
        stream: Any,  # noqa: ANN401
        verify: Any,  # noqa: ANN401
        cert: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Return a request's settings."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if is_direct(str(url)):
            settings["proxies"] = {}
        return settings


class _Session(DirectSession):
    """Follows redirects on the same host only, and only those that keep the method.

    A forge redirects from the old name of a user or a repository to the new one (307).
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        old, new = urlsplit(resp.url), urlsplit(urljoin(resp.url, target))
        keeps_method = resp.status_code in {307, 308} or resp.request.method == "GET"
        if old[:2] != new[:2] or not keeps_method:
            host = new.netloc.rpartition("@")[2]
            raise RedirectedError(resp.status_code, f"{new.scheme}://{host}{new.path}")
        return target

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Keep our header, for the host is the same; requests would look into .netrc here."""

    def rebuild_proxies(
        self,
        prepared_request: requests.PreparedRequest,  # noqa: ARG002 - the base's
        proxies: Any,  # noqa: ANN401 - the base's types
    ) -> Any:  # noqa: ANN401
        """Keep what the first request used: a redirect stays on its host."""
        return proxies
