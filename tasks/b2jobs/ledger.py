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
from contextlib import contextmanager
from typing import Any, NamedTuple

from b2jobs.errors import OperatorError
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
"""More than any file of a ledger has when it is unpacked."""
MOST_ROWS_BYTES = 64 * 1024 * 1024
"""More than any pack or chunk of a thousand rows has when it is unpacked."""
MOST_PACKED_BYTES = 64 * 1024 * 1024
"""More than any of them has in Redis."""


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
        with readable():
            line = LedgerLine(*json.loads(text))
        yield line


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
    with readable(), gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        return _bounded(file.read(MOST_UNPACKED_BYTES + 1), MOST_UNPACKED_BYTES).decode()


def packed_rows(rows: Iterable[Any]) -> bytes:
    """Rows for Redis, where size counts more than time."""
    text = json.dumps(list(rows), separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode(), 3)


def rows_of(packed: bytes) -> list[Any]:
    """What `packed_rows` packed.

    Raises:
        OperatorError: `record_broken`
    """
    with readable():
        text = zlib.decompressobj().decompress(packed, MOST_ROWS_BYTES + 1)
        found = json.loads(_bounded(text, MOST_ROWS_BYTES))
        if not isinstance(found, list):
            raise TypeError("no list of rows")
    return found


def check_packed(size: int) -> None:
    """Refuse what has *size* bytes in Redis, before it is read.

    Raises:
        OperatorError: `record_broken`
    """
    with readable():
        if size > MOST_PACKED_BYTES:
            raise ValueError(f"{size} packed bytes")


def _bounded(text: bytes, most: int) -> bytes:
    """Refuse what nobody of ours packed: a few bytes in Redis must not fill a worker's memory."""
    if len(text) > most:
        raise ValueError(f"more than {most} bytes")
    return text


_NOT_OURS = (
    *(zlib.error, OSError, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, RecursionError),
)


@contextmanager
def readable() -> Iterator[None]:
    """Refuse what cannot be unpacked, or is not of the shape in which we pack it.

    Raises:
        OperatorError: `record_broken`
    """
    try:
        yield
    except _NOT_OURS as error:
        raise OperatorError(
            "record_broken",
            f"What is packed in Redis cannot be read ({type(error).__name__}: {error}).",
            hint="Something else than b2jobs has written to Redis.",
        ) from error
