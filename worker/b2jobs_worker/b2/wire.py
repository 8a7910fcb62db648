"""One HTTP/1.1 connection: http.client's connecting, TLS and tunnels, a leaner reading.

http.client parses response headers with the e-mail package, which is two thirds of what
a small call costs (docs/decisions/engine-http-layer.md). Reading them here takes 0.07 ms
instead of 0.19 ms a call. Nothing here knows B2.
"""

from __future__ import annotations

import http.client
import io
import re
import select
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_LINE_LIMIT_BYTES = 65_536
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
_HEADER_LIMIT = 200
_HEADERS_LIMIT_BYTES = 262_144
_INTERIM_LIMIT = 20
_WHOLE_LIMIT_BYTES = 64 * 1024 * 1024
"""Of a body that is read at once: a thousand versions with all the info B2 takes are 10 MB."""
_READ_AHEAD_BYTES = 65_536
_JOIN_LIMIT_BYTES = 65_536


class Headers(dict[str, str]):
    """Response headers by lower-case name; looking up and `in` ignore case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # no other default is used here
        return super().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class BadResponse(ConnectionError):
    """The other side does not speak HTTP, or the connection ended inside a response."""


class _Https(http.client.HTTPSConnection):
    """Takes up a TLS session that another connection has had; else as http.client does it."""

    def __init__(self, *arguments: Any, session: ssl.SSLSession | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._resumed = session

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)  # the plain one, through a tunnel where there is
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]  # http.client's own
        name: str = self._tunnel_host or self.host  # type: ignore[attr-defined]  # as there
        self.sock = context.wrap_socket(self.sock, server_hostname=name, session=self._resumed)


class Connection:
    """A connection that carries one exchange at a time. Any thread may `abort` it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        connect_timeout_seconds: float,
        tunnel: tuple[str, int, Mapping[str, str]] | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        """*session*: of an earlier connection to the same place with the same *tls*."""
        if tls is None:
            self._http = http.client.HTTPConnection(host, port, timeout=connect_timeout_seconds)
        else:
            self._http = _Https(
                host, port, timeout=connect_timeout_seconds, context=tls, session=session
            )
        if tunnel is not None:
            self._http.set_tunnel(tunnel[0], tunnel[1], dict(tunnel[2]))
        self._socket: socket.socket | None = None
        self._reader: io.BufferedReader | None = None
        self._aborted = False

    def connect(self) -> None:
        """Open it. Raises OSError."""
        self._http.connect()
        self._socket = self._http.sock
        self._socket.settimeout(None)
        self._reader = io.BufferedReader(socket.SocketIO(self._socket, "r"), _READ_AHEAD_BYTES)
        if self._aborted:
            self.abort()

    def session(self) -> ssl.SSLSession | None:
        """What the next connection to the same place can take up; none without TLS.

        Ask rarely: it is a copy, which takes OpenSSL as long as a small upload.
        """
        return self._socket.session if isinstance(self._socket, ssl.SSLSocket) else None

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def has_gone_stale(self) -> bool:
        """Whether an idle connection was closed, or wrongly written to, by the other side.

        An answer that came twice lies in the buffer: the next request would take it for its own.
        """
        sock, reader = self._socket, self._reader
        assert sock is not None
        assert reader is not None
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if poll.poll(0):
            return True
        sock.setblocking(False)
        try:
            return bool(reader.peek(1))
        except OSError:
            return False  # TLS says in this way that nothing has come
        finally:
            sock.setblocking(True)

    def send(
        self,
        head: bytes,
        body: bytes | memoryview | Iterable[bytes | memoryview] | None,
        *,
        timeout_seconds: float,
    ) -> None:
        """Send a request. Raises OSError; an early answer may be there to be read even so."""
        sock = self._socket
        assert sock is not None
        sock.settimeout(timeout_seconds)
        if body is None:
            sock.sendall(head)
        elif isinstance(body, bytes | memoryview):
            if len(body) <= _JOIN_LIMIT_BYTES:
                sock.sendall(b"".join((head, body)))
            else:
                sock.sendall(head)
                sock.sendall(body)
        else:
            sock.sendall(head)
            for chunk in body:
                sock.sendall(chunk)

    def receive_head(self) -> tuple[int, str, Headers]:
        """Status, reason and headers of the answer; interim (1xx) answers are skipped."""
        reader = self._reader
        assert reader is not None
        for _ in range(_INTERIM_LIMIT):
            status, reason, version = self._status(reader.readline(_LINE_LIMIT_BYTES))
            headers = _read_headers(reader)
            if status >= 200:
                if version == b"HTTP/1.0" and "connection" not in headers:
                    headers["connection"] = "close"
                return status, reason, headers
        raise BadResponse(f"more than {_INTERIM_LIMIT} interim answers and none that ends")

    def reader(self) -> io.BufferedReader:
        assert self._reader is not None
        return self._reader

    def abort(self) -> None:
        """Make whatever waits on this connection fail now. For other threads."""
        self._aborted = True
        sock = self._socket
        if sock is None:
            return
        try:
            # The plain socket's method: SSLSocket.shutdown would drop the TLS object
            # under the thread that is reading through it.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            return  # it was closed already, which is what was wanted

    def close(self) -> None:
        self._socket = None
        if self._reader is not None:
            self._reader.close()
        self._http.close()

    @staticmethod
    def _status(line: bytes) -> tuple[int, str, bytes]:
        if not line:
            raise BadResponse("the connection was closed before an answer came")
        parts = line.rstrip().split(b" ", 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise BadResponse(f"the answer is not HTTP/1.1: {line[:60]!r}")
        reason = parts[2].decode("latin-1") if len(parts) == 3 else ""
        return int(parts[1]), reason, parts[0]


class BodyReader:
    """The body of one response, by length, in chunks, or up to the connection's end."""

    def __init__(self, reader: io.BufferedReader, headers: Headers, *, empty: bool) -> None:
        self._reader = reader
        self._chunked = "chunked" in (headers.get("transfer-encoding") or "").lower()
        length = headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise BadResponse(f"a body of {length!r:.60} bytes")
        self._left: int | None = 0 if empty or self._chunked else int(length) if length else None
        self.ended = empty or (self._left == 0 and not self._chunked)

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another exchange."""
        return self.ended and self._left is not None

    def readinto(self, target: memoryview) -> int:
        """Fill part of *target*; 0 at the end. Raises BadResponse when the body is cut short."""
        if self.ended or not target:
            return 0
        if self._chunked and self._left == 0:
            self._next_chunk()
            if self.ended:
                return 0
        if self._left is not None and len(target) > self._left:
            target = target[: self._left]
        count = self._reader.readinto1(target)
        if not count:
            if self._left is None:
                self.ended = True
                return 0
            raise BadResponse(f"the connection ended with {self._left} bytes missing")
        if self._left is not None:
            self._left -= count
            if self._left == 0:
                if self._chunked:
                    self._reader.readline(_LINE_LIMIT_BYTES)
                else:
                    self.ended = True
        return count

    def read_all(self) -> bytes:
        """All of it, when that is not more than a body without an end would be."""
        if not self._chunked and self._left is not None:
            if self._left > _WHOLE_LIMIT_BYTES:
                raise _endless(self._left)
            whole = self._reader.read(self._left)
            if len(whole) != self._left:
                raise BadResponse(f"the connection ended with {self._left - len(whole)} missing")
            self._left, self.ended = 0, True
            return whole
        content = bytearray()
        for chunk in self.chunks(_READ_AHEAD_BYTES):
            content += chunk
            if len(content) > _WHOLE_LIMIT_BYTES:
                raise _endless(len(content))
        return bytes(content)

    def chunks(self, size: int) -> Iterator[bytes]:
        buffer = memoryview(bytearray(size))
        while count := self.readinto(buffer):
            yield bytes(buffer[:count])

    def _next_chunk(self) -> None:
        size = self._reader.readline(_LINE_LIMIT_BYTES).split(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            raise BadResponse(f"the connection ended between two chunks of a body: {size[:20]!r}")
        self._left = int(size, 16)
        if self._left == 0:
            _read_headers(self._reader)
            self.ended = True


def _read_headers(reader: io.BufferedReader) -> Headers:
    """Up to the empty line behind them: those of an answer, or behind its body (trailers)."""
    headers = Headers()
    size = 0
    for _ in range(_HEADER_LIMIT):
        line = reader.readline(_LINE_LIMIT_BYTES)
        if line in (b"\r\n", b"\n"):
            return headers
        size += len(line)
        if size > _HEADERS_LIMIT_BYTES:
            raise BadResponse(f"a response has more than {_HEADERS_LIMIT_BYTES} bytes of headers")
        name, colon, value = line.partition(b":")
        if not colon or not line.endswith(b"\n"):
            raise BadResponse("the connection ended inside the headers of a response")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    raise BadResponse(f"a response has more than {_HEADER_LIMIT} headers")


def _endless(size: int) -> BadResponse:
    return BadResponse(f"an answer of {size} bytes or more, where a short one was expected")
