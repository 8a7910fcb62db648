"""Comparing a report with what B2 lists: sizes, digests, file ids; nothing is read.

Objects of other stores are asked one by one; see `objects.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from b2jobs import locations
from b2jobs.errors import CallerError, PassingError, Wait
from b2jobs.locations import B2File
from b2jobs.requests import Verify
from b2jobs.results import Result, VerifyResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.batch.ledger.feed import Feed
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.proof.expected import Expected, ExpectedFiles
from b2jobs_worker.batch.proof.objects import compare_objects
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.work import Work

_SAMPLES = 1000
_LOOK_SECONDS = 0.1
_FIRST_SECONDS, _LOOK_AGAIN_SECONDS, _BEGINS_SECONDS = 1.0, 5.0, 60.0


class VerifyWork(Work[Verify]):
    """For verifying a report."""

    def __init__(self, context: Callable[[], Context], store: Callable[[], Store]) -> None:
        self._context = context
        self._store = store

    def run(self, request: Verify, attempt: Attempt) -> Result:
        """Compare. Costs one class C call for every thousand names listed.

        Raises:
            CallerError: `feed_broken`; submit it again.
            JobError: B2 could not be asked.
        """
        store = self._store()
        feed = Feed(store.records, attempt.job_id, attempt.permit.producer)
        _wait_for_first(feed, attempt)
        client = self._context().client(request.account, attempt)
        usage = Usage(client, attempt)
        with ExpectedFiles() as expected:
            for rows in fed_chunks(
                feed, attempt, lambda number: store.note(attempt, cursor=number)
            ):
                _admit(rows, attempt)
                expected.add(rows)
            found = _Findings()
            for bucket in expected.buckets():
                if "://" in bucket:
                    below = expected.below(bucket)
                    compare_objects(bucket, below, attempt, self._context(), found)
                    continue
                _compare(client, bucket, expected.below(bucket), request.prefix, found)
        feed.drop()
        return VerifyResult(
            **usage.fields("verify"),
            checked=found.checked,
            samples=found.samples,
            **found.counts,
        )

    def abandon(self, request: Verify, attempt: Attempt) -> None:
        """Drop what was fed."""
        del request
        Feed(self._store().records, attempt.job_id).drop()


def _wait_for_first(feed: Feed, attempt: Attempt) -> None:
    """Give the slot back until the producer has begun: nobody holds one by asking alone.

    Raises:
        CallerError: `feed_broken`, where nothing has come for a minute.
        PassingError: nothing has come yet.
    """
    until = time.monotonic() + _FIRST_SECONDS
    while (look := feed.look(0)).rows is None and look.chunks is None and not look.passed:
        attempt.checkpoint()
        if look.silent_seconds > _BEGINS_SECONDS or look.is_retried:
            raise _incomplete()
        if time.monotonic() > until:
            wait = Wait("window", _LOOK_AGAIN_SECONDS)
            raise PassingError("feed_awaited", "No line of the report has come yet.", wait=wait)
        time.sleep(_LOOK_SECONDS)


def _admit(rows: list[Any], attempt: Attempt) -> None:
    """Whether these are lines of a report, of files that may be looked at.

    Raises:
        CallerError: `report_invalid`, `policy_refused`
    """
    for row in rows:
        try:
            bucket, name, size, sha1, file_id, _ = row
            texts = (bucket, name, sha1, file_id)
            if not all(isinstance(each, str) for each in texts) or not isinstance(size, int):
                raise TypeError
        except (TypeError, ValueError):
            raise CallerError("report_invalid", "What was fed is no line of a report.") from None
        if "://" not in bucket:
            attempt.permit.place(B2File(bucket, name), is_written=False)


def _incomplete() -> CallerError:
    return CallerError(
        "feed_broken",
        "The lines of the report did not all arrive.",
        hint="Verify the report again.",
    )


def fed_chunks(feed: Feed, attempt: Attempt, taken: Callable[[int], None]) -> Iterator[list[Any]]:
    """Take what the producer feeds, chunk by chunk, until its end.

    *taken* writes how many chunks are used before these are dropped: a later attempt, which
    does not have their rows, knows by that.

    Raises:
        CallerError: `feed_broken`
    """
    number = 0
    while True:
        attempt.checkpoint()
        look = feed.look(number)
        if look.is_end(number):
            return
        if look.rows is not None and not look.broke:
            yield look.rows
            number += 1
            taken(number)
            feed.drop_before(number)
        elif look.broke or look.is_broken() or look.passed > number or look.is_retried:
            raise _incomplete()
        else:
            time.sleep(_LOOK_SECONDS)


@dataclass
class _Findings:
    checked: int = 0
    counts: dict[str, int] = field(
        default_factory=lambda: {"missing": 0, "different": 0, "extra": 0}
    )
    samples: list[dict[str, Any]] = field(default_factory=list)

    def say(self, what: str, file: str, **more: object) -> None:
        self.counts[what] += 1
        if len(self.samples) < _SAMPLES:
            self.samples.append({"what": what, "file": file, **more})


def _compare(
    client: B2Client,
    bucket: str,
    expected: Iterator[Expected],
    prefix: str | None,
    found: _Findings,
) -> None:
    """Merge what is expected with what is listed; both are sorted by the bytes of the name."""
    below = locations.parse(prefix) if prefix else None
    looks_for_more = isinstance(below, B2File) and below.bucket == bucket
    only = below.name if looks_for_more and isinstance(below, B2File) else ""
    listing = _Listing(client, bucket, only, jumps=not looks_for_more)
    for want in expected:
        for version in listing.before(want.name):
            if looks_for_more:
                found.say("extra", f"b2://{bucket}/{version.name}")
        there = listing.at(want.name)
        found.checked += 1
        if want.absent:
            if there is not None:
                found.say("extra", f"b2://{bucket}/{want.name}")
        elif there is None:
            found.say("missing", f"b2://{bucket}/{want.name}")
        else:
            differs = _difference(want, there)
            if differs:
                found.say("different", f"b2://{bucket}/{want.name}", differs=differs)
    if looks_for_more:
        for version in listing.rest():
            found.say("extra", f"b2://{bucket}/{version.name}")


def _difference(want: Expected, there: FileVersion) -> dict[str, list[Any]]:
    pairs: dict[str, list[Any]] = {
        "size": [want.size, there.size],
        "sha1": [want.sha1, there.sha1 or ""],
        "file_id": [want.file_id, there.file_id],
    }
    return {
        name: pair
        for name, pair in pairs.items()
        if pair[0] != pair[1] and not (name == "sha1" and "" in pair)
    }


class _Listing:
    """A bucket's listing that can leave out what lies between two names that are asked for."""

    def __init__(self, client: B2Client, bucket: str, prefix: str, *, jumps: bool) -> None:
        self._client = client
        self._bucket = client.bucket(bucket)
        self._prefix = prefix
        self._jumps = jumps
        self._page: list[FileVersion] = []
        self._at = 0
        self._next: str | None = ""

    def before(self, name: str) -> Iterator[FileVersion]:
        """What is listed before *name*; with jumps, only what is on the same page."""
        wanted = name.encode()
        while self._fill(name):
            version = self._page[self._at]
            if version.name.encode() >= wanted:
                return
            self._at += 1
            yield version

    def at(self, name: str) -> FileVersion | None:
        if self._fill(name) and self._page[self._at].name == name:
            self._at += 1
            return self._page[self._at - 1]
        return None

    def rest(self) -> Iterator[FileVersion]:
        while self._fill(""):
            yield self._page[self._at]
            self._at += 1

    def _fill(self, name: str) -> bool:
        """Make sure that there is a version to look at; false at the end."""
        while self._at >= len(self._page):
            if self._next is None:
                return False
            start = self._next
            if self._jumps and name.encode() > start.encode():
                start = name
            self._page, self._next = self._client.list_names(
                self._bucket, prefix=self._prefix, start=start or None
            )
            self._at = 0
        return True
