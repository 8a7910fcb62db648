"""Feeding items to a job from the producer, chunk by chunk, no faster than they are used."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from b2jobs.errors import JobCancelled, JobFailed, QueueUnavailable
from b2jobs.handle import Handle, outcome
from b2jobs.ledger import packed_rows
from b2jobs.records import Records
from b2jobs.redis import unavailable

CHUNK_ITEMS = 1000
MOST_CHUNKS = 16
_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0


def feed(records: Records, job_id: str, rows: Iterable[Any]) -> int:
    """Hand *rows* to the job in chunks of 1,000; how many there were.

    At most 16 chunks lie in Redis: this waits while the job has not used them. A Redis that
    does not answer is tried again for a minute.

    Raises:
        QueueUnavailable: Redis did not answer; the job ends by itself after ten minutes.
        JobFailed, JobCancelled: the job has ended before all was handed over.
    """
    stream = iter(rows)
    number = count = 0
    while chunk := list(islice(stream, CHUNK_ITEMS)):
        _hand_over(records, job_id, number, packed_rows(chunk))
        number += 1
        count += len(chunk)
    _hand_over(records, job_id, number, None)
    return count


def taken(records: Records, job: Handle) -> Iterator[bytes]:
    """The other way round: what a job hands over, chunk by chunk, until it has ended.

    Raises:
        JobFailed, JobCancelled: it could not hand over everything.
    """
    key = f"{records.prefix}batch:{job.id}:feed"
    number = 0
    while True:
        ended = job.record().has_ended
        with unavailable(records.url):
            chunk = records.redis.execute_command(  # type: ignore[no-untyped-call]  # untyped
                "HGET", key, number, NEVER_DECODE=True
            )
            if chunk is not None:
                records.redis.hdel(key, str(number))
        if chunk is not None:
            yield chunk
            number += 1
        elif ended:
            job.wait()
            return
        else:
            time.sleep(_PAUSE_SECONDS / 2)


def _hand_over(records: Records, job_id: str, number: int, chunk: bytes | None) -> None:
    """Hand over a chunk, or with None say that there are no more than *number*."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
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
    try:
        outcome(records.get(job_id))
    except (JobFailed, JobCancelled):
        raise
    raise QueueUnavailable(f"The job {job_id} ended before it had all its items.")
