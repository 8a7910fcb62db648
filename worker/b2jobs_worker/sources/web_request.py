"""One GET over https, to the address that was judged, along at most five redirects."""

from __future__ import annotations

import os
import ssl
import threading
from collections import OrderedDict
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from urllib3 import BaseHTTPResponse, HTTPSConnectionPool, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from b2jobs import locations
from b2jobs.errors import CallerError, JobError, OperatorError
from b2jobs.locations import InvalidLocation, WebFile
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.hosts import Allowed, addresses, ascii_host
from b2jobs_worker.sources.web_failures import transport_error

REDIRECT_LIMIT = 5
CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
_POOLS_KEPT = 32
_REDIRECTS = (301, 302, 303, 307, 308)

_PoolKey = tuple[str, int, str, Path | None]


class _Pools:
    """Connections kept open, per host, address and certificates; the least used go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: OrderedDict[_PoolKey, HTTPSConnectionPool] = OrderedDict()
        self._contexts: dict[Path | None, ssl.SSLContext] = {}

    def get(self, key: _PoolKey) -> HTTPSConnectionPool:
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                host, port, address, ca_file = key
                pool = self._pools[key] = HTTPSConnectionPool(
                    address,
                    port,
                    maxsize=16,
                    timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                    retries=False,
                    ssl_context=self._context(ca_file),
                    server_hostname=host,
                )
            self._pools.move_to_end(key)
            if len(self._pools) > _POOLS_KEPT:
                self._pools.popitem(last=False)[1].close()
            return pool

    def _context(self, ca_file: Path | None) -> ssl.SSLContext:
        if ca_file not in self._contexts:
            context = ssl.create_default_context()
            if ca_file is not None:
                try:
                    context.load_verify_locations(ca_file)
                except (OSError, ssl.SSLError) as error:
                    raise OperatorError(
                        "config_invalid",
                        f"The file {ca_file} holds no certificates: {error}.",
                        hint="Correct the setting ca_file.",
                    ) from error
            self._contexts[ca_file] = context
        return self._contexts[ca_file]


_pools = _Pools()


def _forget_pools() -> None:
    global _pools  # noqa: PLW0603 - two processes must not use one connection
    _pools = _Pools()


os.register_at_fork(after_in_child=_forget_pools)


def request(url: str, headers: dict[str, str], settings: Settings) -> BaseHTTPResponse:
    """Ask for *url* and follow redirects; the body is not read yet, the caller closes it.

    Every hop must be https and is judged like the first. Proxies of the environment are not
    used: behind one, the address could not be judged.

    Raises:
        CallerError: `host_not_allowed`, `source_host_unknown`, `source_redirect_refused`,
            `source_certificate`.
        PassingError: `source_unreachable`, `source_interrupted`.
    """
    allowed = Allowed.parse(settings.private_hosts)
    start = shown(url)
    for _ in range(REDIRECT_LIMIT + 1):
        response = _hop(url, headers, allowed, settings.ca_file)
        target = response.headers.get("Location")
        if response.status not in _REDIRECTS or target is None:
            return response
        response.close()
        url = _redirected(url, target, start)
    raise CallerError(
        "source_redirect_refused", f"{start} redirects more than {REDIRECT_LIMIT} times."
    )


def shown(url: str) -> str:
    """*url* for messages: without its query, which may be a signature that opens it."""
    return url.partition("#")[0].partition("?")[0]


def _hop(
    url: str, headers: dict[str, str], allowed: Allowed, ca_file: Path | None
) -> BaseHTTPResponse:
    parts = urlsplit(url)
    host, port = ascii_host(parts.hostname or ""), parts.port or 443
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {
        "Host": (f"[{host}]" if ":" in host else host) + (f":{port}" if parts.port else ""),
        "Accept-Encoding": "identity",
        "User-Agent": "b2jobs",
        **headers,
    }
    problem: JobError | None = None
    for address in addresses(host, port, allowed):
        pool = _pools.get((host, port, address, ca_file))
        try:
            return pool.urlopen(
                "GET", path, headers=sent, redirect=False, preload_content=False,
                decode_content=False,
            )  # fmt: skip
        except ConnectTimeoutError as error:
            problem = transport_error(error, shown(url))  # the next address may answer
        except HTTPError as error:
            raise transport_error(error, shown(url)) from error
    assert problem is not None
    raise problem


def _redirected(url: str, target: str, start: str) -> str:
    target = urljoin(url, quote(target, safe="%/:=&?~#+!$,;'@()*[]"))
    try:
        location = locations.parse(target)
    except InvalidLocation as error:
        raise _redirect_refused(start, target) from error
    if not isinstance(location, WebFile):
        raise _redirect_refused(start, target)
    return location.url


def _redirect_refused(start: str, target: str) -> CallerError:
    return CallerError(
        "source_redirect_refused",
        f"{start} redirects to {shown(target)[:120]}, which is not served.",
        hint="Only https is followed.",
    )
