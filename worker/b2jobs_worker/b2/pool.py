"""Idle connections, kept for the next request to the same place."""

from __future__ import annotations

import ssl
import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from b2jobs_worker.b2.proxies import Proxy, proxy_for
from b2jobs_worker.b2.wire import Connection

_IDLE_LIMIT = 192
_IDLE_SECONDS = 55.0
_LOOK_SECONDS = 1.0
_SESSION_SECONDS = 1800.0
"""How old a TLS session may be before the next connection's is taken; servers keep longer."""
_NO_SESSION: tuple[float, ssl.SSLSession | None] = float("-inf"), None


class Origin(NamedTuple):
    """Where a URL leads: the key of the pool, looked up several times a request."""

    scheme: str
    host: str
    port: int


class ConnectionPool:
    """Connections by origin, the last used one first; at most 192 idle ones are kept, 55 s each.

    Each is used by one thread at a time. The pool belongs to one process: sockets that a
    fork has copied must not be used by both sides, so accounts.py builds a new one.
    """

    def __init__(self, tls: ssl.SSLContext, *, connect_timeout_seconds: float) -> None:
        self._tls = tls
        self._connect_timeout_seconds = connect_timeout_seconds
        self._idle: OrderedDict[Origin, list[tuple[float, Connection]]] = OrderedDict()
        self._sessions: dict[Origin, tuple[float, ssl.SSLSession | None]] = {}
        self._count = 0
        self._looked_at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, origin: Origin) -> Connection | None:
        """An open, idle connection that is still good, or None."""
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                since, connection = idle.pop()
                self._count -= 1
            if time.monotonic() - since < _IDLE_SECONDS and not connection.has_gone_stale():
                return connection
            connection.close()

    def give(self, origin: Origin, connection: Connection) -> None:
        """Keep *connection* for the next request, and its TLS session for new connections."""
        surplus, now = list[Connection](), time.monotonic()
        if origin.scheme == "https":
            self._keep_session(origin, connection, now)
        with self._lock:
            self._idle.setdefault(origin, []).append((now, connection))
            self._idle.move_to_end(origin)
            self._count += 1
            if self._count > _IDLE_LIMIT:
                surplus.append(self._oldest())
            if now - self._looked_at >= _LOOK_SECONDS:
                self._looked_at = now
                surplus += self._outdated(now)
        for each in surplus:
            each.close()

    def _outdated(self, now: float) -> list[Connection]:
        """Those nobody has needed for long: a large file had many, what follows it needs few."""
        found = list[Connection]()
        for connections in self._idle.values():
            while connections and now - connections[0][0] >= _IDLE_SECONDS:
                found.append(connections.pop(0)[1])
        self._count -= len(found)
        return found

    def _keep_session(self, origin: Origin, connection: Connection, now: float) -> None:
        since, _ = self._sessions.get(origin, _NO_SESSION)
        if now - since < _SESSION_SECONDS:
            return
        session = connection.session()
        with self._lock:
            self._sessions.pop(origin, None)
            self._sessions[origin] = now, session
            if len(self._sessions) > _IDLE_LIMIT:
                del self._sessions[next(iter(self._sessions))]

    def new(self, origin: Origin, proxy: Proxy | None) -> Connection:
        """A connection to *origin* that is not open yet."""
        tls = self._tls if origin.scheme == "https" else None
        tunnel = None
        host, port = origin.host, origin.port
        if proxy is not None:
            host, port = proxy.host, proxy.port
            if tls is not None:
                tunnel = (origin.host, origin.port, proxy.headers)
        return Connection(
            host,
            port,
            tls=tls,
            connect_timeout_seconds=self._connect_timeout_seconds,
            tunnel=tunnel,
            session=self._sessions.get(origin, _NO_SESSION)[1],
        )

    def proxy(self, origin: Origin) -> Proxy | None:
        return proxy_for(origin.scheme, origin.host)

    def close(self) -> None:
        """Close what is idle; connections under way close themselves when given back."""
        with self._lock:
            idle, self._idle, self._count = self._idle, OrderedDict(), 0
        for connections in idle.values():
            for _, connection in connections:
                connection.close()

    def _oldest(self) -> Connection:
        for origin, connections in self._idle.items():
            if connections:
                self._count -= 1
                return connections.pop(0)[1]
            del self._idle[origin]
            break
        return self._oldest()
