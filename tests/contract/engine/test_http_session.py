"""The HTTP session on real sockets, against a server that says what the test tells it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme

from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.b2 import proxies
from b2jobs_worker.b2.calling import Caller, calling_as
from b2jobs_worker.b2.http import Carried, Session
from b2jobs_worker.b2.meter import Meter
from b2jobs_worker.b2.pool import Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """Answers each request with the next of its answers; None closes the connection."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.read_bodies = True
        self.hangs_up = False
        self.hung_up = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that has had enough resets the connection.
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = reader.readline()
                    if not line:
                        return
                    head += line
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = reader.read(length) if self.read_bodies else b""
                if len(body) < length and self.read_bodies:
                    return
                self.requests.append(head + body)
                answer = self.answers.pop(0)
                if answer is None:
                    return
                connection.sendall(answer)
                if b"close" in answer or not self.read_bodies or self.hangs_up:
                    break
        self.hung_up.set()


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def session() -> Iterator[Session]:
    with_pool = Session()
    with_pool.allows_http = True
    yield with_pool
    with_pool.close()


def test_a_connection_is_used_again(server: Scripted, session: Session) -> None:
    server.answers = [OK] * 3
    for _ in range(3):
        response = session.request("POST", f"{server.url}/x", headers={"A": "b"}, data=b"body")
        assert (response.status_code, response.content) == (200, b"ok")
    assert server.connections == 1
    assert server.requests[0].endswith(b"\r\nContent-Length: 4\r\n\r\nbody")


def test_one_that_the_server_has_closed_is_not(server: Scripted, session: Session) -> None:
    server.answers = [OK, OK]
    server.hangs_up = True
    session.request("POST", server.url, headers={}, data=b"x")
    assert server.hung_up.wait(10)
    assert session.request("POST", server.url, headers={}, data=b"x").content == b"ok"
    assert server.connections == 2


def test_an_answer_that_came_twice_is_not_the_next_one_s(
    server: Scripted, session: Session
) -> None:
    server.answers = [OK + OK.replace(b"ok", b"no"), OK]
    assert session.request("POST", server.url, headers={}, data=b"x").content == b"ok"
    assert session.request("POST", server.url, headers={}, data=b"x").content == b"ok"
    assert server.connections == 2


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        HEAD + b"X: y\r\n" * 100_000,
        HEAD + (b"X: " + b"y" * 60_000 + b"\r\n") * 100,
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 99999999999\r\n\r\n",
        CHUNKED + b"-5\r\nabc\r\n",
        CHUNKED + b"fffffffffffffffffff\r\nabc\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 100_000,
        CHUNKED + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 70,
    ],
    ids=["1xx", "headers", "long", "negative", "huge", "-5", "wide", "trailers", "body"],
)
def test_an_answer_without_an_end_ends(server: Scripted, session: Session, answer: bytes) -> None:
    """B2, or who stands in its place, filled 900 MB of memory in three seconds."""
    server.answers = [answer, OK]
    with pytest.raises(requests.ConnectionError):
        session.request("GET", server.url, headers={})
    assert session.request("GET", server.url, headers={}).content == b"ok"


def test_chunks_interim_answers_and_no_length(server: Scripted, session: Session) -> None:
    server.answers = [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        OK,
    ]
    assert session.request("GET", server.url, headers={}).content == b"abcde"
    assert session.request("GET", server.url, headers={}).content == b"until the end"
    assert session.request("GET", server.url, headers={}).content == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n9\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Le: close",
        b"SMTP says close\r\n\r\n",
        None,
    ],
)
def test_what_is_cut_short_or_not_http_is_a_connection_error(
    server: Scripted, session: Session, answer: bytes | None
) -> None:
    server.answers = [answer, OK]
    with pytest.raises(requests.ConnectionError) as caught:
        session.request("GET", f"{server.url}/x?Authorization=SECRET", headers={})
    assert "SECRET" not in str(caught.value)
    assert session.request("GET", server.url, headers={}).content == b"ok"


def test_a_refusal_before_the_body_is_sent_is_read(server: Scripted, session: Session) -> None:
    server.read_bodies = False
    server.answers = [b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"]
    try:
        response = session.request("POST", server.url, headers={}, data=bytes(20_000_000))
    except requests.ConnectionError:
        return  # the kernel dropped the answer with the connection, which no client can help
    assert (response.status_code, response.content) == (503, b"busy")


def test_a_cancel_wakes_a_read(server: Scripted, session: Session) -> None:
    gate = threading.Event()
    server._serve = lambda connection: gate.wait(20)  # type: ignore[method-assign]
    attempt = DetachedAttempt()
    threading.Timer(0.2, attempt.interrupt).start()
    with calling_as(Caller(attempt, Meter())), pytest.raises(requests.ConnectionError):
        session.request("GET", server.url, headers={})
    gate.set()


def test_a_line_break_in_a_header_is_refused(server: Scripted, session: Session) -> None:
    for headers in ({"A": "b\r\nC: d"}, {"A": "b\nC: d"}, {"A\rB": "c"}):
        with pytest.raises(Carried):
            session.request("GET", server.url, headers=headers)
    assert server.requests == []


def test_what_a_body_raises_passes_unharmed(server: Scripted, session: Session) -> None:
    class Failing:
        def seek(self, position: int) -> None: ...

        def chunks(self) -> Iterator[bytes]:
            yield b"some"
            raise LookupError("the source is gone")

    with pytest.raises(Carried) as caught:
        session.request("POST", server.url, headers={"Content-Length": "99"}, data=Failing())
    assert isinstance(caught.value.take(), LookupError)


def test_requests_go_through_a_proxy(
    server: Scripted, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//user:pass@"))
    monkeypatch.setenv("no_proxy", "localhost")
    proxies.proxy_for.cache_clear()
    server.answers = [OK]
    try:
        assert session.request("GET", "http://b2.example/a?b=c", headers={}).content == b"ok"
    finally:
        proxies.proxy_for.cache_clear()
    [request] = server.requests
    assert request.startswith(b"GET http://b2.example/a?b=c HTTP/1.1\r\nHost: b2.example\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz" in request


def test_nobody_there_is_a_connection_error(session: Session) -> None:
    with pytest.raises(requests.ConnectionError):
        session.request("GET", "http://127.0.0.1:1/", headers={})


def test_a_second_connection_takes_up_the_tls_session_of_the_first(tmp_path: Path) -> None:
    authority, reused = trustme.CA(), list[bool]()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with context.wrap_socket(plain, server_side=True) as secure:
                    reused.append(bool(secure.session_reused))
                    secure.recv(65_536)
                    secure.sendall(OK)
                    secure.recv(1)  # until the other side closes

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        session = Session(ca_file=tmp_path / "ca.pem")
        port = listener.getsockname()[1]
        for _ in range(3):
            answer = session.request("GET", f"https://127.0.0.1:{port}/", headers={})
            assert answer.content == b"ok"
            kept = session._pool.take(Origin("https", "127.0.0.1", port))
            assert kept is not None
            kept.close()

    assert reused == [False, True, True]
