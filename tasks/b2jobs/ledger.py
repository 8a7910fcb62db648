"""The ledger of a batch: one line for each item, written by packs and read for the report.

A segment is what one pack came to: gzip of JSON lines. In the ledger a line is an array, in
the order of `FIELDS` and without empty values at its end; in the report it is an object.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from b2jobs.for_people import masked


class LedgerLine(NamedTuple):
    """One line. Empty values stand as None, "" or 0; `options` are those of what is not done."""

    item: int
    action: str
    source: str
    destination: str
    status: str
    size: int | None = None
    sha1: str | None = None
    file_id: str | None = None
    url: str | None = None
    attempts: int | None = None
    millis: int | None = None
    code: str | None = None
    message: str | None = None
    line: int | None = None
    options: dict[str, Any] | None = None


FIELDS = LedgerLine._fields
DONE = ("transferred", "unchanged", "deleted", "hidden")
UNDONE = ("failed", "cancelled")
_MODULUS = 1 << 256
MOST_UNPACKED_BYTES = 256 * 1024 * 1024
"""More than any pack, chunk or file of a ledger has when it is unpacked."""


def packed_line(values: Sequence[Any]) -> str:
    """An array as it stands in a segment."""
    end = len(values)
    while end and values[end - 1] in (None, "", 0):
        end -= 1
    return json.dumps(values[:end], separators=(",", ":"), ensure_ascii=False)


def segment(lines: Iterable[str]) -> bytes:
    """Pack *lines* into a segment. The same lines give the same bytes."""
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), 6, mtime=0)


def lines_of(packed: bytes) -> Iterator[LedgerLine]:
    """The lines of a segment, or of several one behind the other."""
    # Not splitlines: names may have line separators of Unicode, which JSON leaves as they are.
    for text in _text(packed).split("\n")[:-1]:
        yield LedgerLine(*json.loads(text))


def report_line(line: LedgerLine) -> dict[str, Any]:
    """One line as the report has it: no empty values, seconds instead of milliseconds, and
    URLs without what opens them."""
    named = line._asdict() | {"source": masked(line.source)}
    named.pop("options")
    millis = named.pop("millis")
    if millis:
        named["seconds"] = millis / 1000
    return {name: value for name, value in named.items() if value not in (None, "")}


def report_text(line: dict[str, Any]) -> str:
    """A line of the report: JSON with sorted keys, nothing between them that could differ."""
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Digest:
    """One number over all lines of a report, in whatever order they come.

    The sum, modulo 2^256, of the SHA-256 of each line's bytes without its line end, printed
    as 64 hex digits: a report that is sorted, split or merged keeps its digest; one that
    lacks a line, or has one twice, does not.
    """

    def __init__(self) -> None:
        self.lines = 0
        self._sum = 0

    def add(self, text: str) -> None:
        """Count one line of the report in."""
        self.lines += 1
        self._sum += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")

    def hexdigest(self) -> str:
        return f"{self._sum % _MODULUS:064x}"


def _text(packed: bytes) -> str:
    # Several gzip members one behind the other are one gzip file.
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        text = file.read(MOST_UNPACKED_BYTES + 1)
    return _bounded(text).decode()


def packed_rows(rows: Iterable[Any]) -> bytes:
    """Rows for Redis, where size counts more than time."""
    text = json.dumps(list(rows), separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode(), 3)


def rows_of(packed: bytes) -> list[Any]:
    """What `packed_rows` packed."""
    text = zlib.decompressobj().decompress(packed, MOST_UNPACKED_BYTES + 1)
    found: list[Any] = json.loads(_bounded(text))
    return found


def _bounded(text: bytes) -> bytes:
    """Refuse what nobody of ours packed: a few bytes in Redis must not fill a worker's memory.

    Raises:
        ValueError
    """
    if len(text) > MOST_UNPACKED_BYTES:
        raise ValueError(f"What was packed has more than {MOST_UNPACKED_BYTES} bytes.")
    return text
