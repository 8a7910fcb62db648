"""The index: one SQLite database with everything but the larger bodies.

WAL with `synchronous=OFF`: a commit is in the page cache of the machine when it
returns, so kill -9 of the emulator loses nothing; a power cut may lose the last
seconds, never the consistency of what a checkpoint wrote before. An emulator
that paid a disk flush for every small upload would measure the disk.

One connection, used by the event loop's thread only: calls are serialised by
construction and need no locks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
    number INTEGER PRIMARY KEY,
    bucket TEXT NOT NULL,
    name TEXT NOT NULL,
    millis INTEGER NOT NULL,
    action TEXT NOT NULL,
    file_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha1 TEXT,
    md5 TEXT,
    content_type TEXT,
    info TEXT NOT NULL,
    encryption TEXT,
    retention_mode TEXT,
    retain_until INTEGER,
    legal_hold TEXT,
    content TEXT NOT NULL
);
-- (bucket, name, millis, number) read backwards per name is B2's order of versions.
CREATE INDEX IF NOT EXISTS versions_in_order ON versions (bucket, name, millis DESC, number DESC);
CREATE INDEX IF NOT EXISTS unfinished ON versions (bucket, number) WHERE action = 'start';
-- The version b2_list_file_names shows for a name; hidden names have no row.
CREATE TABLE IF NOT EXISTS visible (
    bucket TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    file INTEGER NOT NULL, part INTEGER NOT NULL, size INTEGER NOT NULL, sha1 TEXT NOT NULL,
    millis INTEGER NOT NULL, content TEXT NOT NULL, md5 TEXT, PRIMARY KEY (file, part)
) WITHOUT ROWID;
-- A body is shared by every version copied from it. data: NULL when it is a file.
CREATE TABLE IF NOT EXISTS bodies (
    id INTEGER PRIMARY KEY, size INTEGER NOT NULL, refs INTEGER NOT NULL,
    place TEXT NOT NULL, data BLOB
);
"""


class Index:
    """The SQLite connection and its transactions."""

    def __init__(self, path: Path | None) -> None:
        self.db = sqlite3.connect(
            ":memory:" if path is None else str(path),
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA cache_size=-65536")
        self.db.execute("PRAGMA wal_autocheckpoint=4000")
        self.db.executescript(SCHEMA)
        if "md5" not in (row[1] for row in self.db.execute("PRAGMA table_info(parts)")):
            self.db.execute("ALTER TABLE parts ADD COLUMN md5 TEXT")  # a folder from before it

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; never held over an await."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # a full disk has ended it already
                self.db.execute("ROLLBACK")
            raise

    def setting(self, name: str, default: str) -> str:
        """A value kept with the data; *default* is stored when there is none yet."""
        row = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        if row is not None:
            return str(row[0])
        self.keep_setting(name, default)
        return default

    def keep_setting(self, name: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def close(self) -> None:
        self.db.close()
