"""Feeding items to a job from the producer, chunk by chunk, no faster than they are used."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from b2jobs.errors import Failure, JobFailed, QueueUnavailable, WaitTimeout
from b2jobs.handle import Handle, outcome
from b2jobs.ledger import packed_rows
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.signed import unsealed

CHUNK_ITEMS = 1000
CHUNK_CHARACTERS = 1024 * 1024  # of sources: a `data:` location may have 350,000
CHUNK_SECONDS = 1.0  # a slow producer is heard, and its items begin
BROKEN = "broken"
MOST_CHUNKS = 16
_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0


class RowsBroke(Exception):
    """What was to be fed ended with an error, its cause. What came before it is handed over."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__("The items ended with an error.")
        self.rows = rows
        self.count = 0


def feed(records: Records, job_id: str, rows: Iterable[Any]) -> int:
    """Hand *rows* to the job in chunks of 1,000, or of what came in a second; how many.

    At most 16 chunks of some 1 MiB lie in Redis: this waits while the job has not used them. A
    Redis that does not answer is tried again for a minute.

    Raises:
        RowsBroke: *rows* raised. What it gave before is fed, and behind it that it broke.
        QueueUnavailable: Redis did not answer; the job ends by itself after ten minutes.
        JobFailed, JobCancelled: the job has ended before all was handed over.
    """
    number = count = 0
    try:
        for chunk in _chunks(rows):
            _hand_over(records, job_id, number, packed_rows(chunk))
            number += 1
            count += len(chunk)
    except RowsBroke as broke:
        broke.count = count + len(broke.rows)
        told = [*broke.rows, [BROKEN, _words(broke.__cause__)]]
        _hand_over(records, job_id, number, packed_rows(told))
        _hand_over(records, job_id, number + 1, None)
        raise
    _hand_over(records, job_id, number, None)
    return count


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """*rows* together.

    Raises:
        RowsBroke: with the rows that came last.
    """
    chunk: list[Any] = []
    since, characters = time.monotonic(), 0
    try:
        for row in rows:
            chunk.append(row)
            characters += _characters(row)
            is_full = len(chunk) == CHUNK_ITEMS or characters >= CHUNK_CHARACTERS
            if is_full or time.monotonic() - since > CHUNK_SECONDS:
                yield chunk
                chunk, since, characters = [], time.monotonic(), 0
    except Exception as error:
        raise RowsBroke(chunk) from error
    if chunk:
        yield chunk


def _characters(row: Any) -> int:
    """Of what may be long in it: an item's source."""
    match row:
        case [_, str() as source, *_]:
            return len(source)
    return 0


def _words(error: BaseException | None) -> str:
    text = f"The items ended with {type(error).__name__}: {error}"
    return text[:500].encode(errors="backslashreplace").decode()


def taken(records: Records, job: Handle, timeout: float | None = None) -> Iterator[bytes]:
    """The other way round: what a job hands over, chunk by chunk, until it has ended.

    Raises:
        JobFailed, JobCancelled: it could not hand over everything.
        WaitTimeout: no chunk came for *timeout* seconds.
    """
    key = f"{records.prefix}batch:{job.id}:feed"
    number = 0
    since = time.monotonic()
    while True:
        record = job.record()
        with unavailable(records.url):
            chunk = records.redis.execute_command(  # type: ignore[no-untyped-call]  # untyped
                "HGET", key, number, NEVER_DECODE=True
            )
            if chunk is not None:
                records.redis.hdel(key, str(number))
        if chunk is not None:
            yield chunk
            number += 1
            since = time.monotonic()
        elif record.has_ended:
            job.wait()
            return
        else:
            if (record.state, record.reason) == ("waiting", "window"):
                # It rests since there was no room; there is some now.
                records.door.call("keeper/hasten", ids=[job.id], reason="window")
            if timeout is not None and time.monotonic() - since > timeout:
                raise WaitTimeout(f"The job {job.id} has handed over nothing for {timeout:g} s.")
            time.sleep(_PAUSE_SECONDS / 2)


def _hand_over(records: Records, job_id: str, number: int, chunk: bytes | None) -> None:
    """Hand over a chunk, or with None say that there are no more than *number*."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if chunk is not None:
                chunk = records.ring.seal(unsealed(chunk), "feed", job_id, number)
            if chunk is None:
                said = records.door.call("batches/feed_end", id=job_id, number=number)
            else:
                said = records.door.call(
                    "batches/feed", chunk, id=job_id, number=number, most=MOST_CHUNKS
                )
        except QueueUnavailable:
            if time.monotonic() > give_up:
                raise
            said = "away"
        if said == "fed":
            return
        if said not in ("full", "away"):
            _ended(records, job_id)
        time.sleep(_PAUSE_SECONDS)


def _ended(records: Records, job_id: str) -> None:
    outcome(records.get(job_id))
    failure = Failure(
        code="feed_broken",
        message="The job ended before it had all its items.",
        hint="Submit the rest as another batch.",
        act="caller",
    )
    raise JobFailed(failure, job_id)
