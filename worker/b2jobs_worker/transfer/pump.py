"""From the source into buffers, from buffers into lanes: how the parts of an upload flow."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.protection import Encryption
from b2jobs_worker.sources.failures import source_changed, source_error
from b2jobs_worker.sources.port import Descriptor, Source, Stream, is_descriptor
from b2jobs_worker.transfer import checkpoint, digest
from b2jobs_worker.transfer.body import (
    DIGITS_AT_END,
    DIGITS_BYTES,
    BufferBody,
    SectionBody,
)
from b2jobs_worker.transfer.buffers import BufferSet
from b2jobs_worker.transfer.checkpoint import Checkpoint
from b2jobs_worker.transfer.in_flight import InFlight
from b2jobs_worker.transfer.parts import MOST_PARTS, PartPlan, too_large
from b2jobs_worker.transfer.threads import Lanes

_READ_BYTES = 2 * 1024 * 1024


class Pump:
    """The parts of one upload, those an earlier attempt has sent included."""

    def __init__(
        self,
        client: B2Client,
        attempt: Attempt,
        source: Source,
        plan: PartPlan,
        buffers: BufferSet,
        in_flight: InFlight,
        left: Checkpoint | None,
        *,
        encryption: Encryption | None = None,
    ) -> None:
        """*encryption*: that of the file, where it is with a customer's key."""
        self.client = client
        self.attempt = attempt
        self.source = source
        self.plan = plan
        self.buffers = buffers
        self.sha1 = ""
        self.parts = {number: sha1 for number, sha1 in (left.parts if left else {}).items() if sha1}
        self.resumed_bytes = sum(plan.length(number) for number in self.parts)
        self._in_flight = in_flight
        self._left = left
        self._encryption = encryption
        self._snapshot: dict[str, str] = {}
        self._under_way: dict[int, int] = {}
        self._done = self.resumed_bytes
        self._lock = threading.Lock()

    @property
    def done_bytes(self) -> int:
        return self._done

    def part_sha1s(self) -> list[str]:
        """Of all parts, in order."""
        return [self.parts[number] for number in sorted(self.parts)]

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """The source from where its digest is known, opened."""
        reading = Reading(self, *self._where_to_begin())
        try:
            yield reading
        finally:
            reading.close()

    def reached(self, offset: int, state: str | None) -> None:
        """The source was read up to *offset*, where a part ends."""
        self._snapshot = checkpoint.digest_at(offset, state)

    def send_part(self, file_id: str, number: int, view: memoryview, buffer: memoryview) -> None:
        """Send one part, note it in the journal, give the buffer back. Runs in a lane."""
        begun: list[float] = []

        def tell(sent: int) -> None:
            if not sent:
                self._end(begun, 0)  # an earlier try
                begun.append(self._in_flight.began())
            self._sent(number, sent)

        try:
            sha1 = hashlib.sha1(view, usedforsecurity=False).hexdigest()
            self.client.upload_part(
                *(file_id, number, BufferBody(view, self.attempt, tell)),
                length=len(view),
                sha1=sha1,
                encryption=self._encryption,
            )
            self._end(begun, len(view))
            with self._lock:
                self.parts[number] = sha1
                self._done += len(view)
                self._under_way.pop(number, None)
            self.attempt.journal.record(checkpoint.part_done(number, sha1) | self._snapshot)
            self._tell()
        finally:
            self._end(begun, 0)
            self.buffers.give(buffer)

    def _end(self, begun: list[float], count: int) -> None:
        if begun:
            self._in_flight.ended(begun.pop(), count)

    def send_section(self, file_id: str, number: int, body: SectionBody, length: int) -> None:
        """Send one part while it is read, or only read it when B2 has it."""
        if number in self.parts:
            for _ in body.chunks():
                self.attempt.progress("hashing", self._done, self.plan.size)
            return
        self.client.upload_part(
            *(file_id, number, body),
            length=length + DIGITS_BYTES,
            sha1=DIGITS_AT_END,
            encryption=self._encryption,
        )
        self.parts[number] = body.sha1
        self._done += length
        self.reached(self.plan.offset(number) + length, body.after.state())
        self.attempt.journal.record(checkpoint.part_done(number, body.sha1) | self._snapshot)
        self.attempt.progress("sending", self._done, self.plan.size)

    def _sent(self, number: int, count: int) -> None:
        with self._lock:
            self._under_way[number] = count
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            done = self._done + sum(self._under_way.values())
        self.attempt.progress("sending", done, self.plan.size)

    def _where_to_begin(self) -> tuple[int, digest.Digest]:
        """The first part to be read in order, and the digest of what is before it."""
        left = self._left
        if left is None or not self.source.ranged:
            return 1, digest.new()
        number = 1
        while self.plan.offset(number) < left.digest_offset:
            number += 1
        known = digest.resume(left.digest_state)
        return (number, known) if known is not None else (1, digest.new())


