"""A plan from a manifest."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from b2jobs import locations
from b2jobs.duplicates import DuplicateFinder
from b2jobs.errors import JobError
from b2jobs.locations import B2File, LocalPath, RootPath
from b2jobs.manifest import BadLine, Reader, Row, decompressed
from b2jobs.requests import Batch
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.item import Item, Planned, Refusal
from b2jobs_worker.batch.plan.places import Places
from b2jobs_worker.batch.plan.reading import open_file
from b2jobs_worker.batch.plan.source import Forecast
from b2jobs_worker.transfer.context import Context

_SAMPLES = 100
_JOURNAL = "repeats"


class ManifestPlan:
    """Implements `PlanSource`. A cursor is the offset behind a line, and its number."""

    def __init__(self, request: Batch, attempt: Attempt, context: Context) -> None:
        assert request.manifest is not None
        self._uri = request.manifest
        self._account = request.account
        self._attempt = attempt
        self._context = context
        self._compressed = self._uri.endswith((".gz", ".bz2", ".xz"))
        self._places = Places(request.account, attempt, context)

    def forecast(self) -> Forecast:
        """Read the whole manifest: every line that cannot be done is known before one is."""
        items = refused = size = 0
        samples: list[str] = []
        sizes_known = True
        with DuplicateFinder() as duplicates, self._open() as file:
            for row in Reader().rows(file):
                self._attempt.checkpoint()
                if row is None:
                    continue
                items += 1
                bad = row if isinstance(row, BadLine) else self._refusal(row)
                if bad is not None:
                    refused += 1
                    samples += [str(bad)] if len(samples) < _SAMPLES else []
                elif isinstance(row, Row):
                    duplicates.add(row.line, row.destination)
                    sizes_known = sizes_known and row.size is not None
                    size += row.size or 0
            repeats = duplicates.repeats()
        self._attempt.journal.record({_JOURNAL: _packed(repeats)})
        samples += [str(_repeat(Row(line, "upload", "", ""))) for line in repeats[:_SAMPLES]]
        return Forecast(
            items=items,
            size_bytes=size if sizes_known else None,
            refused=refused + len(repeats),
            samples=tuple(samples[:_SAMPLES]),
        )

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        repeats = set(_unpacked(self._attempt.journal.load().get(_JOURNAL, "")))
        offset, line = map(int, cursor.split(":")) if cursor else (0, 0)
        reader = Reader()
        with self._open() as file:
            for number, raw in self._lines(file, reader, offset, line):
                row = reader.read(raw, number)
                offset += len(raw)
                if row is not None:
                    yield f"{offset}:{number}", self._planned(row, repeats)

    def _lines(
        self, file: IO[bytes], reader: Reader, offset: int, line: int
    ) -> Iterator[tuple[int, bytes]]:
        """The lines behind *offset*; the first of all tells *reader* the format."""
        if offset:
            at = 0
            for raw in file:
                at += len(raw)
                reader.read(raw, 1)
                if raw.strip():
                    break
            if self._compressed:
                while at < offset and (skipped := file.read(min(1 << 20, offset - at))):
                    at += len(skipped)
            else:
                file.close()
                file = open_file(self._uri, self._account, self._attempt, self._context, offset)
        yield from enumerate(file, line + 1)

    def _open(self) -> IO[bytes]:
        file = open_file(self._uri, self._account, self._attempt, self._context)
        return decompressed(file, self._uri)

    def _planned(self, row: Row | BadLine, repeats: set[int]) -> Planned:
        if isinstance(row, Row):
            if row.line in repeats:
                return refusal_of(_repeat(row))
            bad = self._refusal(row)
            if bad is None:
                return item_of(row)
            row = bad
        return refusal_of(row)

    def _refusal(self, row: Row) -> BadLine | None:
        """Why *row* cannot be done, as far as that can be known without touching its file."""
        for uri, is_target in ((row.source, False), (row.destination, True)):
            location = locations.parse(uri)
            try:
                if isinstance(location, B2File):
                    self._places.check_bucket(location, is_target=is_target)
                elif isinstance(location, RootPath | LocalPath):
                    self._places.check_root(location, is_target=is_target)
            except JobError as error:
                if error.wait is not None:
                    raise
                message = f"{error.message} {error.hint}".strip()
                return BadLine(row.line, error.code, message, row.source, row.destination)
        return None


def item_of(row: Row) -> Item:
    """The item of a line that can be tried."""
    return Item(row.action, row.source, row.destination, row.size, row.sha1, row.line, row.options)


def refusal_of(bad: BadLine) -> Refusal:
    """The refusal of a line that cannot."""
    return Refusal(bad.code, bad.message, bad.source, bad.destination, bad.line)


def _repeat(row: Row) -> BadLine:
    return BadLine(
        row.line,
        "duplicate_destination",
        "An earlier line has the same destination.",
        row.source,
        row.destination,
    )


def _packed(numbers: list[int]) -> str:
    deltas = [after - before for before, after in zip([0, *numbers], numbers, strict=False)]
    return base64.b85encode(zlib.compress(json.dumps(deltas).encode())).decode()


def _unpacked(text: str) -> Iterator[int]:
    total = 0
    for delta in json.loads(zlib.decompress(base64.b85decode(text))) if text else []:
        total += delta
        yield total
