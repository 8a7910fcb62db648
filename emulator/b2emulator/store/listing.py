"""The two listings of a bucket, in B2's order, with prefix, delimiter and paging.

Names are compared as UTF-8 bytes, which is how SQLite compares text. Folders are
found by jumping over what is inside them, so a page costs its entries and not
the files below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from b2emulator.file_ids import order_of
from b2emulator.names import successor
from b2emulator.store.index import Index
from b2emulator.store.versions import LISTED_COLUMNS, Version, version_from_row

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Folder:
    """Names that share *name*, which ends with the delimiter."""

    name: str


Entry = Version | Folder


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, and the first one that did not fit."""

    entries: list[Entry]
    following: Entry | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listing asks for."""

    bucket: str
    prefix: str = ""
    delimiter: str | None = None
    start_name: str = ""
    start_id: str | None = None
    limit: int = 100


Read = Callable[[Wanted, str, str | None], Iterator[Version]]


class Listings:
    """Reads listings from the index."""

    def __init__(self, index: Index) -> None:
        self._db = index.db

    def names(self, wanted: Wanted) -> Page:
        """b2_list_file_names: the visible version of each name."""
        return self._page(wanted, self._visible_from)

    def versions(self, wanted: Wanted) -> Page:
        """b2_list_file_versions: every version, newest first within a name."""
        return self._page(wanted, self._versions_from)

    def _page(self, wanted: Wanted, read: Read) -> Page:
        entries: list[Entry] = []
        for entry in self._entries(wanted, read):
            if len(entries) == wanted.limit:
                return Page(entries, entry)
            entries.append(entry)
        return Page(entries, None)

    def _entries(self, wanted: Wanted, read: Read) -> Iterator[Entry]:
        start: str | None = max(wanted.start_name, wanted.prefix)
        start_id = wanted.start_id if start == wanted.start_name else None
        delimiter = wanted.delimiter
        while start is not None:
            jump: str | None = None
            for version in read(wanted, start, start_id):
                folder = (
                    self._folder_of(version.name, wanted.prefix, delimiter) if delimiter else None
                )
                if folder is None:
                    yield version
                    continue
                yield Folder(folder)
                jump = successor(folder)
                break
            start, start_id = jump, None

    @staticmethod
    def _folder_of(name: str, prefix: str, delimiter: str) -> str | None:
        if not name.startswith(prefix):
            return None
        at = name.find(delimiter, len(prefix))
        return None if at < 0 else name[: at + len(delimiter)]

    def _visible_from(self, wanted: Wanted, start: str, _: str | None) -> Iterator[Version]:
        above = successor(wanted.prefix)
        sql = (
            f"SELECT {LISTED_COLUMNS} FROM visible s JOIN versions v USING (bucket, name, number)"
            " WHERE bucket = ? AND name >= ?" + ("" if above is None else " AND name < ?")
        ) + " ORDER BY name LIMIT ?"
        bounds = () if above is None else (above,)
        limit = min(wanted.limit + 1, BATCH)
        while True:
            rows = self._db.execute(sql, (wanted.bucket, start, *bounds, limit)).fetchall()
            for row in rows:
                yield version_from_row(row)
            if len(rows) < limit:
                return
            start = rows[-1][2] + "\0"
            limit = BATCH

    def _versions_from(self, wanted: Wanted, start: str, start_id: str | None) -> Iterator[Version]:
        if start_id is not None:
            order = order_of(start_id)
            yield from self._rest_of_name(wanted, start, order or (0, 0))
            start += "\0"
        above = successor(wanted.prefix)
        sql = (
            f"SELECT {LISTED_COLUMNS} FROM versions WHERE bucket = ?"
            " AND (name, -millis, -number) > (?, ?, ?)"
            + ("" if above is None else " AND name < ?")
            + " ORDER BY name, millis DESC, number DESC LIMIT ?"
        )
        sql = sql.replace("AND (name", "AND name >= ? AND (name")
        bounds = () if above is None else (above,)
        limit = min(wanted.limit + 1, BATCH)
        after = (start, -(1 << 62), 0)
        while True:
            rows = self._db.execute(
                sql, (wanted.bucket, after[0], *after, *bounds, limit)
            ).fetchall()
            for row in rows:
                yield version_from_row(row)
            if len(rows) < limit:
                return
            after = (rows[-1][2], -rows[-1][3], -rows[-1][0])
            limit = BATCH

    def _rest_of_name(self, wanted: Wanted, name: str, order: tuple[int, int]) -> Iterator[Version]:
        rows = self._db.execute(
            f"SELECT {LISTED_COLUMNS} FROM versions WHERE bucket = ? AND name = ?"
            " AND (millis, number) <= (?, ?) ORDER BY millis DESC, number DESC LIMIT ?",
            (wanted.bucket, name, *order, wanted.limit + 1),
        )
        for row in rows.fetchall():
            yield version_from_row(row)

    def unfinished(self, bucket: str, prefix: str, start_number: int, limit: int) -> list[Version]:
        """Large files not finished, in the order they were started."""
        above = successor(prefix)
        rows = self._db.execute(
            f"SELECT {LISTED_COLUMNS} FROM versions WHERE bucket = ? AND action = 'start'"
            " AND number >= ? AND name >= ?"
            + ("" if above is None else " AND name < ?")
            + " ORDER BY number LIMIT ?",
            (bucket, start_number, prefix, *(() if above is None else (above,)), limit),
        )
        return [version_from_row(row) for row in rows.fetchall()]

    def totals(self, bucket: str) -> tuple[int, int, int]:
        """(visible names, versions, bytes of all versions)."""
        (visible,) = self._db.execute(
            "SELECT count(*) FROM visible WHERE bucket = ?", (bucket,)
        ).fetchone()
        versions, size = self._db.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM versions WHERE bucket = ?", (bucket,)
        ).fetchone()
        return visible, versions, size
