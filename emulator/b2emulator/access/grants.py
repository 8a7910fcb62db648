"""What the bearer of a token may do, asked by every call before it acts."""

from __future__ import annotations

from dataclasses import dataclass

from b2emulator.access.keys import Key
from b2emulator.errors import unauthorized
from b2emulator.store.buckets import Bucket


@dataclass(frozen=True, slots=True)
class Grant:
    """A key in the hands of a caller."""

    key: Key

    def require(self, capability: str) -> None:
        """Raises unauthorized unless the key has *capability*."""
        if not self.key.can(capability):
            raise unauthorized()

    def require_in(self, capability: str, bucket_id: str, name: str | None = None) -> None:
        """Raises unauthorized unless the key has *capability* in that bucket, for that name."""
        self.require(capability)
        if not self.key.may_use_bucket(bucket_id):
            raise unauthorized("unauthorized: the key is restricted to other buckets")
        if name is not None and not self.key.may_use_name(name):
            raise unauthorized(
                f"unauthorized: the key is restricted to names starting with {self.key.name_prefix}"
            )

    def may_see(self, bucket: Bucket) -> bool:
        return self.key.may_use_bucket(bucket.id)
