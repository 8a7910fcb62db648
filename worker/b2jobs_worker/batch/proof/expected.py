"""What a report says is in B2, sorted by name, on disk: reports are longer than memory."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self


class Expected(NamedTuple):
    """A file as the report has it."""

    name: str
    size: int
    sha1: str
    file_id: str
    absent: bool


class ExpectedFiles:
    """Rows of (bucket, name, size, sha1, file id, absent), in a database that is removed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="b2jobs-verify-")
        self._base = sqlite3.connect(Path(self._folder.name) / "expected", check_same_thread=False)
        self._base.execute("PRAGMA journal_mode = OFF")
        self._base.execute("PRAGMA synchronous = OFF")
        self._base.execute(
            "CREATE TABLE files (bucket TEXT, name BLOB, size INT, sha1 TEXT, file_id TEXT, "
            "absent INT, PRIMARY KEY (bucket, name)) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._base.close()
        self._folder.cleanup()

    def add(self, rows: Iterable[list[Any]]) -> None:
        """Add rows; of several with one name the last counts."""
        self._base.executemany(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
            ([row[0], row[1].encode(), *row[2:]] for row in rows),
        )

    def buckets(self) -> list[str]:
        found = self._base.execute("SELECT DISTINCT bucket FROM files ORDER BY bucket")
        return [row[0] for row in found]

    def below(self, bucket: str) -> Iterator[Expected]:
        """The files of *bucket* in the order of B2's listings."""
        cursor = self._base.execute(
            "SELECT name, size, sha1, file_id, absent FROM files WHERE bucket = ? ORDER BY name",
            (bucket,),
        )
        with contextlib.closing(cursor):
            for name, size, sha1, file_id, absent in cursor:
                yield Expected(name.decode(), size, sha1, file_id, bool(absent))
