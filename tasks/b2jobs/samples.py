"""Examples of what failed in a batch, found without reading all of its ledger."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from b2jobs.ledger import LedgerLine, lines_of
from b2jobs.records import Records
from b2jobs.redis import unavailable

LOOK_SECONDS = 0.08
_EACH = 5
_SEGMENTS = 10


@dataclass(frozen=True)
class Samples:
    """By code the first few items that failed so. *complete*: all that Redis has was read."""

    by_code: dict[str, list[LedgerLine]]
    complete: bool


def failed(records: Records, batch: str, codes: set[str], *, each: int = _EACH) -> Samples:
    """Look for about `LOOK_SECONDS` for *each* examples of every one of *codes*.

    What the ledger has put outside Redis is not looked at; the report has it.

    Raises:
        QueueUnavailable
    """
    found: dict[str, list[LedgerLine]] = defaultdict(list)
    if not codes:
        return Samples(found, True)
    end = time.monotonic() + LOOK_SECONDS
    for packed in _segments(records, f"{records.prefix}batch:{batch}:ledger"):
        for line in lines_of(packed):
            if line.code in codes and line.status == "failed" and len(found[line.code]) < each:
                found[line.code].append(line)
        if all(len(found[code]) >= each for code in codes) or time.monotonic() >= end:
            return Samples(found, False)
    return Samples(found, True)


def _segments(records: Records, key: str) -> Iterator[bytes]:
    cursor: Any = 0
    while True:
        with unavailable(records.url):
            answer = records.redis.execute_command(  # type: ignore[no-untyped-call]  # untyped
                "HSCAN", key, cursor, "COUNT", _SEGMENTS, NEVER_DECODE=True
            )
        cursor, pairs = cast("tuple[int, dict[bytes, bytes]]", answer)
        yield from pairs.values()
        if not int(cursor):
            return
