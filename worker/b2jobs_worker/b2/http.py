"""The HTTP session below b2sdk: as much of requests.Session as b2sdk uses, leaner.

b2sdk takes any "requests-compatible" session (`B2HttpApiConfig.http_session_factory`).
This one costs 0.1 ms of CPU for a small call where requests takes 1.1 ms
(docs/decisions/engine-http-layer.md), keeps connections, and registers each of them with
the attempt that uses it, so that a cancel ends a read that would last minutes.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import urlencode, urlsplit

import certifi
import requests
from b2sdk.v3.exception import B2Error
from urllib3.exceptions import ProtocolError

from b2jobs.errors import OperatorError
from b2jobs_worker.b2 import calling
from b2jobs_worker.b2.meter import class_of
from b2jobs_worker.b2.pool import ConnectionPool, Origin
from b2jobs_worker.b2.wire import BadResponse, BodyReader, Connection, Headers

CONNECT_TIMEOUT_SECONDS = 15.0
READ_TIMEOUT_SECONDS = 60.0
_PATIENT = ("b2_copy_file", "b2_copy_part", "b2_finish_large_file")
_PATIENT_SECONDS = 1200.0
_PACED_BYTES = 65_536
_UNPACED_BYTES = 64
_COMMIT_SECONDS = 1.5
"""How long an interrupted call that commits waits for its answer: cut off, it would leave a
version that nobody knows of, which matters when the job belongs to somebody else by now."""


@runtime_checkable
class Body(Protocol):
    """What can be sent beside bytes. b2sdk rewinds it before each try."""

    def seek(self, position: int) -> None: ...

    def chunks(self) -> Iterable[bytes | memoryview]: ...


class Carried(B2Error):
    """Takes an exception that is not about HTTP unharmed through b2sdk's own conversion."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self._error: Exception | None = error

    def take(self) -> Exception:
        """What was carried, to be raised. Held here too, the two would hold each other."""
        error, self._error = self._error, None
        self.__cause__ = self.__context__ = None
        assert error is not None
        return error


