"""Connections for https sources that somebody else can end: a cancel, or a deadline.

A server that sends one byte of its head every few seconds resets every timeout of a socket.
So the whole way from the look at the name to the end of the head has one deadline, and what
waits on the socket is woken by shutting it down.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SHUT_RDWR, socket

from urllib3 import HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPSConnection
from urllib3.response import HTTPResponse

from b2jobs.locations import WebFile
from b2jobs_worker.sources.failures import no_certificates

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
_POOLS_KEPT = 32

PoolKey = tuple[str, int, str, Path | None]


class Opening:
    """One request under way, until its head is there. `close` ends it, from any thread.

    *judge* is asked for each place that a redirect leads to, and raises where it may not be read.
    """

    def __init__(self, judge: Callable[[WebFile], None] = lambda _: None) -> None:
        self.judge = judge
        self._lock = threading.Lock()
        self._sockets: list[socket] = []
        self.ended = False
        self.late = False

    def close(self) -> None:
        """End it: the request fails at once, now and whenever it is tried again."""
        with self._lock:
            self.ended = True
            for watched in self._sockets:
                with suppress(OSError):  # the other side was faster
                    watched.shutdown(SHUT_RDWR)

    def watch(self, connected: socket) -> None:
        """Shut *connected* down with this. A copy of it: TLS takes the original away."""
        with self._lock:
            copy = socket(fileno=os.dup(connected.fileno()))
            self._sockets.append(copy)
            if self.ended:
                copy.shutdown(SHUT_RDWR)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let the request go on until *seconds* are over; `late` says that they are."""
        timer = threading.Timer(seconds, self._too_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._forget()

    def _too_late(self) -> None:
        self.late = True
        self.close()

    def _forget(self) -> None:
        with self._lock:
            for watched in self._sockets:
                watched.close()
            self._sockets.clear()


class _Current(threading.local):
    opening: Opening | None = None


current = _Current()
"""Whose request this thread makes: urllib3 has no place to say it."""


class _Connection(HTTPSConnection):
    def _new_conn(self) -> socket:
        connected = super()._new_conn()
        if current.opening is not None:
            current.opening.watch(connected)
        return connected

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        if current.opening is not None and isinstance(self.sock, socket):
            current.opening.watch(self.sock)
        return super().getresponse()


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Context(ssl.SSLContext):
    """TLS that tells an end from a cut: only a server that says "close notify" has ended."""

    def wrap_socket(self, *arguments: object, **options: object) -> ssl.SSLSocket:
        options["suppress_ragged_eofs"] = False
        return super().wrap_socket(*arguments, **options)  # type: ignore[arg-type]  # passed on


class Pools:
    """Connections kept open, per host, address and certificates; the least used go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: OrderedDict[PoolKey, HTTPSConnectionPool] = OrderedDict()
        self._contexts: dict[Path | None, ssl.SSLContext] = {}

    def get(self, key: PoolKey) -> HTTPSConnectionPool:
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                host, port, address, ca_file = key
                pool = self._pools[key] = _Pool(
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
            context = _Context(ssl.PROTOCOL_TLS_CLIENT)
            context.load_default_certs()
            if ca_file is not None:
                try:
                    context.load_verify_locations(ca_file)
                except (OSError, ssl.SSLError) as error:
                    raise no_certificates(ca_file, error) from error
            self._contexts[ca_file] = context
        return self._contexts[ca_file]
