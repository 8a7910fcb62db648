"""One emulator: its settings, its store, its tokens, its faults, its journal."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from b2emulator.access.keys import KeyTable
from b2emulator.access.tokens import Tokens
from b2emulator.faults.limits import RateLimit
from b2emulator.faults.rules import FaultTable
from b2emulator.journal import Journal
from b2emulator.names import check_bucket_name
from b2emulator.settings import Settings
from b2emulator.store.bodies import BodyStore
from b2emulator.store.buckets import BucketTable
from b2emulator.store.folder import lock_folder
from b2emulator.store.index import Index
from b2emulator.store.listing import Listings
from b2emulator.store.parts import PartTable
from b2emulator.store.reader import ContentReader
from b2emulator.store.temporary import make_folder
from b2emulator.store.versions import VersionTable


class IndexUnusable(OSError):
    """The data folder has an index that this emulator cannot read."""


class Emulator:
    """Everything a call needs. Opening the same folder again finds what was there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        for name in settings.buckets:
            check_bucket_name(name)
        self._temporary: Path | None = None
        self._lock: int | None = None
        if settings.data is None:
            self._temporary = self.folder = make_folder()
            database = None
        else:
            self.folder, database = settings.data, settings.data / "index.sqlite"
            self._lock = lock_folder(self.folder)
        try:
            self._open(settings, database)
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._let_go()
            raise IndexUnusable(f"the index {database} cannot be read: {error}") from error
        except BaseException:
            self._let_go()
            raise

    def _open(self, settings: Settings, database: Path | None) -> None:
        self.index = Index(database)
        self.bodies = BodyStore(self.index, self.folder / "bodies", settings.inline_bytes)
        self.reader = ContentReader(self.bodies)
        self.versions = VersionTable(self.index, self.bodies)
        self.parts = PartTable(self.index, self.bodies, self.versions)
        self.listings = Listings(self.index)
        self.buckets = BucketTable(self.index)
        self.keys = KeyTable(self.index, settings.key_id, settings.application_key)
        self.tokens = Tokens(self.index)
        self.journal = Journal(settings.journal_entries)
        self.faults = FaultTable()
        self.rate_limit = RateLimit()
        for name in settings.buckets:
            if self.buckets.by_name(name) is None:
                self.buckets.create(name)

    @property
    def account_id(self) -> str:
        return self.keys.account_id

    def close(self) -> None:
        """Save and let go of the folder. May raise sqlite3.Error; the folder is free then too."""
        try:
            self.versions.save_counter()
            self.index.close()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
