"""The body of a one-call upload: read once, hashed while it is sent, its digest at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from b2jobs_worker.attempt import Attempt
from b2jobs_worker.sources.failures import source_changed
from b2jobs_worker.sources.port import Source
from b2jobs_worker.transfer.digest import Digest

DIGITS_AT_END = "hex_digits_at_end"
DIGITS_BYTES = 40
CHUNK_BYTES = 256 * 1024


class SourceBody:
    """*source*, and then the 40 hex digits of its SHA-1.

    B2 stores nothing before it has the digits. So *before_commit* is called right before
    they are sent: what it raises leaves B2 as it was. `is_complete` says whether they were
    handed to the connection. Each try reads the source anew.
    """

    def __init__(
        self, source: Source, size: int, attempt: Attempt, before_commit: Callable[[], None]
    ) -> None:
        self.sha1 = ""
        self.is_complete = False
        self._source = source
        self._size = size
        self._attempt = attempt
        self._before_commit = before_commit

    def seek(self, position: int) -> None:
        """b2sdk rewinds before each try; `chunks` begins anew by itself."""
        assert position == 0

    def chunks(self) -> Iterator[bytes]:
        self.is_complete = False
        sha1 = hashlib.sha1(usedforsecurity=False)
        sent = 0
        with (
            self._source.open() as stream,
            self._attempt.on_interrupt(stream.close),
        ):
            while sent < self._size:
                self._attempt.checkpoint()
                chunk = stream.read(min(self._size - sent, CHUNK_BYTES))
                if not chunk:
                    raise source_changed(self._source.uri)
                sha1.update(chunk)
                sent += len(chunk)
                self._attempt.progress("sending", sent, self._size)
                yield chunk
            if stream.read(1):
                raise source_changed(self._source.uri)
        self.sha1 = sha1.hexdigest()
        self._before_commit()
        self.is_complete = True
        yield self.sha1.encode()


class SectionBody:
    """*length* bytes of *source* from *offset* on, and then their digits: a part too large
    to lie in memory. Each try reads them anew and continues *before*, the digest of what is
    in front of them; `after` is that digest with the part.
    """

    def __init__(
        self,
        source: Source,
        offset: int,
        length: int,
        before: Digest,
        attempt: Attempt,
    ) -> None:
        self.after = before
        self.sha1 = ""
        self.sent = 0
        self._source = source
        self._offset = offset
        self._length = length
        self._before = before
        self._attempt = attempt

    def seek(self, position: int) -> None:
        assert position == 0

    def chunks(self) -> Iterator[bytes]:
        self.after = self._before.copy()
        part = hashlib.sha1(usedforsecurity=False)
        self.sent = 0
        with (
            self._source.open(self._offset) as stream,
            self._attempt.on_interrupt(stream.close),
        ):
            while self.sent < self._length:
                self._attempt.checkpoint()
                chunk = stream.read(min(self._length - self.sent, CHUNK_BYTES))
                if not chunk:
                    raise source_changed(self._source.uri)
                part.update(chunk)
                self.after.update(chunk)
                self.sent += len(chunk)
                yield chunk
        self.sha1 = part.hexdigest()
        yield self.sha1.encode()


class BufferBody:
    """A part that lies in memory. Between its pieces it tells how many bytes were sent."""

    def __init__(self, view: memoryview, attempt: Attempt, tell: Callable[[int], None]) -> None:
        self._view = view
        self._attempt = attempt
        self._tell = tell

    def seek(self, position: int) -> None:
        assert position == 0

    def chunks(self) -> Iterator[memoryview]:
        for start in range(0, len(self._view), 4 * CHUNK_BYTES):
            self._attempt.checkpoint()
            self._tell(start)
            yield self._view[start : start + 4 * CHUNK_BYTES]
