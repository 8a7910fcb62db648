"""A listing as a job: its lines go to the producer in pages, each exactly once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from b2jobs.ledger import packed_rows
from b2jobs.listings import Chain
from b2jobs.requests.listings import List
from b2jobs.results import ListResult, Result
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.b2.pages import PAGE, Documents, Position
from b2jobs_worker.batch.ledger.feed import SILENCE_SECONDS
from b2jobs_worker.batch.ledger.pages import Pages
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.looking.found import Choice, line_of, pages_of
from b2jobs_worker.sources.limits import began_millis
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.work import Work

MOST_PAGES = 16
_AT = "at"


class ListWork(Work[List]):
    """Pages go into Redis as fast as they are taken. Memory: two pages of B2's."""

    def __init__(
        self,
        context: Callable[[], Context],
        store: Callable[[], Store],
        *,
        page: int = PAGE,
        most_pages: int = MOST_PAGES,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """*page*: names in one; *most_pages* may wait, for *silence_seconds* without a reader."""
        self._context = context
        self._store = store
        self._page = page
        self._most_pages = most_pages
        self._silence_seconds = silence_seconds

    def run(self, request: List, attempt: Attempt) -> Result:
        """List what the request names; a later attempt goes on behind the last page.

        Raises:
            CallerError: `nobody_reads`, when nothing was taken for ten minutes.
            Settled: there is no room for another page; the slot is free until there is.
            JobError: B2 could not be asked.
        """
        client = self._context().client(request.account, attempt)
        client.require("listFiles", name=request.target_location.name)
        usage = Usage(client, attempt)
        listing = _Listing(request, attempt, client, self._page)
        if request.limit is not None:
            return listing.first(request.limit, usage)
        to = self._to(attempt)
        with closing(listing.rest()) as pages:
            for page, notes in pages:
                to.hand_over(listing.chain.count - 1, page, notes)
        to.close()
        return listing.result(usage)

    def abandon(self, request: List, attempt: Attempt) -> None:
        """Drop what was not taken."""
        del request
        self._to(attempt).drop()

    def _to(self, attempt: Attempt) -> Pages:
        return Pages(
            self._store(),
            attempt,
            most=self._most_pages,
            silence_seconds=self._silence_seconds,
        )


class _Listing:
    """How far a listing is; what the journal knows of it goes on from there."""

    def __init__(self, request: List, attempt: Attempt, client: B2Client, page: int) -> None:
        self._page = page
        self._request = request
        self._attempt = attempt
        self._client = client
        now = began_millis(attempt.journal) if request.has_limits else 0
        self._choice = Choice(request, request.target_location, now)
        known: dict[str, Any] = json.loads(attempt.journal.load().get(_AT) or "{}")
        self._is_done: bool = known.get("done", False)
        name, file_id = known.get("start") or (None, None)
        self._start: Position = (name, file_id)
        self._last = known.get("last")
        self._count: int = known.get("count", 0)
        self._size_bytes: int = known.get("size_bytes", 0)
        self._calls: dict[str, int] = known.get("calls", {})
        self._dollars: float = known.get("dollars", 0.0)
        self.chain = Chain(known.get("pages", 0), known.get("digest", ""))

    def rest(self) -> Generator[tuple[bytes, dict[str, str]], None, None]:
        """The pages that nobody has got yet, each with what is to be noted when it is taken."""
        if self._is_done:
            return
        for documents, following in self._pages():
            self._attempt.checkpoint()
            page = packed_rows(self._lines(documents))
            self.chain.add(page)
            noted = {
                "start": following,
                "done": following is None,
                "last": self._last,
                "count": self._count,
                "size_bytes": self._size_bytes,
                "pages": self.chain.count,
                "digest": self.chain.text,
                **self._spent(),
            }
            yield page, {_AT: json.dumps(noted)}

    def first(self, limit: int, usage: Usage) -> ListResult:
        """The first *limit* lines, in the result."""
        lines: list[dict[str, Any]] = []
        with closing(self._pages()) as pages:
            for documents, _ in pages:
                self._attempt.checkpoint()
                lines += self._lines(documents)
                if len(lines) > limit:
                    break
        result = self.result(usage)
        sizes = sum(line.get("size", 0) for line in lines[:limit])
        said = {"lines": lines[:limit], "more": len(lines) > limit}
        return result.model_copy(
            update={**said, "count": min(limit, len(lines)), "size_bytes": sizes}
        )

    def result(self, usage: Usage) -> ListResult:
        """What it came to.

        Raises:
            CallerError: `file_not_found`, for one name.
        """
        if not self._count and not self._request.target_location.is_prefix:
            raise file_not_found(self._request.target)
        return ListResult(
            **{**usage.fields("list"), **self._spent()},
            uri=self._request.target,
            count=self._count,
            size_bytes=self._size_bytes,
            pages=self.chain.count,
            digest=self.chain.text,
        )

    def _pages(self) -> Generator[tuple[Documents, Position | None], None, None]:
        request, target = self._request, self._request.target_location
        whole = request.recursive or not target.is_prefix
        count = self._page
        if request.limit is not None and not request.chooses:
            count = min(count, request.limit + 1)
        return pages_of(
            self._client,
            self._client.bucket(target.bucket),
            target,
            self._start,
            versions=request.versions,
            delimiter=None if whole else "/",
            count=count,
        )

    def _lines(self, documents: Documents) -> list[dict[str, Any]]:
        lines = []
        for document in documents:
            latest = None
            if self._request.versions:
                latest = document["action"] != "start" and document["fileName"] != self._last
                if latest:
                    self._last = document["fileName"]
            if self._choice.takes(document):
                lines.append(line_of(document, latest=latest))
                self._size_bytes += int(document.get("contentLength") or 0)
        self._count += len(lines)
        return lines

    def _spent(self) -> dict[str, Any]:
        calls = Counter(self._calls) + Counter(self._client.meter.calls)
        return {
            "calls": {name: calls[name] for name in "abc"},
            "dollars": round(self._dollars + self._client.meter.dollars, 9),
        }
