"""A plan that was made before its first item is run, kept in Redis while it is carried out.

Bounded: a plan that is longer is made again from the listings as it is carried out.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

from b2jobs.items import Planned, unpacked
from b2jobs.records import Records
from b2jobs.redis import unavailable

MOST_ITEMS = 20_000
_CHUNK = 500
_KEEP_SECONDS = 30 * 86_400


class Spool:
    """The items of one sync's plan, by their number. About 50 bytes each."""

    def __init__(self, records: Records, job_id: str) -> None:
        self._records = records
        self._key = f"{records.prefix}sync-plan:{job_id}"

    def write(self, items: list[Planned]) -> None:
        """Put *items* in place of what is there."""
        with unavailable(self._records.url):
            pipe = self._records.redis.pipeline()
            pipe.delete(self._key)
            for start in range(0, len(items), _CHUNK):
                rows = [planned.packed() for planned in items[start : start + _CHUNK]]
                text = json.dumps(rows, separators=(",", ":"))
                pipe.rpush(self._key, zlib.compress(text.encode()))
            pipe.expire(self._key, _KEEP_SECONDS)
            pipe.execute()

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
