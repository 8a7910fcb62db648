"""Web servers as they are: cut bodies, drips, no end, ETags that differ, wrong ranges."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from b2jobs.errors import JobError
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import open_source
from b2jobs_worker.sources import stream as stream_module
from b2jobs_worker.sources.port import check_unchanged
from b2jobs_worker.sources.web import WebSource
from b2jobs_worker.sources.web_connection import Opening
from contract.sources.webserver import WebServer, web_server
from support.proxy import proxy
from support.raw_web import RawWeb, raw_web

CONTENT = bytes(range(256)) * 1000
Answer = Callable[[str, ssl.SSLSocket], None]
MODIFIED = "Last-Modified: Sun, 13 Sep 2020 12:26:40 GMT"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with web_server(tmp_path) as server:
        server.content = CONTENT
        yield server


def settings(ca_file: Path, **more: object) -> Settings:
    return Settings(private_hosts="localhost", ca_file=ca_file, **more)  # type: ignore[arg-type]


def opened(url: str, ca_file: Path, **more: object) -> WebSource:
    source = open_source(url, settings(ca_file, **more))
    assert isinstance(source, WebSource)
    return source


def content(source: WebSource, offset: int = 0) -> bytes:
    with source.open(offset) as stream:
        return b"".join(iter(lambda: stream.read(10_000), b""))


def until_cut(source: WebSource) -> tuple[bytes, JobError]:
    got = b""
    try:
        with source.open() as stream:
            while piece := stream.read(1000):
                got += piece
    except JobError as error:
        return got, error
    raise AssertionError("nothing was cut")


def refused(act: Callable[[], object]) -> JobError:
    with pytest.raises(JobError) as caught:
        act()
    return caught.value


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def end_with(how: str, connection: ssl.SSLSocket) -> None:
    plain = socket.socket(fileno=connection.detach())
    if how == "rst":
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 1000"], b"x" * 999),
        (["Transfer-Encoding: chunked"], b"3e8\r\n" + b"x" * 999),
        (["Transfer-Encoding: chunked"], b"a\r\n" + b"x" * 10 + b"\r\n"),
        (["Transfer-Encoding: chunked"], b"a\r\n" + b"x" * 10 + b"\r\n5"),
        (["Content-Length: 1000", "Content-Encoding: gzip"], b"\x1f\x8b" + b"x" * 99),
        (["Connection: close"], b"x" * 999),
        (["Connection: close"], b""),
    ],
)
def test_a_body_that_ends_early_in_any_way_is_no_file(
    tmp_path: Path, lines: list[str], body: bytes, how: str
) -> None:
    def answer(_: str, connection: ssl.SSLSocket) -> None:
        connection.sendall(head(*lines) + body)
        end_with(how, connection)

    with raw_web(tmp_path, answer) as web:
        error = refused(lambda: content(opened(web.url(), web.ca_file)))
    assert (error.code, error.act) == ("source_interrupted", "nobody")


def test_an_end_that_was_said_without_a_length_is_an_end_but_not_proved(tmp_path: Path) -> None:
    def answer(_: str, connection: ssl.SSLSocket) -> None:
        connection.sendall(head("Connection: close") + b"x" * 999)
        connection.unwrap()

    with raw_web(tmp_path, answer) as web:
        source = opened(web.url(), web.ca_file)
        assert content(source) == b"x" * 999
    assert source.is_delimited is False


@pytest.mark.parametrize("lines", [["Content-Length: 3"], ["Transfer-Encoding: chunked"]])
def test_a_length_or_chunks_say_where_it_ends(tmp_path: Path, lines: list[str]) -> None:
    body = b"abc" if "Length" in lines[0] else b"3\r\nabc\r\n0\r\n\r\n"
    with raw_web(tmp_path, lambda _, connection: connection.sendall(head(*lines) + body)) as web:
        source = opened(web.url(), web.ca_file)
        assert content(source) == b"abc"
    assert source.is_delimited is True


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "deflate"])
def test_a_transfer_coding_that_nobody_asked_for_is_not_stored(tmp_path: Path, coding: str) -> None:
    def answer(_: str, connection: ssl.SSLSocket) -> None:
        connection.sendall(head(f"Transfer-Encoding: {coding}") + b"5\r\nhello\r\n0\r\n\r\n")

    with raw_web(tmp_path, answer) as web:
        error = refused(lambda: content(opened(web.url(), web.ca_file)))
    assert (error.code, error.act) == ("source_refused", "caller")


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_proxy_that_cuts_is_gone_on_behind(web: WebServer, how: str) -> None:
    with proxy(("127.0.0.1", web.port)) as between:
        between.cut, between.cuts, between.how = 100_000, 1, how  # type: ignore[assignment]
        source = opened(f"https://localhost:{between.port}/file", web.ca_file)
        got, error = until_cut(source)
        assert error.code == "source_interrupted"
        assert got + content(source, len(got)) == CONTENT
    assert web.asked[-1]["range"] == f"bytes={len(got)}-"


def test_a_slow_proxy_is_waited_for(web: WebServer) -> None:
    with proxy(("127.0.0.1", web.port)) as between:
        between.pause, between.piece = 0.01, 20_000
        assert content(opened(f"https://localhost:{between.port}/file", web.ca_file)) == CONTENT


def test_changed_bytes_are_no_content(web: WebServer) -> None:
    web.content = CONTENT * 40  # more than waits in sockets before anything is changed
    with proxy(("127.0.0.1", web.port)) as between:
        source = opened(f"https://localhost:{between.port}/file", web.ca_file)
        between.change = lambda piece: piece[:-1] + bytes([piece[-1] ^ 1])
        error = refused(lambda: content(source))
    assert error.code == "source_interrupted"


def drips_head(_: str, connection: ssl.SSLSocket, web: RawWeb | None = None) -> None:
    assert web is not None
    web.drip(connection, head("X-Drip: " + "x" * 10_000), 0.05)


def dripping(tmp_path: Path) -> contextlib.AbstractContextManager[RawWeb]:
    @contextlib.contextmanager
    def run() -> Iterator[RawWeb]:
        with raw_web(tmp_path, lambda *_: None) as web:
            web.answer = lambda text, connection: drips_head(text, connection, web)
            yield web

    return run()


def test_a_head_that_drips_has_a_deadline(tmp_path: Path) -> None:
    with dripping(tmp_path) as web:
        began = time.monotonic()
        error = refused(lambda: opened(web.url("/f?sig=geheim"), web.ca_file, https_head_seconds=1))
    assert (error.code, error.act) == ("source_too_slow", "nobody")
    assert "https_head_seconds" in error.hint
    assert "geheim" not in error.message
    assert time.monotonic() - began < 10


def test_redirects_share_one_deadline(tmp_path: Path) -> None:
    def answer(_: str, connection: ssl.SSLSocket) -> None:
        web.stopped.wait(0.5)
        connection.sendall(head("Location: /again", "Content-Length: 0", status="302 Found"))

    with raw_web(tmp_path, answer) as web:
        error = refused(lambda: opened(web.url(), web.ca_file, https_head_seconds=1))
    assert error.code == "source_too_slow"
    assert len(web.heads) <= 3


def test_a_handshake_that_never_comes_has_the_same_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/file"
        error = refused(
            lambda: open_source(url, Settings(private_hosts="localhost", https_head_seconds=0.5))
        )
    assert error.code == "source_too_slow"


def test_what_waits_for_a_head_is_woken(tmp_path: Path) -> None:
    """Cancel and SIGTERM were not heeded before the first byte: 40 seconds, or for ever."""
    opening = Opening()
    with dripping(tmp_path) as web:
        timer = threading.Timer(0.5, opening.close)
        timer.start()
        began = time.monotonic()
        error = refused(lambda: open_source(web.url(), settings(web.ca_file), opening=opening))
        timer.join()
        assert time.monotonic() - began < 10
        assert error.code == "source_interrupted"
        again = refused(lambda: open_source(web.url(), settings(web.ca_file), opening=opening))
    assert again.act == "nobody"


def test_a_body_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_RATE_SECONDS", 0.5)

    def answer(_: str, connection: ssl.SSLSocket) -> None:
        connection.sendall(head("Content-Length: 100000"))
        web.drip(connection, b"x" * 100_000, 0.02)

    with raw_web(tmp_path, answer) as web:
        error = refused(lambda: content(opened(web.url(), web.ca_file)))
        assert (error.code, error.act) == ("source_too_slow", "nobody")
        assert "https_least_bytes_per_second" in error.hint
        patient = opened(web.url(), web.ca_file, https_least_bytes_per_second=5)
        with patient.open() as stream:
            assert stream.read(50) == b"x" * 50


def test_a_body_without_an_end_has_one(tmp_path: Path) -> None:
    def answer(_: str, connection: ssl.SSLSocket) -> None:
        connection.sendall(head("Transfer-Encoding: chunked"))
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")

    with raw_web(tmp_path, answer) as web:
        error = refused(lambda: content(opened(web.url(), web.ca_file, https_most_bytes=1_000_000)))
    assert (error.code, error.act) == ("source_too_large", "caller")
    assert "https_most_bytes" in error.hint


def test_a_file_that_says_it_is_too_large_is_not_begun(web: WebServer) -> None:
    error = refused(lambda: opened(web.url(), web.ca_file, https_most_bytes=1000))
    assert error.code == "source_too_large"


def test_one_get_is_enough(web: WebServer) -> None:
    source = opened(web.url(), web.ca_file)
    assert content(source) == CONTENT
    web.status = 403  # a URL that opens once, or has expired meanwhile
    check_unchanged(source)
    source.check_unchanged()
    assert len(web.asked) == 2
    assert web.asked[1]["range"] == "bytes=0-0"


def test_a_check_does_not_read_the_body_again(web: WebServer) -> None:
    source = opened(web.url(), web.ca_file)
    content(source)
    source.check_unchanged()
    assert [asked.get("range") for asked in web.asked] == [None, "bytes=0-0"]


def test_after_several_gets_a_version_without_a_strong_etag_is_checked(web: WebServer) -> None:
    web.etag = None
    source = opened(web.url(), web.ca_file)
    assert content(source) == content(source) == CONTENT
    web.modified = 1_700_000_000
    assert refused(lambda: check_unchanged(source)).code == "source_changed"


def test_going_on_asks_for_no_body_that_is_dropped(web: WebServer) -> None:
    source = open_source(web.url(), settings(web.ca_file), resuming=True)
    assert (source.size, source.ranged) == (len(CONTENT), True)
    assert source.identity == open_source(web.url(), settings(web.ca_file)).identity
    assert isinstance(source, WebSource)
    assert content(source, 200_000) == CONTENT[200_000:]
    assert [asked.get("range") for asked in web.asked] == ["bytes=0-0", None, "bytes=200000-"]


@pytest.mark.parametrize("changes", [{"ranges": False}, {"chunked": True}, {"etag": None}])
def test_going_on_where_ranges_tell_nothing(web: WebServer, changes: dict[str, object]) -> None:
    vars(web).update(changes)
    source = open_source(web.url(), settings(web.ca_file), resuming=True)
    assert isinstance(source, WebSource)
    assert content(source, 1000) == CONTENT[1000:]


class Backends:
    """Several servers behind one name, each with an ETag of its own for the same bytes."""

    def __init__(self, etags: list[str], modified: bool = True) -> None:
        self.etags = etags
        self.lines = [MODIFIED] if modified else []
        self.asked = 0

    def __call__(self, text: str, connection: ssl.SSLSocket) -> None:
        etag = self.etags[self.asked % len(self.etags)] or f'"{self.asked}"'
        self.asked += 1
        lines = [f"ETag: {etag}", "Accept-Ranges: bytes", *self.lines]
        asked = {line.partition(": ")[0]: line.partition(": ")[2] for line in text.split("\r\n")}
        wanted = asked.get("If-Range", etag)
        if "Range" in asked and wanted == etag:
            first, _, last = asked["Range"].removeprefix("bytes=").partition("-")
            body = CONTENT[int(first) : int(last) + 1 if last else None]
            lines.append(
                f"Content-Range: bytes {first}-{int(first) + len(body) - 1}/{len(CONTENT)}"
            )
            status = "206 Partial Content"
        else:
            body, status = CONTENT, "200 OK"
        with contextlib.suppress(OSError):
            connection.sendall(head(*lines, f"Content-Length: {len(body)}", status=status) + body)
            connection.unwrap()


@pytest.mark.parametrize("etags", [['"a"', '"b"'], ['"a"', '"b"', '"c"'], [""]])
def test_an_etag_that_differs_from_answer_to_answer_is_no_change(
    tmp_path: Path, etags: list[str]
) -> None:
    with raw_web(tmp_path, Backends(etags)) as web:
        source = opened(web.url(), web.ca_file)
        assert content(source) == content(source) == CONTENT
        source.check_unchanged()


def test_one_of_two_servers_is_asked_until_the_range_fits(tmp_path: Path) -> None:
    with raw_web(tmp_path, Backends(['"a"', '"b"'])) as web:
        source = opened(web.url(), web.ca_file)
        assert content(source, 100_000) == CONTENT[100_000:]


def test_an_etag_of_its_own_in_each_answer_ends_in_reading_from_the_start(tmp_path: Path) -> None:
    with raw_web(tmp_path, Backends([""])) as web:
        source = opened(web.url(), web.ca_file)
        assert content(source, 100_000) == CONTENT[100_000:]
        assert source.ranged is False


@pytest.mark.parametrize("times", [1, 2])
def test_another_etag_alone_is_a_change_where_no_time_is_named(tmp_path: Path, times: int) -> None:
    with raw_web(tmp_path, Backends(['"a"'] * times + ['"b"'] * 9, modified=False)) as web:
        source = opened(web.url(), web.ca_file)
        if times == 2:
            content(source)
            assert content(source) == CONTENT
        assert refused(source.check_unchanged).code == "source_changed"


WRONG = {
    "no Content-Range": ["Content-Length: 255000"],
    "another place": ["Content-Range: bytes 5-255004/256000", "Content-Length: 255000"],
    "several at once": ["Content-Type: multipart/byteranges; boundary=x", "Content-Length: 255000"],
    "another unit": ["Content-Range: pages 1000-255999/256000", "Content-Length: 255000"],
}


@pytest.mark.parametrize("lines", WRONG.values(), ids=WRONG)
def test_a_range_that_is_answered_wrongly_is_read_from_the_start_once(
    tmp_path: Path, lines: list[str]
) -> None:
    def answer(text: str, connection: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            if "Range: bytes=1000-" in text:
                connection.sendall(head(*lines, status="206 Partial Content") + b"y" * 255_000)
            else:
                common = ['ETag: "a"', "Accept-Ranges: bytes", f"Content-Length: {len(CONTENT)}"]
                connection.sendall(head(*common) + CONTENT)

    with raw_web(tmp_path, answer) as web:
        source = opened(web.url(), web.ca_file)
        assert content(source, 1000) == content(source, 1000) == CONTENT[1000:]
        assert sum("Range: bytes=1000-" in text for text in web.heads) == 1


def test_a_server_that_refuses_a_range_is_read_from_the_start(tmp_path: Path) -> None:
    def answer(text: str, connection: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            if "Range:" in text:
                connection.sendall(head("Content-Length: 0", status="416 Range Not Satisfiable"))
            else:
                common = ['ETag: "a"', "Accept-Ranges: bytes", f"Content-Length: {len(CONTENT)}"]
                connection.sendall(head(*common) + CONTENT)

    with raw_web(tmp_path, answer) as web:
        assert content(opened(web.url(), web.ca_file), 1000) == CONTENT[1000:]


def test_a_time_before_1970_is_a_time(web: WebServer) -> None:
    web.modified = None
    web.headers = {"Last-Modified": "Mon, 01 Jan 1962 00:00:00 GMT"}
    assert opened(web.url(), web.ca_file).modified_millis == -252_460_800_000


def test_what_a_server_says_of_a_file_is_carried(web: WebServer) -> None:
    web.headers = {
        "Cache-Control": "public, max-age=60",
        "Content-Disposition": "attachment; filename*=UTF-8''x",
        "Content-Encoding": "gzip",
        "Content-Language": "de, en",
        "Expires": "0",
    }
    found = opened(web.url(), web.ca_file).carried
    assert found.info == {
        "b2-cache-control": "public, max-age=60",
        "b2-content-encoding": "gzip",
        "b2-content-language": "de, en",
    }
    assert found.lost == ("content-disposition",)  # B2 takes no parameter with a `*`


@pytest.mark.parametrize(
    "target", ["http://u:geheim@host/x?geheim", "https://u:geheim@localhost/x", "ftp://u:geheim@h/"]
)
def test_a_redirect_that_is_refused_shows_no_password(web: WebServer, target: str) -> None:
    error = refused(lambda: opened(web.url(f"/redirect/1/{target}"), web.ca_file))
    assert error.code == "source_redirect_refused"
    assert "geheim" not in error.message.partition(" redirects to ")[2] + error.hint
