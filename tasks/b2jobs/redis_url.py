"""The URL of a Redis, read once for both sides: producers' redis-py and the workers' Celery.

redis://[USER:PASSWORD@]HOST[:PORT][/DB]
rediss://...                                    the same over TLS
unix://[USER:PASSWORD@]/PATH[?db=DB]
sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/SERVICE[/DB]
sentinels://...                                 the same over TLS, sentinels included

docs/redis.md lists the options behind `?`. What stands in neither is refused.
"""

from __future__ import annotations

import difflib
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from b2jobs.errors import InvalidJob

DEFAULT_URL = "redis://127.0.0.1:6379/0"

_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "sentinels": 26379, "unix": 0}
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_TLS_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ca_path")
_TLS = (
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers", "ssl_password"),
    *_TLS_FILES,
)
_EVERYWHERE = ("db", "username", "password")
_SENTINEL = ("sentinel_username", "sentinel_password")
OPTIONS = (*_EVERYWHERE, *_SENTINEL, *_TLS)
_SHOWN = frozenset(OPTIONS) - {"password", "sentinel_password", "ssl_password"}
_HOSTS = re.compile(r"(?:[\w.%-]*|\[[\w.:%-]+\])(?::\d*)?", re.ASCII)
_HINT = "`b2jobs docs redis` lists what a Redis URL may say."


@dataclass(frozen=True)
class RedisUrl:
    """The parts of a Redis URL. A socket has no `hosts`; `service` is a Sentinel's.

    tls: redis-py's `ssl_...` arguments, or None without TLS. Certificates are required and
        their names checked unless the URL says otherwise.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: dict[str, Any] | None = field(default=None, repr=False)


def read(url: str) -> RedisUrl:
    """Read *url*.

    Raises:
        InvalidJob: `invalid_redis_url`, in one sentence without what could be a password.
    """
    try:
        return _read(url.strip())
    except ValueError as error:
        raise refused(url, str(error)) from None  # urllib's words may quote a password


def refused(url: str, why: str, hint: str = _HINT) -> InvalidJob:
    """The error for a *url* that leads nowhere."""
    return InvalidJob(
        f"The Redis URL {shown(url)!r} is refused: {why}.",
        code="invalid_redis_url",
        hint=hint,
        field="redis_url",
    )


def shown(url: str) -> str:
    """*url* without what could be a password, for messages.

    A user's name goes too; an option is shown with its value only if it is known and harmless.
    """
    scheme, separator, rest = url.strip().rpartition("://")
    if not separator:
        scheme, separator = "", ""
    place, _, query = rest.partition("?")
    if "@" in query or "#" in query:  # a password that is not percent-encoded, cut in two
        return f"{scheme}{separator}***"
    place = place.rpartition("@")[2]
    hosts, slash, path = place.partition("/")
    if not all(_HOSTS.fullmatch(host) for host in hosts.split(",")):
        return f"{scheme}{separator}***"
    options = "&".join(_option_shown(option) for option in query.split("&") if option)
    return f"{scheme}{separator}{hosts}{slash}{path}{'?' if options else ''}{options}"


def _option_shown(option: str) -> str:
    name, equals, value = option.partition("=")
    return f"{name}{equals}{value if name in _SHOWN else '***'}" if equals else name


def _read(url: str) -> RedisUrl:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _PORTS:
        raise ValueError("it begins with none of redis://, rediss://, unix://, sentinel://")
    place, _, query = rest.partition("?")
    if "@" in query or "#" in rest or place.count("@") > 1:
        raise ValueError("a user or password with ? # or @ in it must be percent-encoded")
    login, _, place = place.rpartition("@")
    hosts, _, path = place.partition("/")
    secure = scheme in ("rediss", "sentinels")
    options = _options(query, sentinel=scheme.startswith("sentinel"), secure=secure)
    username, _, password = login.partition(":")
    service, database = "", path
    if scheme.startswith("sentinel"):
        service, _, database = path.partition("/")
        if not service:
            raise ValueError("it names no service: sentinel://HOST:PORT,HOST:PORT/SERVICE/DB")
    elif scheme == "unix":
        if hosts or not path:
            raise ValueError("a socket is written unix:///PATH")
        database = ""
    return RedisUrl(
        hosts=() if scheme == "unix" else _hosts(hosts, scheme),
        path=f"/{unquote(path)}" if scheme == "unix" else "",
        service=unquote(service),
        db=_database(_said("db", unquote(database), options) or "0"),
        username=_said("username", unquote(username), options),
        password=_said("password", unquote(password), options),
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        tls=_tls(options) if secure else None,
    )


def _hosts(text: str, scheme: str) -> tuple[tuple[str, int], ...]:
    found = []
    for item in text.split(","):
        if not _HOSTS.fullmatch(item):
            raise ValueError("hosts are written HOST:PORT, an IPv6 address as [::1]:PORT")
        parts = urlsplit(f"//{item}")
        try:
            port = parts.port
        except ValueError:
            port = 0
        if port == 0:
            raise ValueError("a port is a number from 1 to 65535")
        found.append((unquote(parts.hostname or ""), port or _PORTS[scheme]))
    if scheme.startswith("sentinel"):
        if not all(host for host, _ in found):
            raise ValueError("it names no host: sentinel://HOST:PORT,HOST:PORT/SERVICE/DB")
        return tuple(found)
    if len(found) > 1:
        raise ValueError("several hosts go with sentinel:// only; Redis Cluster is not supported")
    return ((found[0][0] or "localhost", found[0][1]),)


def _options(query: str, *, sentinel: bool, secure: bool) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, 1) or [f"one of {', '.join(OPTIONS)}"]
            raise ValueError(f"it has an unknown option {name!r}, the nearest known is {near[0]}")
        if name in options:
            raise ValueError(f"it says {name} twice")
        if name in _TLS and not secure:
            raise ValueError(f"{name} goes with rediss:// and sentinels:// only")
        if name in _SENTINEL and not sentinel:
            raise ValueError(f"{name} goes with sentinel:// and sentinels:// only")
        options[name] = value
    return options


def _said(name: str, before: str, options: dict[str, str]) -> str | None:
    """What the URL says before its `?` or behind it, which must not be two things."""
    behind = options.get(name, "")
    if before and behind and before != behind:
        raise ValueError(f"it says two different things for {name}, before its ? and behind it")
    return before or behind or None


def _database(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError("a database is a number such as 0")
    return int(text)


def _tls(options: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {name: options[name] for name in _TLS if name in options}
    wanted = found.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if wanted not in ("none", "optional", "required"):
        raise ValueError("ssl_cert_reqs is none, optional or required")
    found["ssl_cert_reqs"] = ssl.VerifyMode[f"CERT_{wanted.upper()}"]
    if "ssl_check_hostname" in found:
        given = found["ssl_check_hostname"].lower()
        if given not in _BOOLEANS:
            raise ValueError("ssl_check_hostname is true or false")
        found["ssl_check_hostname"] = _BOOLEANS[given]
    if "ssl_min_version" in found:
        version = re.sub(r"(?i)^tlsv?", "", found["ssl_min_version"]).replace("_", ".")
        if version not in _TLS_VERSIONS:
            raise ValueError("ssl_min_version is 1.2 or 1.3")
        found["ssl_min_version"] = _TLS_VERSIONS[version]
    for name in _TLS_FILES:
        if name in found and not Path(found[name]).exists():
            raise ValueError(f"{name} names {found[name]}, which is not there")
    return found
