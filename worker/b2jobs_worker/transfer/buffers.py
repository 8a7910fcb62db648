"""The memory that parts of large uploads wait in, bounded for the whole process."""

from __future__ import annotations

import mmap
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
        self._freed = threading.Condition(self._lock)

    @contextmanager
    def hold(self, length: int, checkpoint: Callable[[], None]) -> Iterator[memoryview]:
        """*length* bytes for a small file; waits, calling *checkpoint*, until there is room."""
        with self._freed:
            while self._used_bytes and self._used_bytes + length > self._limit_bytes:
                self._freed.wait(0.25)
                checkpoint()
            self._used_bytes += length
        try:
            yield memoryview(bytearray(length))
        finally:
            with self._freed:
                self._used_bytes -= length
                self._freed.notify_all()

    @contextmanager
    def reserve(self, size_bytes: int, wanted: int) -> Iterator[BufferSet]:
        """Up to *wanted* buffers of *size_bytes*, fewer when the process is short of memory."""
        with self._lock:
            left = (self._limit_bytes - self._used_bytes) // size_bytes
            count = max(LEAST_BUFFERS, min(wanted, left))
            self._used_bytes += count * size_bytes
        buffers = BufferSet(size_bytes, count)
        try:
            yield buffers
        finally:
            buffers.release()
            with self._freed:
                self._used_bytes -= count * size_bytes
                self._freed.notify_all()


class BufferSet:
    """The buffers of one transfer: *count* of *size_bytes*, or fewer and larger ones."""

    def __init__(self, size_bytes: int, count: int) -> None:
        self.count = count
        self._limit_bytes = count * size_bytes
        self._made_bytes = 0
        self._made: list[mmap.mmap] = []
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
                    made = mmap.mmap(-1, length)
                    self._made.append(made)
                    return memoryview(made)
                checkpoint()
                continue
            if len(buffer) >= length:
                return buffer
            self._made_bytes -= len(buffer)
            _give_back(self._made.pop(self._at(buffer)))

    def give(self, buffer: memoryview) -> None:
        """Any thread may give."""
        self._free.put(buffer)

    def release(self) -> None:
        """Give all of it back to the system, whoever still refers to it: nothing reads it now.

        What a failed transfer leaves (exceptions, their frames) may refer to a buffer until
        the collector comes by. The memory does not wait for that.
        """
        for made in self._made:
            _give_back(made)
        self._made.clear()

    def _at(self, buffer: memoryview) -> int:
        return next(at for at, made in enumerate(self._made) if made is buffer.obj)

    def _has_room(self, length: int) -> bool:
        return self._made_bytes == 0 or self._made_bytes + length <= self._limit_bytes


def _give_back(made: mmap.mmap) -> None:
    if hasattr(mmap, "MADV_DONTNEED"):
        made.madvise(mmap.MADV_DONTNEED)
