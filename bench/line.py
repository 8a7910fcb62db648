"""A line between programs of this machine: a relay with a round trip and a bandwidth.

Every byte arrives half a round trip after it left, all connections together get no more than
the bandwidth, each way, and one connection no more than a window a round trip: 4 MiB, which is
what Linux lets a TCP window grow to, or less, which is what losses make of it. It stands in for
`tc netem`, where the kernel has none; unlike that it loses nothing and has no slow start.
"""

from __future__ import annotations

import multiprocessing
import queue
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

WINDOW_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 128 * 1024


@dataclass(frozen=True)
class Line:
    """How far and how wide: `30:1000` is a round trip of 30 ms and 1,000 Mbit/s each way.

    `30:1000:256` also says that a connection has 256 KiB a round trip.
    """

    round_trip_seconds: float
    bits_per_second: float
    window_bytes: int = WINDOW_BYTES

    @classmethod
    def parse(cls, text: str) -> Self:
        milliseconds, megabits, *window = text.split(":")
        window_bytes = int(window[0]) * 1024 if window else WINDOW_BYTES
        return cls(float(milliseconds) / 1000, float(megabits) * 1e6, window_bytes)

    @property
    def chunk_bytes(self) -> int:
        return min(_CHUNK_BYTES, self.window_bytes // 8)

    def __str__(self) -> str:
        said = f"{self.round_trip_seconds * 1000:g} ms, {self.bits_per_second / 1e6:g} Mbit/s"
        if self.window_bytes == WINDOW_BYTES:
            return said
        return f"{said}, {self.window_bytes // 1024} KiB a connection and round trip"


class Relay:
    """Runs in a process of its own; `port` leads to *target* over *line*."""

    def __init__(self, line: Line, target: int) -> None:
        context = multiprocessing.get_context("spawn")
        answer: Any = context.SimpleQueue()
        self._process = context.Process(target=_serve, args=(line, target, answer), daemon=True)
        self._process.start()
        self.port = int(answer.get())

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


class _Direction:
    """The line one way: when what is sent now has left, for all connections together."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._lock = threading.Lock()
        self._free_at = 0.0

    def arrives_at(self, count: int) -> float:
        with self._lock:
            self._free_at = max(time.monotonic(), self._free_at)
            self._free_at += count * 8 / self.line.bits_per_second
            return self._free_at + self.line.round_trip_seconds / 2


def _serve(line: Line, target: int, answer: Any) -> None:
    there, back = _Direction(line), _Direction(line)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    answer.put(listener.getsockname()[1])
    # What is on the way has half of a round trip: half of a window fits into it.
    most = max(1, line.window_bytes // line.chunk_bytes // 2)
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", target))
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink, direction in ((near, far, there), (far, near, back)):
            waiting: queue.Queue[tuple[float, bytes]] = queue.Queue(most)
            for act, of in ((_read, source), (_write, sink)):
                threading.Thread(target=act, args=(of, waiting, direction), daemon=True).start()


def _read(source: socket.socket, waiting: Any, direction: _Direction) -> None:
    data = b"x"
    while data:
        data = b""
        with suppress(OSError):
            data = source.recv(direction.line.chunk_bytes)
        waiting.put((direction.arrives_at(len(data)), data))


def _write(sink: socket.socket, waiting: Any, direction: _Direction) -> None:
    del direction
    while True:
        due, data = waiting.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
        except OSError:  # closed by the other side: what comes is thrown away, so nobody waits
            while data:
                data = waiting.get()[1]
            return
