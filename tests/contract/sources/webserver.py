"""An https server on loopback that behaves, and misbehaves as a test asks it to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import trustme


class WebServer:
    """What it serves is set through its attributes; what it was asked stands in `asked`.

    status, headers: of every answer below /file. etag, modified: None leaves the header out.
    ranges: whether it knows ranges. chunked: no Content-Length. cut: break off behind so
    many bytes. hang: send the head and nothing else, until the server is stopped. lie:
    answer a range from another offset.
    """

    def __init__(self, ca_file: Path) -> None:
        self.ca_file = ca_file
        self.content = b""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.etag: str | None = '"v1"'
        self.modified: float | None = 1_600_000_000
        self.ranges = True
        self.chunked = False
        self.cut: int | None = None
        self.hang = False
        self.lie = 0
        self.asked: list[dict[str, str]] = []
        self.connections = 0
        self.stopped = threading.Event()
        self.port = 0

    def url(self, path: str = "/file", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: WebServer

    def setup(self) -> None:
        self.web.connections += 1
        super().setup()

    def log_message(self, *arguments: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        web = self.web
        web.asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        if self.path.startswith("/redirect/"):
            self._redirect(unquote(self.path).removeprefix("/redirect/"))
        else:
            self._file()

    def _redirect(self, rest: str) -> None:
        left, _, target = rest.partition("/")
        more = int(left) - 1
        self.send_response(302)
        self.send_header("Location", target if more == 0 else f"/redirect/{more}/{target}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self) -> None:
        web = self.web
        start, end = self._range()
        body = web.content[start:end]
        partial = end is not None or start > 0
        self.send_response(206 if partial and web.status == 200 else web.status)
        if partial:
            at, size = start + web.lie, len(web.content)
            self.send_header("Content-Range", f"bytes {at}-{at + len(body) - 1}/{size}")
        if web.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if web.etag is not None:
            self.send_header("ETag", web.etag)
        if web.modified is not None:
            self.send_header("Last-Modified", formatdate(web.modified, usegmt=True))
        for name, value in web.headers.items():
            self.send_header(name, value)
        if web.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n" % (len(body), body) * bool(body) + b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if web.hang:
            self.wfile.flush()
            web.stopped.wait(60)
        try:
            self.wfile.write(body if web.cut is None else body[: web.cut])
        except OSError:
            self.close_connection = True  # the client has left
        if web.cut is not None or web.hang:
            self.close_connection = True

    def _range(self) -> tuple[int, int | None]:
        """The first byte asked for, and the one behind the last where that was said."""
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        current = {self.web.etag, formatdate(self.web.modified or 0, usegmt=True)}
        if not asked or not self.web.ranges or (condition and condition not in current):
            return 0, None
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), int(last) + 1 if last else None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are what several tests are about; the log has no use for them."""


@contextmanager
def web_server(folder: Path) -> Iterator[WebServer]:
    """Run one for a while; its certificate is good for localhost and files.example."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    web = WebServer(ca_file)
    handler = type("Handler", (_Handler,), {"web": web})
    server = _Server(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "files.example").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        web.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
