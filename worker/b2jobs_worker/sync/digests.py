"""SHA-1 of local files, remembered: an unchanged tree is not read again.

One sqlite file a worker, keyed by path, size, modification time and inode. Losing it costs
reading the files once more, nothing else.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.plan import Pair

READERS = 4
AHEAD = 64

logger = logging.getLogger(__name__)


class DigestCache:
    """SHA-1 by (path, identity); `identity` has size, mtime and inode. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        """Open the file at *path*, made anew when it is broken; None keeps it in memory."""
        self._lock = threading.Lock()
        try:
            self._base = _opened(path)
        except (sqlite3.Error, OSError) as error:
            logger.warning("the digests in %s cannot be used: %s", path, error)
            self._base = _opened(None)

    def get(self, path: str, identity: str) -> str | None:
        with self._lock:
            row = self._base.execute(
                "SELECT sha1 FROM digests WHERE path = ? AND identity = ?",
                (_key(path), identity),
            ).fetchone()
        return row[0].hex() if row else None

    def put(self, path: str, identity: str, sha1: str) -> None:
        """Remember; another identity of the same path is forgotten."""
        try:
            with self._lock, self._base:
                self._base.execute(
                    "INSERT OR REPLACE INTO digests VALUES (?, ?, ?)",
                    (_key(path), identity, bytes.fromhex(sha1)),
                )
        except sqlite3.Error as error:
            logger.warning("a digest is not remembered: %s", error)

    def close(self) -> None:
        with self._lock:
            self._base.close()


Ask = Callable[[Pair], Callable[[], Pair] | None]
"""What has to be asked before a pair can be compared; None for nothing."""


def asked_ahead(
    matched: Iterator[Pair], ask: Ask, *, threads: int = READERS, ahead: int = AHEAD
) -> Iterator[Pair]:
    """*matched*, each as *ask* completes it, several at once, in order."""
    with ThreadPoolExecutor(threads, thread_name_prefix="b2jobs-compare") as pool:
        waiting: deque[tuple[Pair, Future[Pair] | None]] = deque()
        for pair in matched:
            act = ask(pair)
            waiting.append((pair, None if act is None else pool.submit(act)))
            while waiting and (len(waiting) > ahead or waiting[0][1] is None):
                yield _answered(*waiting.popleft())
        while waiting:
            yield _answered(*waiting.popleft())


def _answered(pair: Pair, future: Future[Pair] | None) -> Pair:
    return pair if future is None else future.result()


def with_digests(matched: Iterator[Pair], digest: Callable[[Entry], str | None]) -> Iterator[Pair]:
    """Fill in the local SHA-1 of pairs that need one, a few files ahead at once, in order.

    Only files of equal size with a known digest on the other side are read.
    """

    def ask(pair: Pair) -> Callable[[], Pair] | None:
        source, destination = pair
        if source is None or destination is None or source.size != destination.size:
            return None
        if source.sha1 is None and destination.sha1 is not None:
            return lambda: (source._replace(sha1=digest(source)), destination)
        if destination.sha1 is None and source.sha1 is not None:
            return lambda: (source, destination._replace(sha1=digest(destination)))
        return None

    return asked_ahead(matched, ask)


def _key(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _opened(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return _with_table(path)
    except sqlite3.DatabaseError:
        if path is None:
            raise
        path.unlink()
        return _with_table(path)


def _with_table(path: Path | None) -> sqlite3.Connection:
    base = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=30)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=OFF")
    base.execute(
        "CREATE TABLE IF NOT EXISTS digests"
        " (path BLOB PRIMARY KEY, identity TEXT NOT NULL, sha1 BLOB NOT NULL) WITHOUT ROWID"
    )
    base.commit()
    return base