class Reading:
    """The one pass over the source."""

    def __init__(self, pump: Pump, number: int, known: digest.Digest) -> None:
        self._pump = pump
        self._number = number
        self._digest = known
        self._stack = ExitStack()
        self._stream: Stream | None = None
        self._first: tuple[memoryview, memoryview] | None = None
        self._ahead = b""

    def close(self) -> None:
        self._stack.close()

    def short_content(self) -> memoryview | None:
        """The whole source, when it ends with the first part or before; else that is kept."""
        limit = self._pump.plan.length(1)
        buffer = self._pump.buffers.take(limit, self._pump.attempt.checkpoint)
        view = self._fill(self._open(), buffer, 0, limit)
        if len(view) == limit:
            self._ahead = self._open().read(1)
        if not self._ahead:
            return view
        self._first = view, buffer
        return None

    def send_all(self, file_id: str, lanes: Lanes) -> None:
        """Read to the end, and send every part that B2 does not have yet."""
        pump = self._pump
        if pump.plan.is_streamed:
            self._stream_all(file_id)
            return
        self._send_gaps(file_id, lanes)
        size = pump.plan.size
        offset = pump.plan.offset(self._number)
        while size is None or offset < size:
            if self._number > MOST_PARTS:
                raise too_large(offset)
            view, buffer = self._next()
            if not view:
                pump.buffers.give(buffer)
                break
            offset += len(view)
            self._digest.update(view)
            pump.reached(offset, self._digest.state())
            if self._number in pump.parts:
                pump.buffers.give(buffer)
            else:
                lanes.submit(pump.send_part, file_id, self._number, view, buffer)
            ended = len(view) < pump.plan.length(self._number)
            self._number += 1
            if size is None and ended:
                break
        if size is not None and (offset < size or self._goes_on(offset)):
            raise source_changed(pump.source.uri)
        lanes.join()
        pump.sha1 = self._digest.hexdigest()

    def _goes_on(self, offset: int) -> bool:
        """Whether there is more than the source said."""
        if is_descriptor(self._pump.source):
            return _read_at(self._pump.source, memoryview(bytearray(1)), offset) > 0
        return bool(self._open().read(1))

    def _stream_all(self, file_id: str) -> None:
        """Parts too large for memory: one after the other, read while they are sent."""
        pump = self._pump
        size = pump.plan.size or 0
        while (offset := pump.plan.offset(self._number)) < size:
            length = pump.plan.length(self._number)
            body = SectionBody(pump.source, offset, length, self._digest, pump.attempt)
            pump.send_section(file_id, self._number, body, length)
            self._digest = body.after
            self._number += 1
        with pump.source.open(size) as stream:
            if stream.read(1):
                raise source_changed(pump.source.uri)
        pump.sha1 = self._digest.hexdigest()

    def _next(self) -> tuple[memoryview, memoryview]:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        pump = self._pump
        length = pump.plan.length(self._number)
        buffer = pump.buffers.take(length, pump.attempt.checkpoint)
        view = self._fill(self._open(), buffer, pump.plan.offset(self._number), length)
        if pump.plan.size is not None and len(view) < length:
            pump.buffers.give(buffer)
            raise source_changed(pump.source.uri)
        return view, buffer

    def _send_gaps(self, file_id: str, lanes: Lanes) -> None:
        """Parts before the known digest that were under way when the earlier attempt ended."""
        pump = self._pump
        for number in range(1, self._number):
            if number in pump.parts:
                continue
            length = pump.plan.length(number)
            buffer = pump.buffers.take(length, pump.attempt.checkpoint)
            with (
                pump.source.open(pump.plan.offset(number)) as stream,
                pump.attempt.on_interrupt(stream.close),
            ):
                view = self._fill(stream, buffer, pump.plan.offset(number), length)
            lanes.submit(pump.send_part, file_id, number, view, buffer)

    def _open(self) -> Stream:
        if self._stream is None:
            pump = self._pump
            offset = pump.plan.offset(self._number)
            self._stream = self._stack.enter_context(pump.source.open(offset))
            self._stack.enter_context(pump.attempt.on_interrupt(self._stream.close))
        return self._stream

    def _fill(self, stream: Stream, buffer: memoryview, offset: int, length: int) -> memoryview:
        """Up to *length* bytes from *offset* on, which is where *stream* stands."""
        source, checkpoint = self._pump.source, self._pump.attempt.checkpoint
        filled = len(self._ahead)
        buffer[:filled] = self._ahead
        self._ahead = b""
        while filled < length:
            checkpoint()
            piece = min(_READ_BYTES, length - filled)
            if is_descriptor(source):
                # Straight into the buffer, without bytes in between.
                place = buffer[filled : filled + piece]
                count = _read_at(source, place, offset + filled)
            else:
                chunk = stream.read(piece)
                count = len(chunk)
                buffer[filled : filled + count] = chunk
            if not count:
                break
            filled += count
        return buffer[:filled]


def _read_at(source: Descriptor, place: memoryview, offset: int) -> int:
    try:
        return os.preadv(source.fileno(), [place], offset)
    except OSError as error:
        raise source_error(error, str(getattr(source, "uri", "the source"))) from error
