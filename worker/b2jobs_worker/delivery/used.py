"""Which signatures this machine has seen used up: what Redis says of it can be taken back there."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)


class UsedSignatures:
    """Tokens of signatures whose jobs have ended, in a file that this machine's processes share.

    About 60 bytes for each job, for as long as its signature would be good. Thread-safe.
    """

    def __init__(self, path: Path | None) -> None:
        """Without a *path* it remembers for the process alone."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = sqlite3.connect(
            path or ":memory:", timeout=30, check_same_thread=False, isolation_level=None
        )
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE IF NOT EXISTS used (token TEXT PRIMARY KEY, until REAL)")
        self._file.execute("DELETE FROM used WHERE until < ?", [time.time()])

    def add(self, signature: str) -> None:
        """Remember it; one that is none is passed over."""
        token, _, rest = signature.partition(" ")
        until = rest.partition(" ")[0]
        if token and until.isdecimal():
            with self._lock:
                self._file.execute("INSERT OR REPLACE INTO used VALUES (?, ?)", [token, int(until)])

    def has(self, signature: str) -> bool:
        token = signature.partition(" ")[0]
        if not token:
            return False
        with self._lock:
            found = self._file.execute("SELECT 1 FROM used WHERE token = ?", [token])
            return found.fetchone() is not None


@cache
def used_signatures(folder: Path | None) -> UsedSignatures:
    """The one of this process, in *folder* where there is one."""
    if folder is None:
        return UsedSignatures(None)
    try:
        return UsedSignatures(folder.expanduser() / "signatures.sqlite")
    except (OSError, sqlite3.Error) as error:
        logger.warning("what was done is remembered by this process alone: %s", error)
        return UsedSignatures(None)
