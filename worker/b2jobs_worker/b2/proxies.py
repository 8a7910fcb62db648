"""Which proxy a URL goes through, by HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

The standard library reads those variables; here its answer is turned into what a
connection needs.
"""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. Requests to http go to it as they are, https is tunnelled (CONNECT)."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@lru_cache(maxsize=256)
def proxy_for(scheme: str, host: str) -> Proxy | None:
    """The proxy for *host*, None for a direct connection. Read once for each host.

    Raises:
        ValueError: the proxy's URL is not one of an HTTP proxy.
    """
    url = urllib.request.getproxies().get(scheme)
    if not url or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"the proxy for {scheme} must be http://HOST:PORT")
    headers = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        encoded = base64.b64encode(secret.encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {encoded}"
    return Proxy(parts.hostname, parts.port or 80, headers)
