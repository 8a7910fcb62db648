"""Buckets and their settings. All of them are held in memory; the index keeps them."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from b2emulator.store.index import Index

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket; the lists and dicts are JSON as the client gave it."""

    id: str
    name: str
    type: str = "allPrivate"
    info: Json = field(default_factory=dict)
    cors_rules: list[Json] = field(default_factory=list)
    lifecycle_rules: list[Json] = field(default_factory=list)
    encryption: Json = field(default_factory=lambda: {"mode": None, "algorithm": None})
    lock_enabled: bool = False
    default_retention: Json = field(default_factory=lambda: {"mode": None, "period": None})
    replication: Json | None = None
    notification_rules: list[Json] = field(default_factory=list)
    options: list[str] = field(default_factory=lambda: ["s3"])
    revision: int = 2
    """B2 counts from 2."""

    @property
    def is_public(self) -> bool:
        return self.type == "allPublic"

    def replicates(self, name: str) -> bool:
        """Whether a rule asks for a copy of *name* in another bucket. None is ever made."""
        source = (self.replication or {}).get("asReplicationSource") or {}
        return any(
            rule["isEnabled"] and name.startswith(rule["fileNamePrefix"])
            for rule in source.get("replicationRules", ())
        )


class BucketTable:
    """Finds and keeps buckets."""

    def __init__(self, index: Index) -> None:
        self._index = index
        rows = index.db.execute("SELECT document FROM buckets").fetchall()
        self._by_id = {b.id: b for b in (Bucket(**json.loads(row[0])) for row in rows)}

    def all(self) -> list[Bucket]:
        """Every bucket, by name."""
        return sorted(self._by_id.values(), key=lambda bucket: bucket.name)

    def by_id(self, bucket_id: str) -> Bucket | None:
        return self._by_id.get(bucket_id)

    def by_name(self, name: str) -> Bucket | None:
        # B2 compares bucket names without case.
        wanted = name.lower()
        return next((b for b in self._by_id.values() if b.name.lower() == wanted), None)

    def create(self, name: str, **settings: Any) -> Bucket:
        bucket = Bucket(id=secrets.token_hex(12), name=name, **settings)
        self._keep(bucket)
        return bucket

    def change(self, bucket: Bucket, *, counts: bool = True, **settings: Any) -> Bucket:
        """Store *settings* and, where it *counts*, a higher revision."""
        changed = replace(bucket, revision=bucket.revision + counts, **settings)
        self._keep(changed)
        return changed

    def remove(self, bucket: Bucket) -> None:
        self._index.db.execute("DELETE FROM buckets WHERE id = ?", (bucket.id,))
        del self._by_id[bucket.id]

    def _keep(self, bucket: Bucket) -> None:
        self._index.db.execute(
            "INSERT OR REPLACE INTO buckets VALUES (?, ?)", (bucket.id, json.dumps(asdict(bucket)))
        )
        self._by_id[bucket.id] = bucket
