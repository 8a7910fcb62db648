"""A plan that was made before its first item is run, kept in Redis while it is carried out.

Bounded: a plan that is longer is made again from the listings as it is carried out.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

from b2jobs.items import Planned, unpacked
from b2jobs.redis import unavailable
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
        texts = (
            json.dumps(packed[start : start + _CHUNK], separators=(",", ":"))
            for start in range(0, len(packed), _CHUNK)
        )
        chunks = [zlib.compress(text.encode()) for text in texts]
        self._store.spool(self._attempt, chunks, _KEEP_SECONDS)

    def read(self, start: int, end: int) -> Iterator[tuple[int, Planned]]:
        """The items from *start* up to *end*, each with its number."""
        for number in range(start // _CHUNK, -(-end // _CHUNK)):
            with unavailable(self._records.url):
                packed: bytes = self._records.redis.execute_command(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                    "LINDEX", self._key, number, NEVER_DECODE=True
                )
            for offset, row in enumerate(json.loads(zlib.decompress(packed))):
                at = number * _CHUNK + offset
                if start <= at < end:
                    yield at, unpacked(row)

    def clear(self) -> None:
        with unavailable(self._records.url):
            self._records.redis.delete(self._key)
