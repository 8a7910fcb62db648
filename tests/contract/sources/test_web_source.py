"""Https sources against a real server: sizes, versions, ranges, redirects, and every fault."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2jobs.errors import JobError
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import open_source
from b2jobs_worker.sources.web import WebSource
from contract.sources.webserver import WebServer, web_server

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with web_server(tmp_path) as server:
        server.content = CONTENT
        yield server


def opened(web: WebServer, path: str = "/file", **more: object) -> WebSource:
    settings = {"private_hosts": "localhost", "ca_file": web.ca_file, **more}
    host = str(settings.pop("host", "localhost"))
    source = open_source(web.url(path, host), Settings(**settings))  # type: ignore[arg-type]
    assert isinstance(source, WebSource)
    return source


def content(source: WebSource, offset: int = 0) -> bytes:
    with source.open(offset) as stream:
        return b"".join(iter(lambda: stream.read(10_000), b""))


def refused(web: WebServer, path: str = "/file", **more: object) -> JobError:
    with pytest.raises(JobError) as caught:
        content(opened(web, path, **more))
    return caught.value


def test_one_request_is_enough_for_head_and_body(web: WebServer) -> None:
    web.headers = {"Content-Type": "image/png"}
    source = opened(web)
    assert (source.size, source.modified_millis) == (len(CONTENT), 1_600_000_000_000)
    assert source.content_type == "image/png"
    assert content(source) == CONTENT
    assert len(web.asked) == 1
    assert web.asked[0]["accept-encoding"] == "identity"
    assert web.asked[0]["host"] == f"localhost:{web.port}"
    assert content(source) == CONTENT
    source.close()
    source.close()


def test_one_connection_serves_many_files(web: WebServer) -> None:
    for _ in range(5):
        source = opened(web)
        assert content(source) == CONTENT
        source.close()
    assert (len(web.asked), web.connections) == (5, 1)


def test_a_range_names_the_version_it_belongs_to(web: WebServer) -> None:
    source = opened(web)
    assert source.ranged
    assert content(source, 1000) == CONTENT[1000:]
    assert (web.asked[1]["range"], web.asked[1]["if-range"]) == ("bytes=1000-", '"v1"')
    assert content(source, len(CONTENT)) == b""


@pytest.mark.parametrize(
    ("change", "ranged"),
    [
        ({}, True),
        ({"etag": None}, True),
        ({"etag": 'W/"weak"'}, True),
        ({"etag": 'W/"weak"', "modified": None}, False),
        ({"etag": None, "modified": None}, False),
        ({"ranges": False}, False),
        ({"chunked": True}, False),
    ],
)
def test_any_offset_can_be_reached(web: WebServer, change: dict[str, object], ranged: bool) -> None:
    vars(web).update(change)
    source = opened(web)
    assert source.ranged is ranged
    assert content(source, 1000) == CONTENT[1000:]
    assert content(source) == CONTENT
    assert ("range" in web.asked[1]) is ranged


def test_identity_follows_the_version(web: WebServer) -> None:
    first = opened(web).identity
    assert opened(web).identity == first
    web.etag = '"v2"'
    assert opened(web).identity != first
    web.etag, web.modified = None, None
    assert opened(web).identity != opened(web).identity


@pytest.mark.parametrize("change", [{"etag": '"v2"'}, {"content": CONTENT + b"x"}])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_change_is_noticed(web: WebServer, change: dict[str, object], ranges: bool) -> None:
    web.ranges = ranges
    source = opened(web)
    source.check_unchanged()
    vars(web).update(change)
    with pytest.raises(JobError) as checked:
        source.check_unchanged()
    with pytest.raises(JobError) as continued:
        content(source, 1000)
    assert (checked.value.code, continued.value.code) == ("source_changed", "source_changed")
    assert checked.value.act == "nobody"


def test_a_shorter_file_is_a_changed_file(web: WebServer) -> None:
    source = opened(web)
    web.status = 416
    with pytest.raises(JobError) as caught:
        content(source, 1000)
    assert caught.value.code == "source_changed"


def test_a_range_from_elsewhere_is_read_from_the_start(web: WebServer) -> None:
    source = opened(web)
    web.lie = 5
    assert content(source, 1000) == CONTENT[1000:]
    assert [asked.get("range") for asked in web.asked] == [None, "bytes=1000-", None]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_is_cut_short_is_no_file(web: WebServer, chunked: bool) -> None:
    web.chunked, web.cut = chunked, 5000
    error = refused(web)
    assert (error.code, error.act) == ("source_interrupted", "nobody")


def test_an_unknown_length_is_read_to_its_end(web: WebServer) -> None:
    web.chunked = True
    source = opened(web)
    assert source.size is None
    assert content(source) == CONTENT


def test_what_is_compressed_all_the_same_is_kept_so(web: WebServer) -> None:
    web.headers = {"Content-Encoding": "gzip"}
    assert content(opened(web)) == CONTENT


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "source_missing"),
        (403, "source_forbidden"),
        (429, "source_busy"),
        (503, "source_unavailable"),
    ],
)
def test_a_refusal_has_its_code_and_keeps_the_signature_secret(
    web: WebServer, status: int, code: str
) -> None:
    web.status, web.headers = status, {"Retry-After": "7"}
    error = refused(web, "/file?signature=geheim")
    assert error.code == code
    assert "geheim" not in error.message + error.hint
    assert web.asked[0]["path"] == "/file?signature=geheim"
    if error.wait:
        assert error.wait.seconds == 7


def test_redirects_are_followed_and_counted(web: WebServer) -> None:
    assert content(opened(web, "/redirect/5//file")) == CONTENT
    assert content(opened(web, f"/redirect/1/{web.url()}"), 1000) == CONTENT[1000:]
    assert refused(web, "/redirect/6//file").code == "source_redirect_refused"


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost/file",
        "file:///etc/passwd",
        "ftp://localhost/x",
        "https://user:word@localhost/",
        "https://",
        "//",
        "data:,x",
    ],
)
def test_a_redirect_leads_to_https_only(web: WebServer, target: str) -> None:
    assert refused(web, f"/redirect/1/{target}").code == "source_redirect_refused"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1"])
def test_a_redirect_does_not_lead_into_the_network(web: WebServer, host: str) -> None:
    error = refused(web, f"/redirect/1/https://{host}:{web.port}/file")
    assert (error.code, len(web.asked)) == ("host_not_allowed", 1)


def test_a_private_host_is_not_asked(web: WebServer) -> None:
    error = refused(web, private_hosts="")
    assert (error.code, error.act) == ("host_not_allowed", "caller")
    assert "private_hosts" in error.hint
    assert web.connections == 0


def test_the_name_is_looked_up_once_and_that_address_is_used(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the second time (DNS rebinding) gains nothing."""
    real = socket.getaddrinfo
    asked: list[str] = []

    def rebinding(host: str, *arguments: object, **more: object) -> object:
        if host != "files.example":
            return real(host, *arguments, **more)  # type: ignore[arg-type]
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.9", *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    source = opened(web, host="files.example", private_hosts="files.example")
    assert content(source) == CONTENT
    assert asked == ["files.example"]
    assert web.asked[0]["host"] == f"files.example:{web.port}"


