"""The memory that parts of large files wait in, bounded for the whole process."""

from __future__ import annotations

import mmap
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PROCESS_LIMIT_BYTES = 128 * 1024 * 1024
_KEPT = 2


class Buffers:
    """Hands out memory, to all transfers of a process together no more than the limit.

    Who finds none left waits in line: so each transfer that waits gets its part in turn, and
    one that holds one buffer can go on. A single piece larger than the limit is let through
    when nothing else is in use.
    """

    def __init__(self, limit_bytes: int = PROCESS_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._free: list[mmap.mmap] = []
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def used_bytes(self) -> int:
        """What is handed out, or kept to be used again while transfers last."""
        return self._used_bytes

    @contextmanager
    def hold(self, length: int, checkpoint: Callable[[], None]) -> Iterator[memoryview]:
        """*length* bytes; waits, calling *checkpoint*, until there is room."""
        self._acquire(length, checkpoint, reuse=False)
        try:
            yield memoryview(bytearray(length))
        finally:
            self._release(length)

    @contextmanager
    def of_one(self) -> Iterator[BufferSet]:
        """The buffers of one transfer; whatever it still has in the end is given back."""
        buffers = BufferSet(self)
        try:
            yield buffers
        finally:
            buffers.release()

    def take(self, length: int, checkpoint: Callable[[], None]) -> mmap.mmap:
        """A buffer of *length* or more, used before or new."""
        return self._acquire(length, checkpoint, reuse=True) or mmap.mmap(-1, length)

    def give(self, made: mmap.mmap) -> None:
        """Any thread may give. A few are kept for the next who takes one as long, or less."""
        with self._changed:
            self._free.append(made)
            if len(self._free) > _KEPT:
                self._drop(self._free.pop(0))
            self._changed.notify_all()

    def discard(self, *more: mmap.mmap) -> None:
        """Give *more*, and what is kept, back to the system, whoever still refers to it.

        What a failed transfer leaves (exceptions, their frames) may refer to a buffer until
        the collector comes by. The memory does not wait for that.
        """
        with self._changed:
            free, self._free = [*self._free, *more], []
            for made in free:
                self._drop(made)
            self._changed.notify_all()

    def _acquire(
        self, length: int, checkpoint: Callable[[], None], *, reuse: bool
    ) -> mmap.mmap | None:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while True:
                    if self._waiting[0] is ticket:
                        found = self._reused(length) if reuse else None
                        if found is not None:
                            return found
                        if self._has_room(length):
                            self._used_bytes += length
                            return None
                    self._changed.wait(0.25)
                    checkpoint()
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _reused(self, length: int) -> mmap.mmap | None:
        for at, made in enumerate(self._free):
            if len(made) >= length:
                return self._free.pop(at)
        return None

    def _has_room(self, length: int) -> bool:
        """Smaller ones make room."""
        while self._free and self._used_bytes + length > self._limit_bytes:
            self._drop(self._free.pop())
        return not self._used_bytes or self._used_bytes + length <= self._limit_bytes

    def _drop(self, made: mmap.mmap) -> None:
        self._used_bytes -= len(made)
        if hasattr(mmap, "MADV_DONTNEED"):
            made.madvise(mmap.MADV_DONTNEED)

    def _release(self, length: int) -> None:
        with self._changed:
            self._used_bytes -= length
            self._changed.notify_all()


class BufferSet:
    """The buffers of one transfer."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._out: dict[int, mmap.mmap] = {}

    def take(self, length: int, checkpoint: Callable[[], None]) -> memoryview:
        """A buffer of *length* or more; waits, calling *checkpoint*, until there is one."""
        made = self._buffers.take(length, checkpoint)
        self._out[id(made)] = made
        return memoryview(made)

    def give(self, buffer: memoryview) -> None:
        """Any thread may give."""
        self._buffers.give(self._out.pop(id(buffer.obj)))

    def release(self) -> None:
        """Nobody of this transfer reads or writes any more."""
        out, self._out = self._out, {}
        self._buffers.discard(*out.values())
