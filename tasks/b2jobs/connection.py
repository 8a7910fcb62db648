"""How to reach Redis: one URL form for producers and workers.

redis://[USER:PASSWORD@]HOST:PORT/DB
rediss://...                                  the same over TLS
sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]/SERVICE[/DB]
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis import Redis, Sentinel
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from b2jobs.errors import InvalidJob

DEFAULT_URL = "redis://127.0.0.1:6379/0"
URL_VARIABLE = "B2JOBS_REDIS_URL"
PREFIX_VARIABLE = "B2JOBS_KEY_PREFIX"
SOCKET_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class SentinelAddress:
    """The parts of a `sentinel://` URL."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int
    username: str | None
    password: str | None


def connect(url: str) -> Redis:
    """A client for *url* that tries a broken connection again for about a second.

    Nothing is sent yet; answers are `str`.

    Raises:
        InvalidJob: `invalid_redis_url`.
    """
    if url.startswith("sentinel://"):
        address = sentinel_address(url)
        sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            list(address.hosts), socket_timeout=SOCKET_TIMEOUT_SECONDS, decode_responses=True
        )
        master: Redis = sentinel.master_for(  # type: ignore[no-untyped-call]  # likewise
            address.service,
            db=address.db,
            username=address.username,
            password=address.password,
            retry=_retry(),
        )
        return master
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            health_check_interval=30,
            retry=_retry(),
        )
    except ValueError as error:
        raise _refused(url, str(error)) from error


def sentinel_address(url: str) -> SentinelAddress:
    """Read a `sentinel://` URL.

    Raises:
        InvalidJob: `invalid_redis_url`.
    """
    credentials, _, rest = url.removeprefix("sentinel://").rpartition("@")
    username, _, password = credentials.partition(":")
    hosts_text, _, path = rest.partition("/")
    service, _, db = path.partition("/")
    hosts = []
    for item in hosts_text.split(","):
        parts = urlsplit(f"//{item}")
        try:
            hosts.append((parts.hostname or "", parts.port or 26379))
        except ValueError as error:
            raise _refused(url, str(error)) from error
    if not service or not all(host for host, _ in hosts) or not (db or "0").isdigit():
        raise _refused(url, "it needs sentinel://HOST:PORT,HOST:PORT/SERVICE/DB")
    return SentinelAddress(
        hosts=tuple(hosts),
        service=service,
        db=int(db or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
    )


def tls_options(url: str) -> dict[str, Any]:
    """What a `rediss://` URL says about TLS, for kombu, which would not verify by itself.

    Certificates are required and their names checked unless the URL says otherwise:
    `?ssl_cert_reqs=none`, `ssl_ca_certs=PATH`, `ssl_certfile=PATH`, `ssl_keyfile=PATH`.
    """
    query = parse_qs(urlsplit(url).query)
    options: dict[str, Any] = {
        name: values[-1] for name, values in query.items() if name.startswith("ssl_")
    }
    wanted = str(options.get("ssl_cert_reqs", "required")).upper().removeprefix("CERT_")
    options["ssl_cert_reqs"] = ssl.VerifyMode[f"CERT_{wanted}"]
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() in ("true", "1")
    return options


def shown(url: str) -> str:
    """*url* without its password, for messages."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _retry() -> Retry:
    return Retry(
        ExponentialBackoff(cap=0.5, base=0.1),
        retries=3,
        supported_errors=(RedisConnectionError, RedisTimeoutError, OSError),
    )


def _refused(url: str, why: str) -> InvalidJob:
    return InvalidJob(
        f"The Redis URL {shown(url)!r} is refused: {why}.",
        code="invalid_redis_url",
        hint="Write redis://HOST:PORT/DB, rediss://... or sentinel://HOST:PORT/SERVICE/DB.",
        field="redis_url",
    )
