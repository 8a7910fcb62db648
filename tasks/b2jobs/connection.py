"""Clients for a Redis that keep each call within one time, whatever is tried meanwhile.

redis-py has a timeout for each connect, address, read and try, and they multiply. Here a call
has a time of its own, which all of these share: the first half for the connection there is,
the rest for a new one.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from redis import Redis, Sentinel
from redis.backoff import ExponentialBackoff
from redis.client import Pipeline
from redis.connection import (
    AbstractConnection,
    BlockingConnectionPool,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool, SentinelManagedConnection

from b2jobs.errors import InvalidJob, QueueUnavailable
from b2jobs.redis_url import DEFAULT_URL, RedisUrl, read, refused, shown

__all__ = ["DEFAULT_URL", "connect", "shown", "within"]

URL_VARIABLE = "B2JOBS_REDIS_URL"
PREFIX_VARIABLE = "B2JOBS_KEY_PREFIX"
TIMEOUT_VARIABLE = "B2JOBS_REDIS_TIMEOUT_SECONDS"
TIMEOUT_SECONDS = 10.0
CONNECTIONS = 64
"""Most connections of one client. Who comes when all are busy waits, within the call's time."""


class _Time(NamedTuple):
    half: float
    end: float


_time: ContextVar[_Time | None] = ContextVar("b2jobs_redis_time", default=None)


def connect(url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Redis:
    """A client for *url*, each of whose calls ends within *timeout_seconds*.

    A broken connection is replaced within that time. Nothing is sent yet; answers are `str`.
    Looking a host's name up is the system's and not counted. Thread-safe.

    Raises:
        InvalidJob: `invalid_redis_url`.
    """
    address = read(url)
    if address.service:
        return _master(address, timeout_seconds)
    host, port = address.hosts[0] if address.hosts else ("", 0)
    place: dict[str, Any] = {"path": address.path} if address.path else {"host": host, "port": port}
    return _client(
        _Pool,
        timeout_seconds,
        **place,
        **(address.tls or {}),
        db=address.db,
        username=address.username,
        password=address.password,
        connection_class=_Unix if address.path else _Tls if address.tls else _Tcp,
        health_check_interval=30,
    )


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Keep what is asked of Redis here within *seconds*; of nested times the shortest counts."""
    now, outer = time.monotonic(), _time.get()
    if outer is not None and outer.end <= now + seconds:
        yield
        return
    token = _time.set(_Time(now + seconds / 2, now + seconds))
    try:
        yield
    finally:
        _time.reset(token)


def call_seconds(given: float | None) -> float:
    """How long a producer's call may take: *given*, or `B2JOBS_REDIS_TIMEOUT_SECONDS`.

    Raises:
        InvalidJob
    """
    said = os.environ.get(TIMEOUT_VARIABLE) or TIMEOUT_SECONDS if given is None else given
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 3600:
        raise InvalidJob(
            f"{said!r} is no time for a call of Redis.",
            hint=f"Give 0.1 to 3600 seconds, as timeout_seconds or {TIMEOUT_VARIABLE}.",
            field="timeout_seconds",
        )
    return seconds


def turned_down(error: Exception, url: str) -> InvalidJob | QueueUnavailable:
    """Our error for a Redis at *url* that did not confirm, with the way out where one is known."""
    reason = str(error) or type(error).__name__
    if "DB index is out of range" in reason:
        return refused(url, "that Redis has no such database", "It has 16 unless its file says so.")
    made = QueueUnavailable(f"Redis at {shown(url)} did not confirm: {reason}")
    for word, (said, hint) in _WAYS_OUT.items():
        if word in reason:
            made = QueueUnavailable(f"Redis at {shown(url)} did not confirm: {said} ({word}).")
            made.hint = hint
    return made


_WAYS_OUT = {
    "DENIED": (
        "it is in protected mode and answers its own host only",
        "Give it a password (requirepass, or an ACL user) and put that into the URL, or let it "
        "listen on an address that only your machines reach and set `protected-mode no`.",
    ),
    "NOAUTH": (
        "it wants a password",
        "Put user and password into the URL: redis://USER:PASSWORD@HOST:PORT/DB.",
    ),
    "WRONGPASS": (
        "it knows no such user, or the password is another",
        "Correct the URL; / ? # @ : and % in a password must be percent-encoded.",
    ),
}


def _left() -> float:
    found = _time.get()
    return math.inf if found is None else found.end - time.monotonic()


def _for_one_try() -> float | None:
    """How long the next step may take; None where no call has set a time."""
    found = _time.get()
    if found is None:
        return None
    now = time.monotonic()
    seconds = found.half - now
    if seconds <= 0:
        seconds = found.end - now
    if seconds <= 0:
        raise RedisTimeoutError("it gave no answer in time")
    return seconds


class _Timed(AbstractConnection):
    """A connection that asks before each step how much of the call's time is left."""

    def _connect(self) -> Any:
        seconds = _for_one_try()
        if seconds is not None:
            self.socket_timeout = seconds
            self.socket_connect_timeout = seconds / self._addresses()
        return super()._connect()  # type: ignore[no-untyped-call, safe-super]  # a mixin

    def _addresses(self) -> int:
        return 1

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        self._set_time()
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]  # likewise

    def read_response(self, *args: Any, **options: Any) -> Any:
        self._set_time()
        return super().read_response(*args, **options)

    def _set_time(self) -> None:
        connected: socket.socket | None = self._sock
        if connected is not None:
            connected.settimeout(_for_one_try() or TIMEOUT_SECONDS)


