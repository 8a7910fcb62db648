"""Parts of large files that are not finished."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from b2emulator.store.bodies import BodyStore, Content, NewBody
from b2emulator.store.index import Index
from b2emulator.store.versions import UPLOAD, Version, VersionTable, dump_content, load_content


@dataclass(frozen=True, slots=True)
class Part:
    """One row of b2_list_parts."""

    file: int
    number: int
    size: int
    sha1: str
    md5: str | None
    millis: int
    content: Content


class PartTable:
    """Adds and lists parts; turns them into a file."""

    def __init__(self, index: Index, bodies: BodyStore, versions: VersionTable) -> None:
        self._index = index
        self._bodies = bodies
        self._versions = versions

    def put(
        self,
        file: int,
        number: int,
        size: int,
        sha1: str,
        md5: str | None,
        content: NewBody | Content,
    ) -> Part:
        """Store a part; an earlier one of the same number is replaced."""
        pieces = content.content if isinstance(content, NewBody) else content
        part = Part(file, number, size, sha1, md5, time.time_ns() // 1_000_000, pieces)
        unused: list[int] = []
        with self._index.transaction() as db:
            earlier = db.execute(
                "SELECT content FROM parts WHERE file = ? AND part = ?", (file, number)
            ).fetchone()
            if isinstance(content, NewBody):
                self._bodies.add(content)
            else:
                self._bodies.share(content)
            if earlier:
                unused = self._bodies.release(load_content(earlier[0]))
            db.execute(
                "INSERT OR REPLACE INTO parts VALUES (?,?,?,?,?,?,?)",
                (file, number, size, sha1, part.millis, dump_content(pieces), md5),
            )
        self._bodies.remove_files(unused)
        return part

    def of(self, file: int, start: int = 1, limit: int = -1) -> list[Part]:
        """Parts in order from number *start*."""
        rows = self._index.db.execute(
            "SELECT file, part, size, sha1, md5, millis, content FROM parts"
            " WHERE file = ? AND part >= ? ORDER BY part LIMIT ?",
            (file, start, limit),
        )
        return [
            Part(row[0], row[1], row[2], row[3], row[4], row[5], load_content(row[6]))
            for row in rows
        ]

    def finish(self, started: Version, parts: list[Part]) -> Version:
        """The parts become the content of the file; their references go over to it."""
        finished = replace(
            started,
            action=UPLOAD,
            size=sum(part.size for part in parts),
            content=tuple(piece for part in parts for piece in part.content),
        )
        self._versions.change(finished)
        return finished