class Response:
    """As much of requests.Response as b2sdk uses, and `readinto` for the engine."""

    def __init__(
        self,
        url: str,
        head: tuple[int, str, dict[str, str]],
        body: BodyReader,
        exchange: _Exchange,
    ) -> None:
        self.url = url
        self.status_code, self.reason, self.fields = head
        self._body = body
        self._exchange = exchange
        self._content: bytes | None = None

    @property
    def headers(self) -> Headers:
        """`fields`, which have lower-case names, for b2sdk, which writes them as it likes."""
        return Headers(self.fields)

    @property
    def content(self) -> bytes:
        """The whole body; read when it is first asked for."""
        if self._content is None:
            try:
                self._content = self._body.read_all()
            except OSError as error:
                self._exchange.drop()
                raise _as_requests(error, self.url) from error
            self._exchange.received(len(self._content))
            self.close()
        return self._content

    def readinto(self, target: memoryview) -> int:
        """Some bytes of the body into *target*; 0 at the end. Raises what requests would."""
        try:
            count = self._body.readinto(target)
        except OSError as error:
            self._exchange.drop()
            raise _as_requests(error, self.url) from error
        self._exchange.received(count)
        return count

    def iter_content(self, chunk_size: int = 65_536) -> Iterator[bytes]:
        buffer = memoryview(bytearray(chunk_size))
        while count := self.readinto(buffer):
            yield bytes(buffer[:count])

    def close(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        self._exchange.end(reusable=self._body.is_reusable)


class Session:
    """A requests-compatible session: `request` is all that b2sdk calls. For many threads."""

    def __init__(self, *, ca_file: Path | None = None) -> None:
        tls = ssl.create_default_context()
        tls.load_verify_locations(cafile=certifi.where())
        if ca_file is not None:
            tls.load_verify_locations(cafile=ca_file)
        self._pool = ConnectionPool(tls, connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS)
        self.allows_http = False
        """Whether an account may be reached in clear, so that B2 may name `http://` addresses."""
        self.heard: tuple[str | None, float] = None, 0.0  # the Date of the last answer, and when

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        data: bytes | Body | None = None,
        params: dict[str, str] | None = None,
        timeout: tuple[float, float] | None = None,
        stream: bool = False,
    ) -> Response:
        """Send one request and return its answer. No redirects, no retries, no cookies.

        b2sdk's *timeout* is not used: its 20 minutes for every JSON call would keep a slot
        that long. Raises the exceptions of requests, which b2sdk converts.
        """
        del timeout
        if params:
            url = f"{url}?{urlencode(params)}"
        scheme, _, rest = url.partition("://")
        netloc, _, path = rest.partition("/")
        path = f"/{path}"
        origin = _origin(scheme, netloc)
        seconds = _PATIENT_SECONDS if path.endswith(_PATIENT) else READ_TIMEOUT_SECONDS
        exchange = _Exchange(self._pool, origin, path)
        try:
            if origin.scheme != "https" and not self.allows_http:
                raise _in_clear(origin)
            answer = exchange.run(method, netloc, headers, data, seconds)
            body = exchange.body(answer[2], empty=method == "HEAD" or answer[0] in (204, 304))
        except OSError as error:
            exchange.drop()
            raise _as_requests(error, url) from error
        except B2Error:
            exchange.drop()
            raise
        except Exception as error:
            exchange.drop()
            raise Carried(error) from error
        response = Response(url, answer, body, exchange)
        self.heard = answer[2].get("date"), time.monotonic()
        if not stream:
            _ = response.content
        return response

    def server_millis(self) -> int:
        """The time in milliseconds: this machine's, or B2's where that is the earlier one.

        A clock that is ahead must not make old what is not. B2's time is that of its last
        answer, to the second.
        """
        own = time.time_ns() // 1_000_000
        told = self.told_millis()
        return own if told is None else min(own, told)

    def told_millis(self) -> int | None:
        """B2's time in milliseconds, at the latest; None where it has not said any."""
        date, heard_at = self.heard
        try:
            told = parsedate_to_datetime(date or "").timestamp()
        except ValueError:
            return None
        return round((told + 1 + time.monotonic() - heard_at) * 1000)

    def close(self) -> None:
        self._pool.close()


@lru_cache(maxsize=256)
def _origin(scheme: str, netloc: str) -> Origin:
    parts = urlsplit(f"{scheme}://{netloc}")
    return Origin(
        parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    )


def _in_clear(origin: Origin) -> OperatorError:
    return OperatorError(
        "b2_in_clear",
        f"B2 named an address of {origin.host} that is not https: the account's token would go "
        "there in clear.",
        hint="Look who answers at the account's realm. Only an account whose own realm is http:// "
        "is used so.",
    )


