"""A plan that was made before its first item is run, kept in Redis while it is carried out.

Bounded: a plan that is longer is made again from the listings as it is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator

from b2jobs.errors import CallerError
from b2jobs.items import Planned, unpacked
from b2jobs.ledger import packed_rows, readable, rows_of
from b2jobs.redis import unavailable
from b2jobs.signed import SealRefused
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.store import Store

MOST_ITEMS = 20_000
_CHUNK = 500
_KEEP_SECONDS = 30 * 86_400


class Spool:
    """The items of one sync's plan, by their number. About 50 bytes each."""

    def __init__(self, store: Store, attempt: Attempt) -> None:
        self._store = store
        self._attempt = attempt
        self._records = store.records
        self._key = store.key("sync-plan", attempt.job_id)

    def write(self, items: list[Planned]) -> None:
        """Put *items* in place of what is there."""
        packed = [item.packed() for item in items]
        chunks = [
            self._records.ring.seal(
                packed_rows(packed[start : start + _CHUNK]), *self._place(start)
            )
            for start in range(0, len(packed), _CHUNK)
        ]
        self._store.spool(self._attempt, chunks, _KEEP_SECONDS)

    def read(self, start: int, end: int) -> Iterator[tuple[int, Planned]]:
        """The items from *start* up to *end*, each with its number.

        Raises:
            CallerError: `seal_refused`: it is not what was written. `plan_gone`.
        """
        for number in range(start // _CHUNK, -(-end // _CHUNK)):
            with unavailable(self._records.url):
                sealed: bytes | None = self._records.redis.execute_command(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                    "LINDEX", self._key, number, NEVER_DECODE=True
                )
            if sealed is None:
                raise CallerError("plan_gone", "The plan of the sync is not in Redis any more.")
            try:
                packed = self._records.ring.unseal(sealed, *self._place(number * _CHUNK))
            except SealRefused as error:
                raise CallerError(error.code, str(error), hint=error.hint) from error
            for offset, row in enumerate(rows_of(packed)):
                at = number * _CHUNK + offset
                if start <= at < end:
                    with readable():
                        item = unpacked(row)
                    yield at, item

    def _place(self, start: int) -> tuple[str, str, int]:
        return "sync-plan", self._attempt.job_id, start

    def clear(self) -> None:
        with unavailable(self._records.url):
            self._records.redis.delete(self._key)
