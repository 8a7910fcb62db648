"""Which bytes of a file are wanted, and opening them."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from types import TracebackType

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2 import retry
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.downloads import Arriving
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.failures import destination_error

BUFFER_BYTES = 256 * 1024
_MISMATCH = "mismatch"
_local = threading.local()


@dataclass(frozen=True)
class Window:
    """Bytes *first* to *last*, both inclusive; no last means the end of the file."""

    first: int = 0
    last: int | None = None

    @property
    def is_everything(self) -> bool:
        return self.first == 0 and self.last is None

    def length(self, size: int) -> int:
        """How many bytes of a file of *size* are inside."""
        end = size - 1 if self.last is None else min(self.last, size - 1)
        return max(end - self.first + 1, 0)


def thread_buffer() -> memoryview:
    """256 KiB of this thread's own, for bytes on their way. Never keep it across calls."""
    buffer: memoryview | None = getattr(_local, "buffer", None)
    if buffer is None:
        buffer = _local.buffer = memoryview(bytearray(BUFFER_BYTES))
    return buffer


class opened:  # noqa: N801 - it reads as what it does; a generator would cost each file more
    """Bytes *first* to *last* of the file behind *url*; tried again while none have come.

    An empty file has no range at all: then it is opened without one.
    """

    __slots__ = ("_client", "_fetch", "_first", "_last", "_url")

    def __init__(self, client: B2Client, url: str, first: int, last: int | None) -> None:
        self._client = client
        self._url = url
        self._first = first
        self._last = last

    def __enter__(self) -> Arriving:
        tries = 0
        range_: tuple[int, int | None] | tuple[None, None] = self._first, self._last
        if range_ == (0, None):
            range_ = None, None
        while True:
            tries += 1
            try:
                self._fetch = self._client.download(self._url, *range_)
                return self._fetch.__enter__()
            except CallerError as error:
                unfit = error.code == "range_not_satisfiable" and self._first == 0
                if not unfit or range_ == (None, None):
                    raise
                range_ = None, None
            except JobError as error:
                pause = retry.pause_before_next(error, tries)
                if pause is None:
                    raise
                self._client.sleep(pause)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._fetch.__exit__(kind, error, traceback)


def checksum_mismatch(name: str) -> PassingError:
    return PassingError(
        "checksum_mismatch", f"What arrived of {name} is not what its SHA-1 says; it was dropped."
    )


def checksum_differs(name: str, said: str, sha1: str) -> CallerError:
    """The same other bytes came twice."""
    return CallerError(
        "checksum_differs",
        f"{name} should have the SHA-1 {said}; the bytes B2 has for it have {sha1}, each time.",
        hint="Either its uploader gave a wrong digest, or it was damaged before B2 had it. "
        "verify=False takes the file as it is.",
    )


def mismatch(attempt: Attempt, version: FileVersion, said: str, sha1: str) -> JobError:
    """Wrong bytes on the way are fetched again; the same ones twice are what B2 has."""
    journal = attempt.journal
    seen = f"{version.file_id}:{sha1}"
    is_again = attempt.number > 1 and journal.load().get(_MISMATCH) == seen
    journal.clear()
    if is_again:
        return checksum_differs(version.name, said, sha1)
    journal.record({_MISMATCH: seen})
    return checksum_mismatch(version.name)


def cut_short() -> PassingError:
    return PassingError("connection_broken", "B2 sent fewer bytes than it had announced.")


def write_at(descriptor: int, data: memoryview, offset: int, uri: str) -> None:
    """All of *data* into the part file of *uri*."""
    try:
        while data:
            count = os.pwrite(descriptor, data, offset)
            data, offset = data[count:], offset + count
    except OSError as error:
        raise destination_error(error, uri) from error
