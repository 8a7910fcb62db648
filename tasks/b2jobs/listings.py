"""A listing seen from the producer: its lines, page by page, while the job goes on."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from typing import Any

from b2jobs.errors import B2JobsError, Failure, JobCancelled, JobFailed
from b2jobs.feed import taken
from b2jobs.handle import AsyncHandle, Handle
from b2jobs.ledger import rows_of
from b2jobs.redis import unavailable
from b2jobs.results import ListResult
from b2jobs.threads import Threads


class Listing(Handle[ListResult]):
    """One `ls`. Its lines are read once, by whoever reads first, and wait for them.

    Sixteen pages of a thousand lines may wait in Redis. A job whose pages nobody takes for ten
    minutes fails as `nobody_reads`; what is left of one that has ended goes after an hour.
    """

    def lines(self, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """The lines, in the order of their names; constant memory.

        Leaving off early (`break`, an error, `close()` of the iterator) cancels the job.

        Raises:
            JobFailed: also as `listing_incomplete`: pages are gone, or were not a worker's.
            JobCancelled
            WaitTimeout: no page came for *timeout* seconds; the job is cancelled.
        """
        for page in self.pages(timeout):
            yield from page

    def pages(self, timeout: float | None = None) -> Generator[list[dict[str, Any]], None, None]:
        """The lines, up to a thousand at a time; see `lines`."""
        digest = Chain()
        has_ended = False
        try:
            for page in taken(self.records, self, timeout):
                digest.add(page)
                rows: list[dict[str, Any]] = rows_of(page)
                if rows:
                    yield rows
            has_ended = True
        except (JobFailed, JobCancelled):
            has_ended = True
            raise
        finally:
            if not has_ended:
                self._leave()
        result = self.wait()
        if (result.pages, result.digest) != (digest.count, digest.text):
            raise JobFailed(_incomplete(digest.count, result.pages), self.id)
        yield from filter(None, (result.lines,))

    def _leave(self) -> None:
        """Nobody will read the rest: end the job, and take away what waits."""
        with suppress(B2JobsError):
            self.cancel()
            with unavailable(self.records.url):
                self.records.redis.delete(f"{self.records.prefix}batch:{self.id}:feed")


class AsyncListing(AsyncHandle[ListResult]):
    """The awaitable twin of `Listing`; `lines` and `pages` are for `async for`."""

    def __init__(self, threads: Threads, handle: Listing) -> None:
        super().__init__(threads, handle)
        self._listing = handle

    async def lines(self, timeout: float | None = None) -> AsyncIterator[dict[str, Any]]:
        async for page in self.pages(timeout):
            for line in page:
                yield line

    async def pages(self, timeout: float | None = None) -> AsyncIterator[list[dict[str, Any]]]:
        pages = self._listing.pages(timeout)
        try:
            async for page in self._threads.each(lambda: pages):
                yield page
        finally:
            await self._threads.run_long(pages.close)


class Chain:
    """A digest over pages in their order, which goes on from its own text."""

    def __init__(self, count: int = 0, text: str = "") -> None:
        self.count = count
        self.text = text

    def add(self, page: bytes) -> None:
        """Count in one more page."""
        self.count += 1
        self.text = hashlib.sha256(self.text.encode() + page).hexdigest()


def _incomplete(got: int, pages: int) -> Failure:
    return Failure(
        code="listing_incomplete",
        message=f"{got} of {pages} pages came, or they are not those that the worker wrote.",
        hint="Pages are read once, within an hour. List again.",
        act="caller",
    )
