"""Writing one body as it arrives: counted, hashed, and put where it belongs.

Small bodies stay in memory and become a row. Larger ones go to their file in
batches of about a megabyte, hashed and written on a thread while the next batch
arrives, so memory is two batches whatever the size. Blocks of zeros are
skipped over: a sparse upload makes a sparse file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor

from b2emulator.store.bodies import FILE, INLINE, NOTHING, BodyStore, NewBody

BATCH_BYTES = 1 << 20
_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="body")
_SUMS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="md5")


class BodyWriter:
    """Takes exactly *size* bytes. `finish` or `abort` is owed."""

    def __init__(
        self, bodies: BodyStore, size: int, *, discard: bool = False, md5: bool = True
    ) -> None:
        self._bodies = bodies
        self.size = size
        self._id = bodies.new_id()
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._summing: Future[None] | None = None
        self._batch: list[bytes] = []
        self._batched = 0
        self._at = 0
        self._file: int | None = None
        self._working: asyncio.Future[None] | None = None
        self._discard = discard
        self._is_inline = size <= bodies.inline_bytes and not discard
        if not self._is_inline and not discard:
            self._file = bodies.open_new(self._id)

    async def write(self, data: bytes) -> None:
        """Take the next bytes. May wait for the batch before."""
        self._batch.append(data)
        self._batched += len(data)
        if self._batched >= BATCH_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        if self._working is not None:
            await self._working
        batch, self._batch, self._batched = self._batch, [], 0
        loop = asyncio.get_running_loop()
        self._working = loop.run_in_executor(_THREADS, self._work, batch)

    def _work(self, batch: list[bytes]) -> None:
        # One call each for all of the batch: every return from a call that lets
        # go of the GIL waits for the event loop to let go of it in turn.
        data = b"".join(batch)
        if not data:
            return
        if self._md5 is not None:
            self._sum(self._md5, data)
        self._digest.update(data)
        if self._file is not None and not _is_zeros(data):
            view, offset = memoryview(data), self._at
            while view:
                written = os.pwrite(self._file, view, offset)
                view, offset = view[written:], offset + written
        self._at += len(data)

    def _sum(self, md5: hashlib._Hash, data: bytes) -> None:
        """MD5 takes three times the SHA-1: beside it and the writing, one batch behind at most."""
        if self._summing is not None:
            self._summing.result()
        self._summing = _SUMS.submit(md5.update, data)

    async def finish(self) -> tuple[str, NewBody, str | None]:
        """(SHA-1, the body, its MD5 unless switched off). The file is complete then."""
        if self._working is not None:
            await self._working
        if self._is_inline:
            data = b"".join(self._batch)
            self._digest.update(data)
            if self._md5 is not None:
                self._md5.update(data)
            return self._sha1(), NewBody(self._id, self.size, INLINE, data), self._md5_digest()
        if self._batched > BATCH_BYTES // 4:
            await self._flush()
            if self._working is not None:
                await self._working
        else:
            self._work(self._batch)
        place = NOTHING
        if self._file is not None:
            os.ftruncate(self._file, self.size)
            os.close(self._file)
            self._file, place = None, FILE
        if self._summing is not None:
            await asyncio.wrap_future(self._summing)
        return self._sha1(), NewBody(self._id, self.size, place), self._md5_digest()

    def _sha1(self) -> str:
        return self._digest.hexdigest()

    def _md5_digest(self) -> str | None:
        return None if self._md5 is None else self._md5.hexdigest()

    async def abort(self) -> None:
        """Leave nothing behind. May follow `finish`."""
        if self._working is not None:
            await asyncio.gather(self._working, return_exceptions=True)
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if not self._is_inline and not self._discard:
            self._bodies.discard(self._id)


def _is_zeros(data: bytes) -> bool:
    return not data[0] and not data[-1] and data == bytes(len(data))
