"""One emulator: its settings, its store, its tokens, its faults, its journal."""

from __future__ import annotations

import shutil
from pathlib import Path

from b2emulator.access.keys import KeyTable
from b2emulator.access.tokens import Tokens
from b2emulator.faults.limits import RateLimit
from b2emulator.faults.rules import FaultTable
from b2emulator.journal import Journal
from b2emulator.settings import Settings
from b2emulator.store.bodies import BodyStore
from b2emulator.store.buckets import BucketTable
from b2emulator.store.index import Index
from b2emulator.store.listing import Listings
from b2emulator.store.parts import PartTable
from b2emulator.store.reader import ContentReader
from b2emulator.store.temporary import make_folder
from b2emulator.store.versions import VersionTable


class Emulator:
    """Everything a call needs. Opening the same folder again finds what was there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._temporary: Path | None = None
        if settings.data is None:
            self._temporary = make_folder()
            folder, database = self._temporary, None
        else:
            folder, database = settings.data, settings.data / "index.sqlite"
            folder.mkdir(parents=True, exist_ok=True)
        self.index = Index(database)
        self.bodies = BodyStore(self.index, folder / "bodies", settings.inline_bytes)
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
        self.versions.save_counter()
        self.index.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
