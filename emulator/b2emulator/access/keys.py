"""Application keys: who may do what, where, until when."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass

from b2emulator.access import capabilities
from b2emulator.store.index import Index


@dataclass(frozen=True, slots=True)
class Key:
    """One application key, its secret included."""

    id: str
    secret: str
    name: str
    capabilities: tuple[str, ...]
    bucket_ids: tuple[str, ...] | None = None
    """None: every bucket."""
    name_prefix: str | None = None
    expires_millis: int | None = None

    def can(self, capability: str) -> bool:
        return capability in self.capabilities

    def may_use_bucket(self, bucket_id: str) -> bool:
        return self.bucket_ids is None or bucket_id in self.bucket_ids

    def may_use_name(self, name: str) -> bool:
        return self.name_prefix is None or name.startswith(self.name_prefix)

    def has_expired(self) -> bool:
        return self.expires_millis is not None and time.time() * 1000 >= self.expires_millis


class KeyTable:
    """Finds, makes and removes keys; the master key is not listed and never goes."""

    def __init__(self, index: Index, key_id: str | None, secret: str | None) -> None:
        self._index = index
        self.account_id = index.setting("account_id", secrets.token_hex(6))
        self.master = Key(
            id=key_id or index.setting("master_key_id", self.account_id),
            secret=secret or index.setting("master_key", secrets.token_hex(20)),
            name="Master Application Key",
            capabilities=capabilities.ALL,
        )
        self._by_id: dict[str, Key] = {}
        for (document,) in index.db.execute("SELECT document FROM keys").fetchall():
            fields = json.loads(document)
            fields["capabilities"] = tuple(fields["capabilities"])
            if fields["bucket_ids"] is not None:
                fields["bucket_ids"] = tuple(fields["bucket_ids"])
            self._by_id[fields["id"]] = Key(**fields)

    def find(self, key_id: str) -> Key | None:
        """The key; B2 takes the account id in place of the master key's id."""
        if key_id in (self.master.id, self.account_id):
            return self.master
        return self._by_id.get(key_id)

    def with_secret(self, key_id: str, secret: str) -> Key | None:
        """The key, when *secret* is its own."""
        key = self.find(key_id)
        if key is None or not hmac.compare_digest(key.secret.encode(), secret.encode()):
            return None
        return key

    def all(self) -> list[Key]:
        """Every key that was made, by id; without the master key, as B2 lists them."""
        return [self._by_id[key_id] for key_id in sorted(self._by_id)]

    def create(
        self,
        name: str,
        granted: tuple[str, ...],
        bucket_ids: tuple[str, ...] | None,
        name_prefix: str | None,
        expires_millis: int | None,
    ) -> Key:
        number = int(self._index.setting("key_number", "0")) + 1
        self._index.keep_setting("key_number", str(number))
        key = Key(
            id=f"000{self.account_id}{number:010x}",
            secret="K000" + secrets.token_urlsafe(20).replace("-", "x").replace("_", "y"),
            name=name,
            capabilities=granted,
            bucket_ids=bucket_ids,
            name_prefix=name_prefix,
            expires_millis=expires_millis,
        )
        self._index.db.execute("INSERT INTO keys VALUES (?, ?)", (key.id, json.dumps(asdict(key))))
        self._by_id[key.id] = key
        return key

    def remove(self, key: Key) -> None:
        self._index.db.execute("DELETE FROM keys WHERE id = ?", (key.id,))
        del self._by_id[key.id]
