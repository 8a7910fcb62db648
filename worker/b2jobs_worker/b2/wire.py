"""One HTTP/1.1 connection: http.client's connecting, TLS and tunnels, a leaner reading.

http.client parses response headers with the e-mail package, which is two thirds of what
a small call costs (docs/decisions/engine-http-layer.md). Here a head is taken out of what has
arrived as a whole: most answers come in one piece, and cost one call of the kernel. Nothing here
knows B2.
"""

from __future__ import annotations

import http.client
import re
import select
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"(HTTP/1\.[0-9]) +([0-9]{1,9})(?: +([^\r]*))?\r?$")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
_HEADER_LIMIT = 200
_HEADERS_LIMIT_BYTES = 262_144
_INTERIM_LIMIT = 20
_WHOLE_LIMIT_BYTES = 64 * 1024 * 1024
"""Of a body that is read at once: a thousand versions with all the info B2 takes are 10 MB."""
_PIECE_BYTES = 65_536
_JOIN_LIMIT_BYTES = 65_536


class Headers(dict[str, str]):
    """Header fields by lower-case name, for who does not know that: looking up ignores case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # no other default is used here
        return super().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class BadResponse(ConnectionError):
    """The other side does not speak HTTP, or the connection ended inside a response."""


class Incoming:
    """What arrives on a socket, in order. Some of it may have come ahead of its time."""

    __slots__ = ("_sock", "ahead")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.ahead = b""

    def head(self) -> list[str]:
        """The lines up to an empty one, which is dropped."""
        seen = 0
        if not self.ahead:
            self._wait("before an answer came")
        while (end := _HEAD_END.search(self.ahead, seen)) is None:
            seen = max(0, len(self.ahead) - 3)
            if len(self.ahead) > _HEADERS_LIMIT_BYTES:
                raise BadResponse(f"more than {_HEADERS_LIMIT_BYTES} bytes of headers")
            self._wait("inside the headers of a response")
        head, self.ahead = self.ahead[: end.start()], self.ahead[end.end() :]
        return head.decode("latin-1").split("\n")

    def line(self) -> bytes:
        """Up to the next line feed, and with it."""
        while (end := self.ahead.find(b"\n")) < 0:
            if len(self.ahead) > _HEADERS_LIMIT_BYTES:
                raise BadResponse(f"a line of more than {_HEADERS_LIMIT_BYTES} bytes")
            self._wait("inside a body in chunks")
        line, self.ahead = self.ahead[: end + 1], self.ahead[end + 1 :]
        return line

    def readinto(self, target: memoryview) -> int:
        """Some bytes into *target*; 0 at the connection's end."""
        ahead = self.ahead
        if not ahead:
            return self._sock.recv_into(target)
        count = min(len(ahead), len(target))
        target[:count] = ahead[:count]
        self.ahead = ahead[count:]
        return count

    def read(self, size: int) -> bytes:
        """*size* bytes; fewer where the connection ends before."""
        if len(self.ahead) < size:
            pieces, missing = [self.ahead], size - len(self.ahead)
            while missing and (piece := self._sock.recv(min(missing, 16 * _PIECE_BYTES))):
                pieces.append(piece)
                missing -= len(piece)
            self.ahead = b"".join(pieces)
        content, self.ahead = self.ahead[:size], self.ahead[size:]
        return content

    def _wait(self, where: str) -> None:
        piece = self._sock.recv(_PIECE_BYTES)
        if not piece:
            raise BadResponse(f"the connection was closed {where}")
        self.ahead += piece


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
        self._incoming: Incoming | None = None
        self._poll = select.poll()
        self._timeout_seconds: float | None = None
        self._aborted = False

    def connect(self) -> None:
        """Open it. Raises OSError."""
        self._http.connect()
        self._socket = self._http.sock
        self._timeout_seconds = self._socket.gettimeout()
        self._poll.register(self._socket, select.POLLIN)
        self._incoming = Incoming(self._socket)
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

        An answer that came twice lies there: the next request would take it for its own.
        """
        sock, incoming = self._socket, self._incoming
        assert sock is not None
        assert incoming is not None
        if incoming.ahead or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            return True
        return bool(self._poll.poll(0))

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
        if timeout_seconds != self._timeout_seconds:
            sock.settimeout(timeout_seconds)
            self._timeout_seconds = timeout_seconds
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

    def receive_head(self) -> tuple[int, str, dict[str, str]]:
        """Status, reason and header fields of the answer; interim (1xx) answers are skipped."""
        incoming = self.incoming()
        for _ in range(_INTERIM_LIMIT):
            lines = incoming.head()
            status, reason, version = _status(lines[0])
            fields = _fields(lines[1:])
            if status >= 200:
                if version == "HTTP/1.0" and "connection" not in fields:
                    fields["connection"] = "close"
                return status, reason, fields
        raise BadResponse(f"more than {_INTERIM_LIMIT} interim answers and none that ends")

    def incoming(self) -> Incoming:
        assert self._incoming is not None
        return self._incoming

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
        self._socket = self._incoming = None
        self._http.close()


class BodyReader:
    """The body of one response, by length, in chunks, or up to the connection's end."""

    __slots__ = ("_chunked", "_incoming", "_left", "_stays_open", "ended")

    def __init__(self, incoming: Incoming, fields: dict[str, str], *, empty: bool) -> None:
        self._incoming = incoming
        self._chunked = "chunked" in fields.get("transfer-encoding", "").lower()
        self._stays_open = fields.get("connection", "").lower() != "close"
        length = fields.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise BadResponse(f"a body of {length!r:.60} bytes")
        self._left: int | None = 0 if empty or self._chunked else int(length) if length else None
        self.ended = empty or (self._left == 0 and not self._chunked)

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another exchange."""
        return self.ended and self._stays_open and self._left is not None

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
        count = self._incoming.readinto(target)
        if not count:
            if self._left is None:
                self.ended = True
                return 0
            raise BadResponse(f"the connection ended with {self._left} bytes missing")
        if self._left is not None:
            self._left -= count
            if self._left == 0:
                if self._chunked:
                    self._incoming.line()
                else:
                    self.ended = True
        return count

    def read_all(self) -> bytes:
        """All of it, when that is not more than a body without an end would be."""
        if not self._chunked and self._left is not None:
            if self._left > _WHOLE_LIMIT_BYTES:
                raise _endless(self._left)
            whole = self._incoming.read(self._left)
            if len(whole) != self._left:
                raise BadResponse(f"the connection ended with {self._left - len(whole)} missing")
            self._left, self.ended = 0, True
            return whole
        content = bytearray()
        for chunk in self.chunks(_PIECE_BYTES):
            content += chunk
            if len(content) > _WHOLE_LIMIT_BYTES:
                raise _endless(len(content))
        return bytes(content)

    def chunks(self, size: int) -> Iterator[bytes]:
        buffer = memoryview(bytearray(size))
        while count := self.readinto(buffer):
            yield bytes(buffer[:count])

    def _next_chunk(self) -> None:
        size = self._incoming.line().split(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            raise BadResponse(f"the connection ended between two chunks of a body: {size[:20]!r}")
        self._left = int(size, 16)
        if self._left == 0:
            self._skip_trailers()
            self.ended = True

    def _skip_trailers(self) -> None:
        for _ in range(_HEADER_LIMIT):
            if self._incoming.line() in (b"\r\n", b"\n"):
                return
        raise BadResponse(f"a response has more than {_HEADER_LIMIT} headers")


def _status(line: str) -> tuple[int, str, str]:
    found = _STATUS.match(line)
    if found is None:
        raise BadResponse(f"the answer is not HTTP/1.1: {line[:60]!r}")
    version, status, reason = found.groups("")
    return int(status), reason, version


def _fields(lines: list[str]) -> dict[str, str]:
    if len(lines) > _HEADER_LIMIT:
        raise BadResponse(f"a response has more than {_HEADER_LIMIT} headers")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadResponse("a line among the headers of a response is none")
        fields[name.lower()] = value.strip(" \t\r")
    return fields


def _endless(size: int) -> BadResponse:
    return BadResponse(f"an answer of {size} bytes or more, where a short one was expected")
