"""The memory that parts of large uploads wait in, bounded for the whole process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PROCESS_LIMIT_BYTES = 128 * 1024 * 1024
"""All large uploads of a process together; each has at least two parts, whatever this says."""

LEAST_BUFFERS = 2


class Buffers:
    """Hands out buffers of one part each."""

    def __init__(self, limit_bytes: int = PROCESS_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    @contextmanager
    def reserve(self, size_bytes: int, wanted: int) -> Iterator[BufferSet]:
        """Up to *wanted* buffers of *size_bytes*, fewer when the process is short of memory."""
        with self._lock:
            left = (self._limit_bytes - self._used_bytes) // size_bytes
            count = max(LEAST_BUFFERS, min(wanted, left))
            self._used_bytes += count * size_bytes
        try:
            yield BufferSet(size_bytes, count)
        finally:
            with self._lock:
                self._used_bytes -= count * size_bytes


class BufferSet:
    """The buffers of one transfer: *count* of *size_bytes*, or fewer and larger ones."""

    def __init__(self, size_bytes: int, count: int) -> None:
        self.count = count
        self._limit_bytes = count * size_bytes
        self._made_bytes = 0
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()

    def take(self, length: int, checkpoint: Callable[[], None]) -> memoryview:
        """A free buffer of at least *length*; waits, calling *checkpoint*. One thread may take.

        A stream of unknown length has parts that grow. Smaller buffers make room for them,
        so the memory stays what was reserved as long as one buffer fits into it.
        """
        while True:
            try:
                buffer = self._free.get(timeout=0 if self._has_room(length) else 0.25)
            except queue.Empty:
                if self._has_room(length):
                    self._made_bytes += length
                    return memoryview(bytearray(length))
                checkpoint()
                continue
            if len(buffer) >= length:
                return buffer
            self._made_bytes -= len(buffer)

    def give(self, buffer: memoryview) -> None:
        """Any thread may give."""
        self._free.put(buffer)

    def _has_room(self, length: int) -> bool:
        return self._made_bytes == 0 or self._made_bytes + length <= self._limit_bytes
