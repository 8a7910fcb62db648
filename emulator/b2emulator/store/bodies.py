"""The bytes of files and parts.

A body is written once and never changed. Up to `inline_bytes` it is a row of
the index; above, a file `bodies/<xx>/<id>`. The file is there before its row,
and a file without a row is removed at the next start: so a kill -9 in the
middle of an upload leaves nothing visible and nothing behind.

Copies share bodies: `refs` counts the versions and parts that use one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from b2emulator.store.index import Index

INLINE, FILE, NOTHING = "inline", "file", "nothing"


@dataclass(frozen=True, slots=True)
class Piece:
    """*length* bytes of a body, from *offset*."""

    body: int
    offset: int
    length: int


Content = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class NewBody:
    """A body whose bytes are safe and whose row is still to be written."""

    id: int
    size: int
    place: str
    data: bytes | None = None

    @property
    def content(self) -> Content:
        return (Piece(self.id, 0, self.size),)


def cut(content: Content, start: int, length: int) -> Content:
    """The part of *content* that covers *length* bytes from *start*."""
    pieces = []
    for piece in content:
        if length <= 0:
            break
        if start >= piece.length:
            start -= piece.length
            continue
        take = min(piece.length - start, length)
        pieces.append(Piece(piece.body, piece.offset + start, take))
        length -= take
        start = 0
    return tuple(pieces)


class BodyStore:
    """Where bodies are written, read, shared and dropped."""

    def __init__(self, index: Index, folder: Path, inline_bytes: int) -> None:
        self._index = index
        self._folder = folder
        self.inline_bytes = inline_bytes
        for number in range(256):
            (folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        self._remove_unknown_files()
        row = index.db.execute("SELECT coalesce(max(id), 0) FROM bodies").fetchone()
        self._last_id = int(row[0])

    def _remove_unknown_files(self) -> None:
        for path in self._folder.glob("??/*"):
            known = self._index.db.execute(
                "SELECT 1 FROM bodies WHERE id = ? AND place = ?", (int(path.name), FILE)
            ).fetchone()
            if known is None:
                path.unlink()

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def path(self, body: int) -> Path:
        return self._folder / f"{body & 255:02x}" / str(body)

    def open_new(self, body: int) -> int:
        """A file descriptor to write a new body to; the caller owes `close` and `discard`."""
        return os.open(self.path(body), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def discard(self, body: int) -> None:
        """Forget the file of a body that never got its row."""
        self.path(body).unlink(missing_ok=True)

    def add(self, new: NewBody) -> None:
        """Write the row, with one reference. Inside the caller's transaction."""
        self._index.db.execute(
            "INSERT INTO bodies VALUES (?, ?, 1, ?, ?)", (new.id, new.size, new.place, new.data)
        )

    def share(self, content: Iterable[Piece]) -> None:
        """One more reference to every body of *content*. Inside the caller's transaction."""
        self._index.db.executemany(
            "UPDATE bodies SET refs = refs + 1 WHERE id = ?", [(piece.body,) for piece in content]
        )

    def release(self, content: Iterable[Piece]) -> list[int]:
        """One reference less. Returns bodies whose files may go once the transaction is done."""
        unused = []
        for piece in content:
            row = self._index.db.execute(
                "UPDATE bodies SET refs = refs - 1 WHERE id = ? RETURNING refs, place",
                (piece.body,),
            ).fetchone()
            if row is not None and row[0] <= 0:
                self._index.db.execute("DELETE FROM bodies WHERE id = ?", (piece.body,))
                if row[1] == FILE:
                    unused.append(piece.body)
        return unused

    def remove_files(self, bodies: Iterable[int]) -> None:
        for body in bodies:
            self.discard(body)

    def place(self, body: int) -> tuple[str, bytes | None]:
        """Where a body is, with its bytes when they are in the index."""
        row = self._index.db.execute(
            "SELECT place, data FROM bodies WHERE id = ?", (body,)
        ).fetchone()
        if row is None:
            raise LookupError(f"body {body} is not in the index")
        return str(row[0]), row[1]
