"""A TLS server that sends exactly what a test writes, byte for byte."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme


class RawWeb:
    """*answer* is called with the head of each request and the connection to write to."""

    def __init__(self, ca_file: Path, answer: Callable[[str, ssl.SSLSocket], None]) -> None:
        self.ca_file = ca_file
        self.answer = answer
        self.heads: list[str] = []
        self.stopped = threading.Event()
        self.port = 0

    def url(self, path: str = "/file") -> str:
        return f"https://localhost:{self.port}{path}"

    def drip(self, connection: ssl.SSLSocket, content: bytes, seconds: float) -> None:
        """Send *content* byte by byte, until the client or the test has enough."""
        with suppress(OSError):
            for at in range(len(content)):
                connection.sendall(content[at : at + 1])
                if self.stopped.wait(seconds):
                    return


@contextmanager
def raw_web(folder: Path, answer: Callable[[str, ssl.SSLSocket], None]) -> Iterator[RawWeb]:
    """Run one for a while; its certificate is good for localhost."""
    authority = trustme.CA()
    ca_file = folder / "raw-ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    web = RawWeb(ca_file, answer)
    listening = socket.create_server(("127.0.0.1", 0))
    web.port = listening.getsockname()[1]

    def serve(client: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(client, server_side=True) as secured:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                piece = secured.recv(10_000)
                if not piece:
                    return
                head += piece
            web.heads.append(head.decode("latin-1"))
            web.answer(web.heads[-1], secured)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.stopped.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