def test_the_next_address_is_tried(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def two(host: str, *arguments: object, **more: object) -> object:
        if host != "files.example":
            return real(host, *arguments, **more)  # type: ignore[arg-type]
        return [
            answer
            for address in ("127.0.0.9", "127.0.0.1")
            for answer in real(address, *arguments, **more)  # type: ignore[arg-type]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assert content(opened(web, host="files.example", private_hosts="files.example")) == CONTENT


def test_the_certificate_is_checked_against_the_name(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: real("127.0.0.1", *rest, **more),  # type: ignore[arg-type]
    )
    error = refused(web, host="other.example", private_hosts="other.example")
    assert (error.code, error.act) == ("source_certificate", "caller")


def test_an_unknown_authority_is_not_trusted(web: WebServer) -> None:
    error = refused(web, ca_file=None)
    assert (error.code, error.act) == ("source_certificate", "caller")
    assert "ca_file" in error.hint


def test_a_ca_file_that_is_none(web: WebServer, tmp_path: Path) -> None:
    for path in (tmp_path / "none", Path(__file__)):
        error = refused(web, ca_file=path)
        assert (error.code, error.act) == ("config_invalid", "operator")


def test_nobody_there(web: WebServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        web.port = taken.getsockname()[1]  # bound, and nobody listens
        error = refused(web)
    assert (error.code, error.act) == ("source_unreachable", "nobody")


def test_a_server_that_speaks_no_tls(web: WebServer) -> None:
    def answer(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        with peer:
            peer.recv(10_000)
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nplain")

    with socket.create_server(("127.0.0.1", 0)) as plain:
        web.port = plain.getsockname()[1]
        thread = threading.Thread(target=answer, args=(plain,))
        thread.start()
        assert refused(web).code == "source_interrupted"
        thread.join()


def test_closing_wakes_a_read_that_waits(web: WebServer) -> None:
    web.hang = True
    source = opened(web)
    with source.open() as stream:
        timer = threading.Timer(0.1, stream.close)
        timer.start()
        with pytest.raises(JobError) as caught:
            stream.read(10)
        timer.join()
        stream.close()
    assert caught.value.code == "source_interrupted"
    source.close()


def test_a_child_process_does_not_use_its_parents_connection(web: WebServer) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from b2jobs_worker.settings import Settings\n"
        "from b2jobs_worker.sources import open_source\n"
        "settings = Settings(private_hosts='localhost', ca_file=Path(sys.argv[2]))\n"
        "def read():\n"
        "    source = open_source(sys.argv[1], settings)\n"
        "    with source.open() as stream:\n"
        "        return sum(map(len, iter(lambda: stream.read(10_000), b'')))\n"
        "sizes = [read()]\n"
        "if os.fork() == 0:\n"
        "    os._exit(0 if read() == sizes[0] else 1)\n"
        "sizes += [os.waitstatus_to_exitcode(os.wait()[1]), read()]\n"
        "print(*sizes)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, web.url(), str(web.ca_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.split() == [str(len(CONTENT)), "0", str(len(CONTENT))]
    assert web.connections == 2
