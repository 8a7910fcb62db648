"""One GET over https, to the address that was judged, along at most five redirects."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from b2jobs import locations
from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs.for_people import shown
from b2jobs.locations import InvalidLocation, WebFile
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.hosts import Allowed, addresses, ascii_host
from b2jobs_worker.sources.web_connection import Opening, Pools, current
from b2jobs_worker.sources.web_failures import transport_error

REDIRECT_LIMIT = 5
_REDIRECTS = (301, 302, 303, 307, 308)

_pools = Pools()


def _forget_pools() -> None:
    global _pools  # noqa: PLW0603 - two processes must not use one connection
    _pools = Pools()


os.register_at_fork(after_in_child=_forget_pools)


def request(
    url: str, headers: dict[str, str], settings: Settings, opening: Opening | None = None
) -> BaseHTTPResponse:
    """Ask for *url* and follow redirects; the body is not read yet, the caller closes it.

    Every hop must be https, is judged like the first, and may be refused by *opening*, which ends
    the request from another thread too. Proxies of the environment are not used: behind one, the
    address could not be judged. All of it together must not take longer than
    `https_head_seconds`.

    Raises:
        CallerError: `host_not_allowed`, `source_host_unknown`, `source_redirect_refused`,
            `source_certificate`.
        PassingError: `source_unreachable`, `source_interrupted`, `source_too_slow`.
    """
    current.opening = opening = opening or Opening()
    try:
        with opening.within(settings.https_head_seconds):
            return _followed(url, headers, settings, opening)
    except JobError as error:
        if opening.late:
            raise PassingError(
                "source_too_slow",
                f"{shown(url)} did not answer within {settings.https_head_seconds:g} s.",
                hint="The setting https_head_seconds says how long an answer may take.",
            ) from error
        raise
    finally:
        current.opening = None


def _followed(
    url: str, headers: dict[str, str], settings: Settings, opening: Opening
) -> BaseHTTPResponse:
    allowed = Allowed.parse(settings.private_hosts)
    start = shown(url)
    for _ in range(REDIRECT_LIMIT + 1):
        response = _hop(url, headers, allowed, settings.ca_file)
        target = response.headers.get("Location")
        if response.status not in _REDIRECTS or target is None:
            return response
        response.close()
        location = _redirected(url, target, start)
        opening.judge(location)
        url = location.url
    raise CallerError(
        "source_redirect_refused", f"{start} redirects more than {REDIRECT_LIMIT} times."
    )


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


def _redirected(url: str, target: str, start: str) -> WebFile:
    target = urljoin(url, quote(target, safe="%/:=&?~#+!$,;'@()*[]"))
    try:
        location = locations.parse(target)
    except InvalidLocation as error:
        raise _redirect_refused(start, target) from error
    if not isinstance(location, WebFile):
        raise _redirect_refused(start, target)
    return location


def _redirect_refused(start: str, target: str) -> CallerError:
    return CallerError(
        "source_redirect_refused",
        f"{start} redirects to {shown(target)[:120]}, which is not served.",
        hint="Only https is followed.",
    )
