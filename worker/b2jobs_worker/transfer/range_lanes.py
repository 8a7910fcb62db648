"""What the lanes of one download do: fetch spans of the file and write them in place."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from b2jobs.errors import JobError
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2 import retry
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.downloads import Arriving
from b2jobs_worker.transfer.buffers import Buffers
from b2jobs_worker.transfer.in_flight import InFlight
from b2jobs_worker.transfer.ranges import cut_short, write_at
from b2jobs_worker.transfer.spans import Span, Spans

SAMPLE_BYTES = 4 * 1024 * 1024
# Larger than a thread's own: threads that fetch small files are many, lanes are few.
_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Fetched:
    """The file behind *url*, from its byte *first* on, into *descriptor*, which is *uri*."""

    client: B2Client
    attempt: Attempt
    spans: Spans
    in_flight: InFlight
    url: str
    first: int
    descriptor: int
    uri: str


class RangeLanes:
    """`fill` and `fill_from` are one lane each, from its begin to its end. For many threads."""

    def __init__(self, fetched: Fetched, buffers: Buffers) -> None:
        self._fetched = fetched
        self._buffers = buffers
        self._count = 0
        self._lock = threading.Lock()

    def fill(self) -> None:
        """Fetch spans until none is left, or there are more lanes than there should be."""
        with self._lane() as lane:
            self._rest(lane)

    def fill_from(self, arriving: Arriving, connection: contextlib.ExitStack, span: Span) -> None:
        """As `fill`, with a first *span* that is *arriving* already, on *connection*,
        which the caller closes where this has not come to it."""
        with self._lane() as lane:
            try:
                with connection.pop_all():
                    lane.receive(arriving, span)
            except JobError as error:
                if retry.pause_before_next(error, 1) is None:
                    raise
            lane.fetch(span)
            self._rest(lane)

    def _rest(self, lane: _Lane) -> None:
        fetched = self._fetched
        while self._count <= fetched.in_flight.limit and (span := fetched.spans.take()):
            lane.fetch(span)

    @contextlib.contextmanager
    def _lane(self) -> Iterator[_Lane]:
        with self._lock:
            self._count += 1
        try:
            with self._buffers.hold(_BUFFER_BYTES, self._fetched.attempt.checkpoint) as buffer:
                lane = _Lane(self._fetched, buffer)
                try:
                    yield lane
                finally:
                    lane.rest()
        finally:
            with self._lock:
                self._count -= 1
            self._fetched.spans.wake()


class _Lane:
    """One connection after the other, in one thread. It moves from its first byte on."""

    def __init__(self, fetched: Fetched, buffer: memoryview) -> None:
        self._fetched = fetched
        self._buffer = buffer
        self._began: float | None = None
        self._moved = 0

    def fetch(self, span: Span) -> None:
        """Receive what is missing of *span*; a connection that breaks is opened again there."""
        fetched = self._fetched
        tries = 0
        while span.position < span.end and not fetched.spans.is_stopped:
            before = span.position
            first, last = fetched.first + span.position, fetched.first + span.end - 1
            try:
                with fetched.client.download(fetched.url, first, last) as arriving:
                    self.receive(arriving, span)
            except JobError as error:
                tries = 1 if span.position > before else tries + 1
                pause = retry.pause_before_next(error, tries)
                if pause is None:
                    raise
                fetched.client.sleep(pause)

    def receive(self, arriving: Arriving, span: Span) -> None:
        """What is *arriving* of *span*."""
        fetched = self._fetched
        while span.position < span.end and not fetched.spans.is_stopped:
            fetched.attempt.checkpoint()
            count = arriving.readinto(self._buffer[: span.end - span.position])
            if not count:
                raise cut_short()
            write_at(fetched.descriptor, self._buffer[:count], span.position, fetched.uri)
            fetched.spans.wrote(span, count)
            self._tell(count)

    def rest(self) -> None:
        """It does not move any more."""
        if self._began is not None:
            self._fetched.in_flight.ended(self._began, self._moved)
            self._began = None

    def _tell(self, count: int) -> None:
        """The wait for the next answer belongs to what moves, opening a connection does not."""
        self._moved += count
        if self._began is None or self._moved >= SAMPLE_BYTES:
            self.rest()
            self._began, self._moved = self._fetched.in_flight.began(), 0
