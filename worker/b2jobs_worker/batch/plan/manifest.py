"""A plan from a manifest."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator

from b2jobs import locations
from b2jobs.duplicates import DuplicateFinder
from b2jobs.errors import CallerError, InvalidJob, JobError
from b2jobs.items import Item, Planned, Refusal, refused
from b2jobs.locations import B2File, LocalPath, RootPath, StoreObject
from b2jobs.manifest import (
    Line,
    Reader,
    decompressed,
    is_compressed,
    lines,
    repeated,
)
from b2jobs.requests import Batch
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.plan.places import Places
from b2jobs_worker.batch.plan.reading import OpenFile, open_file
from b2jobs_worker.batch.plan.source import Forecast
from b2jobs_worker.transfer.context import Context

_SAMPLES = 100
_REPEATS = "repeats"
_MARK = "mark"


class ManifestPlan:
    """Implements `PlanSource`. A cursor is the offset behind a line, its number, and a mark.

    The mark tells the file that was looked through from another one under its name.
    """

    def __init__(self, request: Batch, attempt: Attempt, context: Context) -> None:
        assert request.manifest is not None
        self._uri = request.manifest
        self._account = request.account
        self._attempt = attempt
        self._context = context
        self._reads = request.source_account
        self._places: dict[str, Places] = {}

    def forecast(self) -> Forecast:
        """Read the whole manifest: every line that cannot be done is known before one is.

        Raises:
            CallerError: `manifest_unreadable`.
        """
        items = refused = size = 0
        samples: list[str] = []
        sizes_known = True
        reader = Reader()
        with DuplicateFinder() as duplicates, self._open() as opened:
            for line in self._lines(opened):
                self._attempt.checkpoint()
                row = reader.read(line.raw, line.number)
                if row is None:
                    continue
                items += 1
                bad = row if isinstance(row, Refusal) else self._refusal(row)
                if bad is not None:
                    refused += 1
                    samples += [str(bad)] if len(samples) < _SAMPLES else []
                elif isinstance(row, Item):
                    duplicates.add(row.line, row.destination)
                    sizes_known = sizes_known and row.size is not None
                    size += row.size or 0
            repeats = duplicates.repeats()
        self._attempt.journal.record({_REPEATS: _packed(repeats), _MARK: _mark(opened)})
        samples += [str(repeated(Item("upload", "", "", line=line))) for line in repeats[:_SAMPLES]]
        return Forecast(
            items=items,
            size_bytes=size if sizes_known else None,
            refused=refused + len(repeats),
            samples=tuple(samples[:_SAMPLES]),
        )

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        """The items behind *cursor*.

        Raises:
            CallerError: `manifest_changed` since the forecast; `manifest_unreadable`.
        """
        if _MARK not in self._attempt.journal.load():
            self.forecast()  # the batch has ended once, and its journal with it
        known = self._attempt.journal.load()
        repeats = set(_unpacked(known[_REPEATS]))
        at, number, mark = (cursor or f"0:0:{known[_MARK]}").split(":")
        offset = int(at)
        reader = Reader()
        with self._open(mark) as opened:
            for line in self._lines_behind(opened, reader, offset, int(number)):
                row = reader.read(line.raw, line.number)
                offset += line.size
                if row is not None:
                    yield f"{offset}:{line.number}:{mark}", self._planned(row, repeats)

    def _lines_behind(
        self, opened: OpenFile, reader: Reader, offset: int, number: int
    ) -> Iterator[Line]:
        """The lines behind *offset*; the first of all tells *reader* the format."""
        if not offset:
            yield from self._lines(opened)
            return
        for line in self._lines(opened):
            reader.read(line.raw, 1)
            if line.raw.strip():
                break
        with self._open(_mark(opened), 0 if self._is_compressed else offset) as anew:
            yield from self._lines(anew, offset if self._is_compressed else 0, number + 1)

    def _lines(self, opened: OpenFile, skipped: int = 0, first: int = 1) -> Iterator[Line]:
        """The lines of what is opened, as it reads uncompressed, *skipped* bytes left out."""
        content = decompressed(opened, self._uri)
        try:
            yield from lines(content, self._uri, first, behind=skipped)
        except InvalidJob as error:
            raise CallerError(error.code, error.message, hint=error.hint) from error

    @property
    def _is_compressed(self) -> bool:
        return is_compressed(self._uri)

    def _open(self, mark: str | None = None, offset: int = 0) -> OpenFile:
        opened = open_file(self._uri, self._account, self._attempt, self._context, offset)
        if mark is not None and _mark(opened) != mark:
            raise CallerError(
                "manifest_changed",
                f"{self._uri} was changed since the batch began.",
                hint="What was planned is done. Submit the manifest again, with if_exists='skip'.",
            )
        return opened

    def _planned(self, row: Planned, repeats: set[int]) -> Planned:
        if isinstance(row, Refusal):
            return row
        return repeated(row) if row.line in repeats else self._refusal(row) or row

    def _places_of(self, item: Item, *, is_target: bool) -> Places:
        account = str(item.options.get("account", self._account))
        if item.action == "copy" and not is_target:
            account = str(item.options.get("source_account", self._reads) or account)
        if account not in self._places:
            self._places[account] = Places(account, self._attempt, self._context)
        return self._places[account]

    def _refusal(self, item: Item) -> Refusal | None:
        """Why *item* cannot be done, as far as that can be known without touching its file."""
        for uri, is_target in ((item.source, False), (item.destination, True)):
            location = locations.parse(uri)
            places = self._places_of(item, is_target=is_target)
            try:
                if isinstance(location, B2File):
                    places.check_bucket(location, is_target=is_target)
                elif isinstance(location, RootPath | LocalPath):
                    places.check_root(location, is_target=is_target)
                elif isinstance(location, StoreObject):
                    places.check_store(location, is_target=is_target)
            except JobError as error:
                if error.wait is not None:
                    raise
                message = f"{error.message} {error.hint}".strip()
                return refused(item, error.code, message, for_now=True)
        return None


def _mark(opened: OpenFile) -> str:
    return hashlib.sha1(opened.identity.encode(), usedforsecurity=False).hexdigest()[:12]


def _packed(numbers: list[int]) -> str:
    deltas = [after - before for before, after in zip([0, *numbers], numbers, strict=False)]
    return base64.b85encode(zlib.compress(json.dumps(deltas).encode())).decode()


def _unpacked(text: str) -> Iterator[int]:
    total = 0
    for delta in json.loads(zlib.decompress(base64.b85decode(text))) if text else []:
        total += delta
        yield total
