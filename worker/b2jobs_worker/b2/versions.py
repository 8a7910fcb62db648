"""One version of a file in B2, as every call describes it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from b2jobs.metadata import (
    CUSTOMER_KEY,
    LARGE_FILE_SHA1,
    MODIFIED_MILLIS,
    modified_millis,
    sha1_hex,
)
from b2jobs_worker.b2.protection import SSE_B2, SSE_C, Retention

JOB_TAG = "b2jobs_job"
"""File info that says which job made a version: how a second attempt finds the first's."""

_plain = re.compile(r"[A-Za-z0-9_.~/-]*").fullmatch
_NOTHING: Mapping[str, Any] = {}
_INFO = "x-bz-info-"
_OWN_HEADERS = frozenset(("content-disposition", "content-language", "content-encoding", "expires"))
_LOCK_HEADERS = (
    ("retention", "x-bz-file-retention-mode"),
    ("legal_hold", "x-bz-file-legal-hold"),
)
_DEFAULT_CACHE = "max-age=0, no-cache, no-store"


@dataclass(frozen=True)
class FileVersion:
    """A version of a file; `action` is upload, start (unfinished), hide or folder."""

    file_id: str
    name: str
    bucket_id: str = ""
    size: int = 0
    content_sha1: str | None = None
    content_type: str = ""
    info: Mapping[str, str] = field(default_factory=dict)
    uploaded_millis: int = 0
    action: str = "upload"
    has_headers_of_its_own: bool = False
    """Read from headers, among them some that info such as `b2-content-encoding` sets: *info*
    lacks those, and only get_file_info or a listing tells them."""

    encryption: str = ""
    """`SSE-B2`, or `SSE-C` with a customer's key; empty for none."""
    retention: Retention | None = None
    """As far as the account's key may know; it may be over."""
    is_held: bool = False
    """Under a legal hold, as far as the account's key may know."""
    untold: tuple[str, ...] = ()
    """Of `retention` and `legal_hold`, what the account's key may not know."""

    @property
    def has_customer_key(self) -> bool:
        """Whether it is encrypted with a key that only its owner has: nobody reads it without."""
        return self.encryption == SSE_C

    @property
    def key_name(self) -> str:
        """What its uploader calls the customer's key; empty where that is not said."""
        return self.info.get(CUSTOMER_KEY, "")

    @property
    def retained(self) -> Retention | None:
        """The retention that holds now."""
        found = self.retention
        return found if found and found.until_millis > time.time() * 1000 else None

    @property
    def is_locked(self) -> bool:
        """Whether B2 would refuse to delete it now."""
        return self.is_held or self.retained is not None

    @property
    def sha1(self) -> str | None:
        """Of the whole content: B2's own for a small file, what the uploader said of a large one.

        None where neither is known. B2 has not checked one that it calls unverified, nor
        any of a large file; comparing it with the bytes is what makes it worth something.
        """
        return sha1_hex(self.content_sha1) or sha1_hex(self.info.get(LARGE_FILE_SHA1))

    @property
    def modified_millis(self) -> int | None:
        """When the uploader says that the file was modified; None where it does not."""
        return modified_millis(self.info.get(MODIFIED_MILLIS))

    @property
    def mark(self) -> str:
        """Which job made it, and the code that proves it: `JOB.CODE`; empty for others'."""
        return self.info.get(JOB_TAG, "")

    @property
    def job(self) -> str | None:
        """The job that made it, or says so: see `transfer.committed`."""
        return self.mark.rpartition(".")[0] or None

    @property
    def uploaded_at(self) -> datetime:
        return datetime.fromtimestamp(self.uploaded_millis / 1000, UTC)


def quoted(text: str) -> str:
    """*text* as names and info are written in headers and URLs."""
    return text if _plain(text) else quote(text)


def from_json(document: Mapping[str, Any]) -> FileVersion:
    """Read what upload, finish, copy, get_file_info and the listings answer."""
    sha1 = document.get("contentSha1")
    return FileVersion(
        file_id=document.get("fileId") or "",
        name=document["fileName"],
        bucket_id=document.get("bucketId") or "",
        size=int(document.get("contentLength") or 0),
        content_sha1=None if sha1 in (None, "none") else sha1,
        content_type=document.get("contentType") or "",
        info=dict(document.get("fileInfo") or {}),
        uploaded_millis=int(document.get("uploadTimestamp") or 0),
        action=document.get("action") or "upload",
        encryption=(document.get("serverSideEncryption") or _NOTHING).get("mode") or "",
        **_lock(document.get("fileRetention") or _NOTHING, document.get("legalHold") or _NOTHING),
    )


def _lock(retention: Mapping[str, Any], hold: Mapping[str, Any]) -> dict[str, Any]:
    """Retention and hold of a document, each with whether the key may read it."""
    if not retention and not hold:
        return {}
    told = retention.get("value") or _NOTHING
    until = told.get("retainUntilTimestamp")
    untold = [
        name
        for name, found in (("retention", retention), ("legal_hold", hold))
        if found.get("isClientAuthorizedToRead") is False
    ]
    if until is None and hold.get("value") != "on" and not untold:
        return {}
    return {
        "retention": Retention(told["mode"], until) if until is not None else None,
        "is_held": hold.get("value") == "on",
        "untold": tuple(untold),
    }


def from_headers(headers: Mapping[str, str]) -> FileVersion:
    """Read the headers of a download, or of a HEAD on one. Their names are lower case."""
    sha1 = headers.get("x-bz-content-sha1")
    content_range = headers.get("content-range")
    size = content_range.rpartition("/")[2] if content_range else headers.get("content-length")
    until = headers.get("x-bz-file-retention-retain-until-timestamp")
    hidden = (headers.get("x-bz-client-unauthorized-to-read") or "").lower()
    return FileVersion(
        file_id=headers.get("x-bz-file-id") or "",
        name=unquote((headers.get("x-bz-file-name") or "").replace("+", " ")),
        size=int(size or 0),
        content_sha1=None if sha1 in (None, "none") else sha1,
        content_type=headers.get("content-type") or "",
        info={
            name.removeprefix(_INFO): unquote(value) if "%" in value else value
            for name, value in headers.items()
            if name.startswith(_INFO)
        },
        uploaded_millis=int(headers.get("x-bz-upload-timestamp") or 0),
        has_headers_of_its_own=not _OWN_HEADERS.isdisjoint(headers)
        or headers.get("cache-control", _DEFAULT_CACHE) != _DEFAULT_CACHE,
        encryption=_encryption(headers),
        retention=None
        if until is None
        else Retention(headers.get("x-bz-file-retention-mode") or "", int(until)),
        is_held=headers.get("x-bz-file-legal-hold") == "on",
        untold=tuple(word for word, header in _LOCK_HEADERS if header in hidden) if hidden else (),
    )


def _encryption(headers: Mapping[str, str]) -> str:
    if "x-bz-server-side-encryption-customer-algorithm" in headers:
        return SSE_C
    return SSE_B2 if "x-bz-server-side-encryption" in headers else ""
