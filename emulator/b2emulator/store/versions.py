"""Versions of files: uploads, hide markers and large files not yet finished."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from b2emulator.file_ids import LARGE, SMALL, make_file_id, number_of
from b2emulator.store.bodies import BodyStore, Content, NewBody, Piece
from b2emulator.store.index import Index

UPLOAD, HIDE, START = "upload", "hide", "start"
HIDE_MARKER_TYPE = "application/x-bz-hide-marker"
COLUMNS = (
    "number, bucket, name, millis, action, file_id, size, sha1, md5, content_type, info,"
    " encryption, retention_mode, retain_until, legal_hold, content"
)
LISTED_COLUMNS = (
    COLUMNS.replace("content_type", "#").replace("content", "'[]'").replace("#", "content_type")
)
"""The same without the content, which no listing shows."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a file is encrypted, as far as B2 tells: the mode, and for SSE-C the key's MD5."""

    mode: str
    key_md5: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One row of b2_list_file_versions."""

    bucket: str
    name: str
    action: str
    size: int = 0
    sha1: str | None = None
    md5: str | None = None
    content_type: str | None = None
    info: dict[str, str] = field(default_factory=dict)
    encryption: Encryption | None = None
    retention_mode: str | None = None
    retain_until: int | None = None
    legal_hold: str | None = None
    content: Content = ()
    millis: int = 0
    number: int = 0
    file_id: str = ""


def dump_content(content: Content) -> str:
    return json.dumps([(piece.body, piece.offset, piece.length) for piece in content])


def load_content(text: str) -> Content:
    return tuple(Piece(*entry) for entry in json.loads(text))


def version_from_row(row: Sequence[Any]) -> Version:
    (number, bucket, name, millis, action, file_id, size, sha1, md5, content_type, info) = row[:11]
    encryption, mode, until, hold, content = row[11:]
    return Version(
        number=number,
        bucket=bucket,
        name=name,
        millis=millis,
        action=action,
        file_id=file_id,
        size=size,
        sha1=sha1,
        md5=md5,
        content_type=content_type,
        info=json.loads(info) if info != "{}" else {},
        encryption=Encryption(*json.loads(encryption)) if encryption else None,
        retention_mode=mode,
        retain_until=until,
        legal_hold=hold,
        content=load_content(content) if content != "[]" else (),
    )


class VersionTable:
    """Adds, finds, changes and removes versions, and keeps `visible` true."""

    def __init__(self, index: Index, bodies: BodyStore) -> None:
        self._index = index
        self._bodies = bodies
        row = index.db.execute("SELECT coalesce(max(number), 0) FROM versions").fetchone()
        # Ids are never used twice, even when the newest version was deleted before a restart.
        self._last_number = max(int(row[0]), int(index.setting("last_number", "0")))

    def save_counter(self) -> None:
        """Keep the highest number given out; called at the end."""
        self._index.keep_setting("last_number", str(self._last_number))

    def add(
        self, version: Version, new: NewBody | None = None, millis: int | None = None
    ) -> Version:
        """Store *version* as the newest of its name; returns it with its id.

        *new* is a body that came with it; a content without one is shared with
        its other users. Ids and times are given here and nowhere else.
        """
        self._last_number += 1
        number = self._last_number
        millis = millis if millis is not None else time.time_ns() // 1_000_000
        kind = LARGE if version.action == START else SMALL
        version = replace(
            version,
            number=number,
            millis=millis,
            file_id=make_file_id(version.bucket, kind, number, millis),
            content=new.content if new else version.content,
        )
        with self._index.transaction() as db:
            if new is not None:
                self._bodies.add(new)
            else:
                self._bodies.share(version.content)
            self._write(db, version)
            self._refresh(db, version.bucket, version.name)
        return version

    def _write(self, db: sqlite3.Connection, v: Version) -> None:
        encryption = json.dumps([v.encryption.mode, v.encryption.key_md5]) if v.encryption else None
        db.execute(
            "INSERT OR REPLACE INTO versions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(v.number, v.bucket, v.name, v.millis, v.action, v.file_id, v.size, v.sha1),
                *(v.md5, v.content_type, json.dumps(v.info), encryption),
                *(v.retention_mode, v.retain_until, v.legal_hold, dump_content(v.content)),
            ),
        )

    def _refresh(self, db: sqlite3.Connection, bucket: str, name: str) -> None:
        """The newest finished version of a name is visible unless it is a hide marker."""
        row = db.execute(
            "SELECT number, action FROM versions WHERE bucket = ? AND name = ?"
            " AND action != 'start' ORDER BY millis DESC, number DESC LIMIT 1",
            (bucket, name),
        ).fetchone()
        if row is not None and row[1] == UPLOAD:
            db.execute("INSERT OR REPLACE INTO visible VALUES (?, ?, ?)", (bucket, name, row[0]))
        else:
            db.execute("DELETE FROM visible WHERE bucket = ? AND name = ?", (bucket, name))

    def change(self, version: Version) -> None:
        """Write a changed version back: finished, or with another lock.

        A finished file has no parts: what they referred to is its content now.
        """
        with self._index.transaction() as db:
            self._write(db, version)
            if version.action != START:
                db.execute("DELETE FROM parts WHERE file = ?", (version.number,))
            self._refresh(db, version.bucket, version.name)

    def find(self, file_id: str) -> Version | None:
        number = number_of(file_id)
        if number is None:
            return None
        row = self._index.db.execute(
            f"SELECT {COLUMNS} FROM versions WHERE number = ? AND file_id = ?",
            (number, file_id),
        ).fetchone()
        return version_from_row(row) if row else None

    def visible(self, bucket: str, name: str) -> Version | None:
        row = self._index.db.execute(
            f"SELECT {COLUMNS} FROM versions WHERE number ="
            " (SELECT number FROM visible WHERE bucket = ? AND name = ?)",
            (bucket, name),
        ).fetchone()
        return version_from_row(row) if row else None

    def newest(self, bucket: str, name: str) -> Version | None:
        """The newest finished version, a hide marker included."""
        row = self._index.db.execute(
            f"SELECT {COLUMNS} FROM versions WHERE bucket = ? AND name = ?"
            " AND action != 'start' ORDER BY millis DESC, number DESC LIMIT 1",
            (bucket, name),
        ).fetchone()
        return version_from_row(row) if row else None

    def remove(self, version: Version) -> None:
        """Take one version away, with the parts of a large file that was not finished."""
        with self._index.transaction() as db:
            unused = self._bodies.release(version.content)
            for (content,) in db.execute(
                "SELECT content FROM parts WHERE file = ?", (version.number,)
            ).fetchall():
                unused += self._bodies.release(load_content(content))
            db.execute("DELETE FROM parts WHERE file = ?", (version.number,))
            db.execute("DELETE FROM versions WHERE number = ?", (version.number,))
            self._refresh(db, version.bucket, version.name)
        self._bodies.remove_files(unused)

    def bucket_is_empty(self, bucket: str) -> bool:
        row = self._index.db.execute(
            "SELECT 1 FROM versions WHERE bucket = ? LIMIT 1", (bucket,)
        ).fetchone()
        return row is None