class _Tcp(_Timed, Connection):
    def _addresses(self) -> int:
        return len(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM))


class _Tls(SSLConnection, _Tcp):
    pass


class _Unix(_Timed, UnixDomainSocketConnection):
    pass


class _Master(SentinelManagedConnection, _Tcp):
    pass


class _MasterTls(SentinelManagedConnection, _Tls):
    pass


class _Pool(BlockingConnectionPool):
    """A pool in which one waits for a free connection as long as the call's time allows."""

    call_seconds = TIMEOUT_SECONDS

    @property
    def timeout(self) -> float:  # redis-py has one number here for all calls
        return max(0.0, min(_left(), self.call_seconds))

    @timeout.setter
    def timeout(self, seconds: float) -> None: ...


class _MasterPool(SentinelConnectionPool, _Pool):
    pass


class _Redis(Redis):
    connection_pool: _Pool

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with within(self.connection_pool.call_seconds):
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # theirs

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(Pipeline):
    connection_pool: _Pool

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with within(self.connection_pool.call_seconds):
            return super().execute(raise_on_error)


class _Retry(Retry):
    """Tries again only while the call has time, and pauses no longer."""

    def call_with_retry(
        self,
        do: Callable[[], Any],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> Any:
        failures = 0
        while True:
            try:
                return do()
            except AuthenticationError:  # a broken connection to redis-py, and yet an answer
                raise
            except self._supported_errors as error:
                if is_retryable is not None and not is_retryable(error):
                    raise
                failures += 1
                fail(error, *([failures] if with_failure_count else []))
                if failures > self._retries or _left() <= 0:
                    raise
                time.sleep(max(0.0, min(self._backoff.compute(failures), _left())))


def _client(pool: type[_Pool], seconds: float, **options: Any) -> Redis:
    made = pool(
        **_driver(),
        max_connections=CONNECTIONS,
        decode_responses=True,
        encoding_errors="surrogateescape",  # whatever lies there, it can be read
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=_Retry(
            ExponentialBackoff(cap=0.5, base=0.1),
            retries=3,
            supported_errors=(RedisConnectionError, RedisTimeoutError, OSError),
        ),
        **options,
    )
    made.call_seconds = seconds
    return _Redis(connection_pool=made)


@cache
def _driver() -> dict[str, Any]:
    """What redis-py says of itself, read once: each connection would look its version up."""
    found = find_spec("redis.driver_info")  # since 7.2
    return {"driver_info": import_module("redis.driver_info").DriverInfo()} if found else {}


def _master(address: RedisUrl, seconds: float) -> Redis:
    tls = address.tls or {}
    sentinel = Sentinel([])  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    sentinel.sentinels = [
        _client(
            _Pool,
            seconds / 2 / len(address.hosts),  # so that the last one is asked too
            host=host,
            port=port,
            username=address.sentinel_username,
            password=address.sentinel_password,
            connection_class=_Tls if tls else _Tcp,
            **tls,
        )
        for host, port in address.hosts
    ]
    return _client(
        _MasterPool,
        seconds,
        service_name=address.service,
        sentinel_manager=sentinel,
        db=address.db,
        username=address.username,
        password=address.password,
        connection_class=_MasterTls if tls else _Master,
        health_check_interval=30,
        **tls,
    )