class _Exchange:
    """One request and its answer, on one connection, for one caller."""

    def __init__(self, pool: ConnectionPool, origin: Origin, path: str) -> None:
        self._pool = pool
        self._origin = origin
        self._path = path
        self._caller = calling.current()
        self._connection: Connection | None = None
        self._registration: AbstractContextManager[None] | None = None
        self._patience: threading.Timer | None = None

    def run(
        self,
        method: str,
        netloc: str,
        headers: dict[str, str],
        data: bytes | Body | None,
        seconds: float,
    ) -> tuple[int, str, dict[str, str]]:
        call_class = class_of(method, self._path)
        if self._caller is not None and self._caller.spend is not None:
            self._caller.spend(call_class)
        proxy = self._pool.proxy(self._origin)
        connection = self._pool.take(self._origin)
        if connection is None:
            connection = self._pool.new(self._origin, proxy)
        self._connection = connection
        if self._caller is not None:
            act = self._abort_in_a_moment if self._caller.commits else connection.abort
            registration = self._caller.attempt.on_interrupt(act)
            registration.__enter__()
            self._registration = registration
        if not connection.is_open:
            connection.connect()
        target = self._path
        if proxy is not None and self._origin.scheme == "http":
            target = f"http://{netloc}{self._path}"
            headers = {**headers, **proxy.headers}
        head = _head(method, target, netloc, headers, data)
        body = data if data is None or isinstance(data, bytes) else self._paced(data.chunks())
        early: OSError | None = None
        try:
            connection.send(head, body, timeout_seconds=seconds)
        except (BrokenPipeError, ConnectionResetError) as error:
            early = error  # a refusal may have come before all was sent
        try:
            answer = connection.receive_head()
        except OSError as error:
            if early is None:
                raise
            raise early from error
        finally:
            closing, early = early is not None, None
        if closing:
            answer[2]["connection"] = "close"
        if self._caller is not None:
            sent = 0
            if data is not None and "/b2_upload_" in self._path:
                sent = int(headers.get("Content-Length", 0))
            self._caller.meter.called(call_class, sent)
        return answer

    def _paced(self, chunks: Iterable[bytes | memoryview]) -> Iterable[bytes | memoryview]:
        """*chunks*, each when the limits of its account let it go."""
        pace = self._caller.pace if self._caller is not None else None
        if pace is None:
            return chunks
        return _in_time(chunks, pace)

    def _abort_in_a_moment(self) -> None:
        connection = self._connection
        if connection is not None:
            self._patience = threading.Timer(_COMMIT_SECONDS, connection.abort)
            self._patience.daemon = True
            self._patience.start()

    def body(self, fields: dict[str, str], *, empty: bool) -> BodyReader:
        assert self._connection is not None
        return BodyReader(self._connection.incoming(), fields, empty=empty)

    def received(self, count: int) -> None:
        if self._caller is not None:
            self._caller.meter.received(count)

    def end(self, *, reusable: bool) -> None:
        """The answer was read, or is not wanted any more; called twice it does nothing."""
        connection = self._connection
        if connection is None:
            return
        if not reusable:
            self.drop()
            return
        self._connection = None
        self._leave()
        self._pool.give(self._origin, connection)

    def drop(self) -> None:
        """Close the connection; called twice it does nothing."""
        connection, self._connection = self._connection, None
        self._leave()
        if connection is not None:
            connection.close()

    def _leave(self) -> None:
        registration, self._registration = self._registration, None
        if registration is not None:
            registration.__exit__(None, None, None)
        if self._patience is not None:
            self._patience.cancel()


def _head(
    method: str, target: str, netloc: str, headers: dict[str, str], data: bytes | Body | None
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {netloc}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if isinstance(data, bytes) and "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(data)}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a line break in a header")
    return f"{text}\r\n\r\n".encode("latin-1")


def _in_time(
    chunks: Iterable[bytes | memoryview], pace: Callable[[int], bool]
) -> Iterator[bytes | memoryview]:
    for chunk in chunks:
        left = memoryview(chunk)
        # The digest at the end commits: it does not wait once the lease was looked at.
        while len(left) > _UNPACED_BYTES and pace(min(len(left), _PACED_BYTES)):
            yield left[:_PACED_BYTES]
            left = left[_PACED_BYTES:]
        if len(left):
            yield left


def _as_requests(error: OSError, url: str) -> Exception:
    """The exception requests would raise, with the host and never the query."""
    host = urlsplit(url).netloc
    if isinstance(error, ssl.SSLCertVerificationError):
        return Carried(
            OperatorError(
                "tls_untrusted",
                f"The certificate of {host} is not trusted: {error.verify_message}.",
                hint="Set B2JOBS_CA_FILE to the certificate that signed it.",
            )
        )
    if isinstance(error, TimeoutError):
        return requests.ReadTimeout(f"{host} did not answer in time")
    if isinstance(error, BadResponse):
        return requests.ConnectionError(f"{host}: {error}")
    return requests.ConnectionError(ProtocolError(f"{host}: {error}", error))
