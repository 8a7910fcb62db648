"""Which bytes of a download are taken, and how far it has come without a gap."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

_LEAST_BYTES = 16 * 1024 * 1024
_MOST_BYTES = 128 * 1024 * 1024
_SPANS_A_FILE = 32


def span_bytes(size: int) -> int:
    """What one request asks for in a file of *size*: each request is a class B call."""
    return min(max(size // _SPANS_A_FILE, _LEAST_BYTES), _MOST_BYTES)


@dataclass
class Span:
    """Bytes from *start* up to *end*; *position* is where the next one goes."""

    start: int
    end: int
    position: int


class Spans:
    """The bytes from *start* to *end*, cut into spans that are handed out in order."""

    def __init__(self, start: int, end: int, *, first_end: int) -> None:
        self._end = end
        self._next = start
        self._first_end = min(first_end, end)
        self._size = span_bytes(end - start)
        self._frontier = start
        self._open: deque[Span] = deque()
        self._changed = threading.Condition()
        self._received = 0
        self._stopped = False
        self._awaited = start

    def take(self) -> Span | None:
        """The next span; None when all are taken or somebody has failed."""
        with self._changed:
            if self._stopped or self._next >= self._end:
                return None
            start = self._next
            is_first = start < self._first_end and not self._open and start == self._frontier
            end = self._first_end if is_first else min(start + self._size, self._end)
            self._next = end
            span = Span(start, end, start)
            self._open.append(span)
            return span

    def wrote(self, span: Span, count: int) -> None:
        """*count* more bytes of *span* are in the file."""
        with self._changed:
            span.position += count
            self._received += count
            while self._open and self._open[0].position >= self._open[0].end:
                self._frontier = self._open.popleft().end
            if self._open:
                self._frontier = max(self._frontier, self._open[0].position)
            if self._frontier > self._awaited:
                self._changed.notify_all()

    @property
    def received(self) -> int:
        return self._received

    @property
    def are_left(self) -> bool:
        """Whether `take` has more to give."""
        return not self._stopped and self._next < self._end

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def wake(self) -> None:
        """A lane has ended: who waits looks whether it has failed."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more is handed out; who waits wakes up."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_beyond(self, offset: int, seconds: float) -> int:
        """How far the bytes reach without a gap; waits until that is beyond *offset*."""
        with self._changed:
            self._awaited = offset
            if self._frontier <= offset and not self._stopped:
                self._changed.wait(seconds)
            return self._frontier
