"""Bytes that a producer handed over with a job, as the source of an upload."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from b2jobs.errors import CallerError, JobError, PassingError, QueueUnavailable
from b2jobs.for_people import masked
from b2jobs.locations import StagedBytes
from b2jobs.redis.pieces import PIECE_BYTES, Pieces


class StagedSource:
    """Staged bytes of a job, read from Redis a piece (1 MiB) at a time, from any offset.

    They cannot change; that they are what the producer had is checked by whoever sends them,
    against `sha1`.

    Raises:
        CallerError: `staged_gone`, while they are read.
        PassingError: Redis did not answer.
    """

    ranged = True

    def __init__(self, location: StagedBytes, pieces: Pieces) -> None:
        self.uri = masked(str(location))  # this ends up in messages
        self.size: int | None = location.size
        self.sha1 = location.sha1
        self.modified_millis = location.modified_millis
        self.identity = f"{location.id}-{location.size}-{location.sha1}"
        self.content_type: str | None = location.content_type or None
        self._id = location.id
        self._pieces = pieces

    def differs(self, sha1: str) -> JobError:
        return CallerError(
            "staged_damaged",
            f"The bytes of {self.uri} have the SHA-1 {sha1}: they are not what was handed over.",
            hint="Upload them again. Nothing was stored.",
        )

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[StagedStream]:
        yield StagedStream(self, offset)

    def piece(self, number: int) -> bytes:
        """The piece with this number.

        Raises:
            CallerError, PassingError
        """
        try:
            found = self._pieces.piece(self._id, number)
        except QueueUnavailable as error:
            raise PassingError(error.code, str(error), hint=error.hint) from error
        if found is None:
            raise CallerError(
                "staged_gone",
                f"The bytes of {self.uri} are not in Redis any more.",
                hint="Upload them again.",
            )
        return found

    def check_unchanged(self) -> None:
        """Nothing to ask."""

    def close(self) -> None:
        """Nothing to give back."""


class StagedStream:
    """Bytes in order; it holds one piece."""

    def __init__(self, source: StagedSource, offset: int) -> None:
        self._source = source
        self._left = max(0, (source.size or 0) - offset)
        self._number, self._at = divmod(offset, PIECE_BYTES)
        self._piece = memoryview(b"")
        self._is_closed = False

    def read(self, size: int, /) -> bytes:
        if self._is_closed:
            raise ValueError("the stream is closed")
        if not self._left or not size:
            return b""
        if not self._piece:
            self._piece = memoryview(self._source.piece(self._number))[self._at :]
            self._number, self._at = self._number + 1, 0
        chunk = bytes(self._piece[: min(size, self._left)])
        self._piece = self._piece[len(chunk) :]
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Reading again is an error. A piece that is on its way comes within the call's time."""
        self._is_closed = True
