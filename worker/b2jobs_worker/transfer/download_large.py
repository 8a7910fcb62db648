"""A download into a part file: ranges in parallel, written in place, digest in order.

Several spans of the file arrive at once. One thread follows them from the beginning,
reads what has been written in order (it is still in the page cache) and takes the digest.
What it has passed is what the journal knows: N bytes and their SHA-1 so far. A later
attempt reads those N bytes of the part file, and goes on when the digest is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs_worker.attempt import Attempt, Interrupted
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.downloads import Arriving
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.port import Sink
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.range_lanes import SAMPLE_BYTES, Fetched, RangeLanes
from b2jobs_worker.transfer.ranges import (
    Window,
    cut_short,
    mismatch,
    opened,
    thread_buffer,
    write_at,
)
from b2jobs_worker.transfer.spans import Spans

FIRST_BYTES = 16 * 1024 * 1024
"""What the first request asks for: a file up to this size comes in one."""

_MOST_VERSIONS = 4
_NOTE_BYTES = 64 * 1024 * 1024
_NOTE_SECONDS = 5.0
_HASH_BYTES = 1024 * 1024
_BITE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Received:
    """What has arrived, and whether it was compared with a digest B2 has."""

    version: FileVersion
    sha1: str | None
    size: int
    verified: bool
    resumed_bytes: int = 0
    is_unchanged: bool = False


@dataclass(frozen=True)
class Left:
    """What an earlier attempt has noted: the first *done* bytes have *sha1*."""

    file_id: str
    size: int
    part_identity: str
    done: int
    sha1: str


class LargeDownload:
    """One file's way into a sink. `run` leaves a part file that is whole and checked."""

    def __init__(
        self,
        client: B2Client,
        attempt: Attempt,
        context: Context,
        sink: Sink,
        window: Window,
        *,
        verify: bool,
    ) -> None:
        self._client = client
        self._attempt = attempt
        self._context = context
        self._sink = sink
        self._window = window
        self._verify = verify
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._noted = (0, time.monotonic())
        self._pinned: str | None = None

    def run(self, url: str) -> Received:
        """Fetch the file behind *url*, pinned to the version that answers first.

        By name, a version that is replaced and deleted on the way is no reason to fail: the
        one that is there by then is fetched. What stays away is `file_not_found`.
        """
        left = self._left()
        for version in range(1, _MOST_VERSIONS + 1):
            self._pinned = None if left is None else left.file_id
            try:
                return self._fetch(url if left is None else self._by_id(left.file_id), left)
            except CallerError as error:
                # Not the first answer itself: by name, nothing is there.
                if error.code != "file_not_found" or self._pinned is None:
                    raise
                if version == _MOST_VERSIONS:
                    raise PassingError(
                        "source_changed",
                        f"The file was replaced {_MOST_VERSIONS} times while it was fetched.",
                    ) from error
            left = None
            self._forget()
        raise AssertionError("unreachable")

    def _forget(self) -> None:
        """Begin anew: what has arrived belongs to a version that is gone."""
        self._attempt.journal.clear()
        self._sink.discard()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._noted = 0, time.monotonic()

    def _fetch(self, url: str, left: Left | None) -> Received:
        skip = self._verified(left) if left is not None else 0
        if left is not None and skip == left.size:
            version = self._client.version(left.file_id)
            if version is None:
                raise file_not_found(left.file_id)
            return self._checked(version, left.size, skip)
        first = self._window.first + skip
        last = first + FIRST_BYTES - 1
        if self._window.last is not None:
            last = min(last, self._window.last)
        with contextlib.ExitStack() as stack:
            arriving = stack.enter_context(opened(self._client, url, first, last))
            version = arriving.version
            self._pinned = version.file_id
            length = self._window.length(version.size)
            descriptor = self._sink.open(length)
            if length - skip <= FIRST_BYTES:
                self._receive_one(arriving, descriptor, skip, length)
            else:
                spans = Spans(skip, length, first_end=skip + FIRST_BYTES)
                self._note(version, skip, length)
                self._receive_many(version, arriving, stack.pop_all(), descriptor, spans, length)
        return self._checked(version, length, skip)

    def _receive_one(self, arriving: Arriving, descriptor: int, position: int, length: int) -> None:
        """All of it by this request, in this thread, hashed on the way."""
        buffer = thread_buffer()
        while position < length:
            self._attempt.checkpoint()
            count = arriving.readinto(buffer)
            if not count:
                raise cut_short()
            write_at(descriptor, buffer[:count], position, self._sink.uri)
            self._sha1.update(buffer[:count])
            position += count
            self._attempt.progress("receiving", position, length)

    def _receive_many(
        self,
        version: FileVersion,
        arriving: Arriving,
        connection: contextlib.ExitStack,
        descriptor: int,
        spans: Spans,
        length: int,
    ) -> None:
        """The rest by several requests at once; this thread follows with the digest."""
        account = self._client.account()
        with (
            connection,
            self._context.in_flight.of_one(
                f"from {account.name}",
                sample_bytes=SAMPLE_BYTES,
                refusals=lambda: account.concurrency.cuts,
            ) as in_flight,
            self._context.threads.lanes(lambda: in_flight.limit) as lanes,
        ):
            fetched = Fetched(
                *(self._client, self._attempt, spans, in_flight, self._by_id(version.file_id)),
                *(self._window.first, descriptor, self._sink.uri),
            )
            ranges = RangeLanes(fetched, self._context.buffers)
            first = spans.take()
            assert first is not None
            lanes.submit(ranges.fill_from, arriving, connection, first)

            def keep_filled() -> None:
                lanes.check()
                while lanes.is_free and spans.are_left:
                    lanes.submit(ranges.fill)

            try:
                self._follow(version, descriptor, spans, keep_filled, length)
                lanes.join()
            finally:
                spans.stop()

    def _follow(
        self,
        version: FileVersion,
        descriptor: int,
        spans: Spans,
        keep_filled: Callable[[], None],
        length: int,
    ) -> None:
        """Take the digest of what has arrived without a gap, until that is everything.

        *keep_filled* sees to the lanes, and raises what one of them has raised.
        """
        hashed = self._noted[0]
        resumed = hashed
        buffer = memoryview(bytearray(_HASH_BYTES))
        try:
            while hashed < length:
                self._attempt.checkpoint()
                keep_filled()
                # In large bites: waking for each chunk costs more than it hurries.
                frontier = spans.wait_beyond(min(hashed + _BITE_BYTES, length) - 1, 0.25)
                while hashed < frontier:
                    count = os.preadv(descriptor, [buffer[: frontier - hashed]], hashed)
                    self._sha1.update(buffer[:count])
                    hashed += count
                    self._attempt.progress("receiving", resumed + spans.received, length)
                    self._attempt.checkpoint()
                noted, since = self._noted
                if hashed - noted >= _NOTE_BYTES or time.monotonic() - since >= _NOTE_SECONDS:
                    self._note(version, hashed, length)
        except (Interrupted, JobError) as ended:
            # Who goes on, in this process or elsewhere, begins where this attempt has ended.
            if hashed > self._noted[0] and (isinstance(ended, JobError) or ended.keep):
                self._note(version, hashed, length)
            raise

    def _checked(self, version: FileVersion, length: int, skip: int) -> Received:
        """Compare; what is wrong is dropped, to be fetched anew by the next attempt."""
        sha1 = self._sha1.hexdigest()
        whole = self._window.first == 0 and length == version.size
        self._attempt.progress("verifying", length, length)
        said = version.sha1 if whole else None
        is_right = said == sha1
        if self._verify and said is not None and not is_right:
            self._sink.discard()
            raise mismatch(self._attempt, version, said, sha1)
        return Received(version, sha1, length, verified=is_right, resumed_bytes=skip)

    def _left(self) -> Left | None:
        if self._attempt.number == 1:
            return None
        fields = self._attempt.journal.load()
        return Left(**json.loads(fields["fetch"])) if "fetch" in fields else None

    def _note(self, version: FileVersion, done: int, length: int) -> None:
        left = Left(version.file_id, length, self._sink.part_identity, done, self._sha1.hexdigest())
        self._attempt.journal.record({"fetch": json.dumps(asdict(left), separators=(",", ":"))})
        self._noted = done, time.monotonic()

    def _verified(self, left: Left) -> int:
        """How many bytes of the part file are those the journal says; their digest is taken."""
        descriptor = self._sink.open(left.size)
        if self._sink.part_identity != left.part_identity:
            return 0
        sha1 = hashlib.sha1(usedforsecurity=False)
        buffer = memoryview(bytearray(_HASH_BYTES))
        done = 0
        while done < left.done:
            self._attempt.checkpoint()
            count = os.preadv(descriptor, [buffer[: left.done - done]], done)
            if not count:
                return 0
            sha1.update(buffer[:count])
            done += count
            self._attempt.progress("verifying", done, left.done)
        if sha1.hexdigest() != left.sha1:
            return 0
        self._sha1 = sha1
        self._noted = done, time.monotonic()
        return done

    def _by_id(self, file_id: str) -> str:
        return str(self._client.account().session.get_download_url_by_id(file_id))
