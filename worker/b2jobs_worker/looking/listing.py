"""A listing as a job: its lines go to the producer in pages, each exactly once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any

from b2jobs.errors import CallerError, QueueUnavailable
from b2jobs.ledger import packed_rows
from b2jobs.listings import Chain
from b2jobs.requests.listings import List
from b2jobs.results import ListResult, Result
from b2jobs_worker.attempt import Attempt, Settled
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.b2.pages import PAGE, Documents, Position
from b2jobs_worker.batch.ledger.feed import SILENCE_SECONDS, Feed
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.looking.found import Choice, line_of, pages_of
from b2jobs_worker.sources.limits import began_millis
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.work import Work

MOST_PAGES = 16
_AT = "at"
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 2.0
_REST_SECONDS = 30.0
_KEPT_SECONDS = 3600
"""How long a page stays that nobody takes."""


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
        with closing(listing.rest()) as pages:
            for page, notes in pages:
                self._hand_over(listing.chain.count - 1, page, notes, attempt)
        Feed(self._store().records, attempt.job_id).expire(_KEPT_SECONDS)
        return listing.result(usage)

    def abandon(self, request: List, attempt: Attempt) -> None:
        """Drop what was not taken."""
        del request
        Feed(self._store().records, attempt.job_id).drop()

    def _hand_over(self, number: int, page: bytes, notes: dict[str, str], attempt: Attempt) -> None:
        store = self._store()
        since = time.monotonic()
        while True:
            full = _offered(store, attempt, number, page, notes, self._most_pages)
            if full is None:
                return
            attempt.checkpoint()
            if full > self._silence_seconds:
                Feed(store.records, attempt.job_id).drop()
                raise CallerError(
                    "nobody_reads",
                    f"Nobody took the listing's lines for {self._silence_seconds:g} s.",
                    hint="Read them while the job runs (b2jobs.ls(...).lines()), or give a limit.",
                )
            if time.monotonic() - since > _PATIENCE_SECONDS:
                rest = min(_REST_SECONDS, self._silence_seconds)
                store.rest(attempt, "window", rest, low=-1)
                raise Settled
            time.sleep(_LOOK_SECONDS)


def _offered(
    store: Store, attempt: Attempt, number: int, page: bytes, notes: Mapping[str, str], most: int
) -> float | None:
    """Offer a page, and note in the journal how far the job is: both, or neither.

    None when it was taken; else for how many seconds there has been no room for it.

    Raises:
        Interrupted: the job is not ours any more.
    """
    own = {"id": attempt.job_id, "fence": attempt.fence, "number": number}
    more = {"notes": notes, "most": most, "keep": _KEPT_SECONDS}
    call = store.records.door.call
    said = store.patiently(attempt, lambda: call("batches/page", page, **own, **more))
    if said == "lost":
        attempt.guard(anew=True)  # says why, by raising
        raise QueueUnavailable("The lease was lost and found again; the keeper rings again.")
    return None if said == "fed" else float(said)


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
