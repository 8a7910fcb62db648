"""One call to B2: who asks for what, and the table of all the calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from b2emulator.access.grants import Grant
from b2emulator.access.tokens import ACCOUNT
from b2emulator.calls.params import Params
from b2emulator.emulator import Emulator
from b2emulator.errors import (
    B2Error,
    bad_auth_token,
    bad_bucket_id,
    bad_file_id,
    bad_request,
)
from b2emulator.file_ids import number_of
from b2emulator.journal import Entry
from b2emulator.store.buckets import Bucket
from b2emulator.store.versions import Version

Json = dict[str, Any]


@dataclass(slots=True)
class Call:
    """What a call function gets."""

    emulator: Emulator
    api_version: int
    base_url: str
    authorization: str | None
    params: Params
    entry: Entry
    _grant: Grant | None = None

    @property
    def grant(self) -> Grant:
        """The caller's grant. Raises bad_auth_token or expired_auth_token."""
        if self._grant is None:
            self._grant = grant_of(self.emulator, self.authorization)
            self.entry.key_id = self._grant.key.id
        return self._grant

    def bucket(self, capability: str, field: str = "bucketId", name: str | None = None) -> Bucket:
        """The bucket a request names, which the caller may use with *capability*."""
        grant = self.grant
        bucket_id = self.params.text(field)
        grant.require_in(capability, bucket_id, name)
        bucket = self.emulator.buckets.by_id(bucket_id)
        if bucket is None:
            raise bad_bucket_id(bucket_id)
        self.entry.bucket = bucket.name
        return bucket

    def version(
        self,
        capability: str,
        field: str = "fileId",
        missing: Callable[[str], B2Error] | None = None,
    ) -> Version:
        """The version a request names, which the caller may use with *capability*."""
        grant = self.grant
        grant.require(capability)
        file_id = self.params.text(field)
        if number_of(file_id) is None:
            raise bad_file_id(field, file_id)
        version = self.emulator.versions.find(file_id)
        if version is None:
            raise missing(file_id) if missing else bad_file_id(field, file_id)
        grant.require_in(capability, version.bucket, version.name)
        self.note(version)
        return version

    def note(self, version: Version) -> None:
        """Tell the journal which file this is about."""
        self.entry.file_id, self.entry.name = version.file_id, version.name
        bucket = self.emulator.buckets.by_id(version.bucket)
        self.entry.bucket = bucket.name if bucket else None

    def check_account(self) -> None:
        """accountId, where a call carries one, is the caller's own."""
        account = self.params.optional_text("accountId")
        if account is not None and account != self.emulator.account_id:
            raise bad_request(f"accountId {account} is not the account of the token")


def grant_of(emulator: Emulator, token: str | None) -> Grant:
    """The grant behind an account token; a key that was deleted takes its tokens along."""
    if not token:
        raise bad_auth_token("Authorization header is missing")
    claims = emulator.tokens.read(token, ACCOUNT)
    key = emulator.keys.find(claims["key"])
    if key is None:
        raise bad_auth_token("The application key of this token was deleted")
    return Grant(key)


CallFunction = Callable[[Call], Json | Awaitable[Json]]
CALLS: dict[str, CallFunction] = {}
"""Every call with a JSON body and a JSON answer, by its name in the URL."""


def b2_call(function: CallFunction) -> CallFunction:
    """Register *function* under its own name."""
    CALLS[function.__name__] = function
    return function
