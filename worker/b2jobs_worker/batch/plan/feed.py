"""A plan from items that a producer streams in."""

from __future__ import annotations

import time
from collections.abc import Iterable

from b2jobs.errors import CallerError, PassingError, QueueUnavailable
from b2jobs.ledger import rows_of
from b2jobs.manifest import BadLine, row_of
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.books import Books
from b2jobs_worker.batch.ledger.item import Planned
from b2jobs_worker.batch.plan.manifest import item_of, refusal_of
from b2jobs_worker.batch.plan.source import Forecast, NotYet

SILENCE_SECONDS = 600.0


class FeedPlan:
    """Implements `PlanSource`. A cursor is a chunk and how many of its items are planned.

    Chunks before the persisted cursor are dropped; the producer waits while too many are
    there. Ten minutes without a new one and without the end count as a producer that died.
    """

    def __init__(self, attempt: Attempt, books: Books) -> None:
        self._attempt = attempt
        self._books = books

    def forecast(self) -> Forecast:
        return Forecast()

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        number, done = map(int, cursor.split(":")) if cursor else (0, 0)
        batch = self._attempt.job_id
        dropped = number
        while True:
            try:
                self._books.forget_chunks(batch, range(max(0, dropped - 100), number))
                packed = self._books.chunk(batch, number)
            except QueueUnavailable as error:
                raise PassingError(error.code, str(error)) from error
            dropped = number
            if packed is None:
                if self._is_over(number):
                    return
                continue
            rows = rows_of(packed)
            for at in range(done, len(rows)):
                row = row_of(rows[at])
                planned = refusal_of(row) if isinstance(row, BadLine) else item_of(row)
                yield f"{number}:{at + 1}", planned
            number, done = number + 1, 0

    def _is_over(self, number: int) -> bool:
        """Whether the missing chunk is the end; False when it has come meanwhile."""
        state = self._books.state(self._attempt)
        end = state.get("fed_all")
        if end is not None and number >= int(end):
            return True
        if end is not None:
            if self._books.chunk(self._attempt.job_id, number) is None:
                raise CallerError("feed_broken", f"Chunk {number} of {end} is gone.")
            return False
        if time.time() - float(state.get("fed_at") or time.time()) > SILENCE_SECONDS:
            raise CallerError(
                "feed_broken",
                f"No items came for {SILENCE_SECONDS:g} s and the producer did not end.",
                hint="What came is done. Submit the rest as another batch.",
            )
        raise NotYet(5.0)
