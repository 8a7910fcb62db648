"""What a producer feeds a job, as a worker finds it in Redis.

A chunk is dropped only when whoever uses it can say so: what is dropped is gone for every
later attempt. So a planner drops what its written cursor has passed, and nothing before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from b2jobs.errors import CallerError
from b2jobs.feed import BROKEN
from b2jobs.ledger import check_packed, readable, rows_of
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.signed import SealRefused

SILENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Look:
    """One chunk, and how the feed stood before the chunk was asked for.

    In this order: a chunk that is missing while the end was known before can not come any
    more, however the producer and this look overlap.

    rows: of the chunk; None where it is not there.
    broke: with what error the producer's items ended behind these rows, if they did.
    chunks: how many there are in all, once the producer has ended.
    silent_seconds: since the producer last handed something over; Redis's clock on both ends.
    """

    rows: list[Any] | None
    broke: str
    chunks: int | None
    silent_seconds: float
    passed: int
    is_retried: bool = False
    """Whether the job has ended before: nobody feeds it any more."""

    def is_end(self, number: int) -> bool:
        """Whether there is no chunk *number*, and never will be."""
        return self.rows is None and self.chunks is not None and number >= self.chunks

    def is_broken(self) -> bool:
        """Whether the chunk will never come although it should."""
        return self.rows is None and (
            self.chunks is not None or self.silent_seconds > SILENCE_SECONDS
        )


class Feed:
    """The chunks of one job. Any call may raise `QueueUnavailable`."""

    def __init__(self, records: Records, job_id: str, producer: str = "") -> None:
        """*producer*: whose seal the chunks must have, where seals are required."""
        self._records = records
        self._id = job_id
        self._producer = producer
        self._job = f"{records.prefix}job:{job_id}"
        self._batch = f"{records.prefix}batch:{job_id}"
        self._chunks = f"{self._batch}:feed"

    def look(self, number: int) -> Look:
        """Chunk *number*, and how the feed stood right before.

        Raises:
            CallerError: `seal_refused`. OperatorError: `record_broken`.
        """
        pipe = self._records.redis.pipeline(transaction=False)
        pipe.time()
        pipe.hmget(self._job, "created", "again")
        pipe.hmget(self._batch, "fed_all", "fed_at", "cursor")
        pipe.hstrlen(self._chunks, str(number))
        with unavailable(self._records.url):
            (seconds, micros), (created, again), (end, heard, cursor), size = pipe.execute()
            packed = self._chunk(number, int(size)) if size else None
        heard = float(heard or created or seconds)
        ring = self._records.ring
        try:
            if packed is not None:
                packed = ring.unseal(packed, "feed", self._id, number, by=self._producer)
            cursor = cursor and ring.unseal(cursor, "batch", self._id, "cursor")
        except SealRefused as error:
            raise CallerError(error.code, str(error), hint=error.hint) from error
        rows = None if packed is None else rows_of(packed)
        broke = ""
        with readable():
            if rows and rows[-1][0] == BROKEN:
                broke = str(rows.pop()[1])
        return Look(
            rows=rows,
            broke=broke,
            chunks=None if end is None else int(end),
            silent_seconds=seconds + micros / 1e6 - heard,
            passed=int((cursor or "0").partition(":")[0]),
            is_retried=bool(again),
        )

    def _chunk(self, number: int, size: int) -> bytes | None:
        check_packed(size)
        found = self._records.redis.execute_command(  # type: ignore[no-untyped-call]  # untyped
            "HGET", self._chunks, number, NEVER_DECODE=True
        )
        return cast("bytes | None", found)

    def drop_before(self, number: int) -> None:
        """Drop the chunks before *number*."""
        with unavailable(self._records.url):
            there = cast("list[str]", self._records.redis.hkeys(self._chunks))
            done = [name for name in there if int(name) < number]
            if done:
                self._records.redis.hdel(self._chunks, *done)

    def expire(self, seconds: int) -> None:
        """Drop what is left after *seconds*."""
        with unavailable(self._records.url):
            for key in (self._batch, self._chunks):
                self._records.redis.expire(key, seconds)

    def drop(self) -> None:
        """Drop all of it. Only for a job that is no batch."""
        with unavailable(self._records.url):
            self._records.redis.delete(self._batch, self._chunks)
