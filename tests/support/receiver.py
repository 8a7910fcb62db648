"""A receiver of webhooks on loopback that behaves, and misbehaves, as a test asks it to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

SECRET = "whsec_" + "A" * 32


@dataclass(frozen=True)
class Got:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """statuses: of the next answers; 200 behind them. hang: answer nothing. drip: bytes that
    never end a header, one in each so many seconds."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drip: float = 0.0
    got: list[Got] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    ca_file: Path | None = None

    def url(self, path: str = "/hook", host: str = "localhost") -> str:
        scheme = "https" if self.ca_file else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in list(self.got)]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def log_message(self, *arguments: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        receiver = self.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.got.append(Got(self.path, headers, body))
        if receiver.hang:
            receiver.stopped.wait(60)
            return
        if receiver.drip:
            self._drip(receiver.drip)
            return
        self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
        for name, value in receiver.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _drip(self, seconds: float) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.receiver.stopped.wait(seconds):
            try:
                self.wfile.write(b"x")
            except OSError:
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are what several tests are about."""


@contextmanager
def receiver(folder: Path | None = None) -> Iterator[Receiver]:
    """Run one for a while: over TLS for localhost where there is a *folder* for its certificate."""
    made = Receiver()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": made}))
    if folder is not None:
        authority = trustme.CA()
        made.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(made.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
