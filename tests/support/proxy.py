"""A proxy of TCP on loopback that cuts, delays, changes and throttles what a server answers."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

_PIECE = 16 * 1024


class Proxy:
    """What it does to answers is set through its attributes, for connections to come.

    cut: end each answer behind so many bytes, by a clean FIN or a reset (*how*), *cuts* times.
    pause: seconds before each piece of *piece* bytes. change: what becomes of each piece.
    requests, heads: the first line, and all, of what was asked (where it can be read).
    """

    def __init__(self, upstream: tuple[str, int], context: ssl.SSLContext | None = None) -> None:
        self.upstream = upstream
        self.context = context
        self.cut: int | None = None
        self.cuts = 1_000_000
        self.how: Literal["fin", "rst"] = "fin"
        self.pause = 0.0
        self.piece = _PIECE
        self.change: Callable[[bytes], bytes] = lambda piece: piece
        self.requests: list[str] = []
        self.heads: list[str] = []
        self.passed = 0
        self.port = 0

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError), socket.create_connection(self.upstream) as server:
            if self.context is not None:
                client = self.context.wrap_socket(client, server_side=True)
            asking = threading.Thread(target=self._ask, args=(client, server), daemon=True)
            asking.start()
            self._answer(server, client)
        with suppress(OSError):
            client.close()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                line = piece.partition(b"\r\n")[0]
                if line.endswith(b"HTTP/1.1"):
                    self.requests.append(line.decode("latin-1").removesuffix(" HTTP/1.1"))
                    self.heads.append(piece.decode("latin-1"))
                server.sendall(piece)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        sent = 0
        while piece := server.recv(self.piece):
            if self.pause:
                time.sleep(self.pause)
            piece = self.change(piece)
            if self.cut is not None and self.cuts and sent + len(piece) > self.cut:
                client.sendall(piece[: self.cut - sent])
                self.cuts -= 1
                if self.how == "rst":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.shutdown(socket.SHUT_RD)  # tells nobody, and wakes who reads from it
                else:
                    client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(piece)
            sent += len(piece)
            self.passed += len(piece)


@contextmanager
def proxy(upstream: tuple[str, int], context: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run one before *upstream* for a while; with *context* it speaks TLS to its clients."""
    made = Proxy(upstream, context)
    listening = socket.create_server(("127.0.0.1", 0))
    made.port = listening.getsockname()[1]

    def accept() -> None:
        with suppress(OSError):  # closed at the end
            while True:
                client, _ = listening.accept()
                threading.Thread(target=made.serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
