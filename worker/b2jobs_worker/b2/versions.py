"""One version of a file in B2, as every call describes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from b2jobs.metadata import LARGE_FILE_SHA1, MODIFIED_MILLIS, modified_millis, sha1_hex

JOB_TAG = "b2jobs_job"
"""File info that says which job made a version: how a second attempt finds the first's."""

_NOTHING: Mapping[str, Any] = {}
_INFO = "x-bz-info-"
_OWN_HEADERS = ("content-disposition", "content-language", "content-encoding", "expires")
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

    has_customer_key: bool = False
    """Encrypted with a key that only its owner has (SSE-C): nobody reads it without."""
    locked_until_millis: int | None = None
    """Retained until then, as far as the account's key may know."""
    is_held: bool = False
    """Under a legal hold, as far as the account's key may know."""

    @property
    def is_locked(self) -> bool:
        """Whether B2 would refuse to delete it now."""
        return self.is_held or (self.locked_until_millis or 0) > time.time() * 1000

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


def from_json(document: Mapping[str, Any]) -> FileVersion:
    """Read what upload, finish, copy, get_file_info and the listings answer."""
    sha1 = document.get("contentSha1")
    retention = (document.get("fileRetention") or _NOTHING).get("value") or _NOTHING
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
        has_customer_key=(document.get("serverSideEncryption") or _NOTHING).get("mode") == "SSE-C",
        locked_until_millis=retention.get("retainUntilTimestamp"),
        is_held=(document.get("legalHold") or _NOTHING).get("value") == "on",
    )


def from_headers(headers: Mapping[str, str]) -> FileVersion:
    """Read the headers of a download, or of a HEAD on one. Their names are lower case."""
    sha1 = headers.get("x-bz-content-sha1")
    content_range = headers.get("content-range")
    size = content_range.rpartition("/")[2] if content_range else headers.get("content-length")
    return FileVersion(
        file_id=headers.get("x-bz-file-id") or "",
        name=unquote((headers.get("x-bz-file-name") or "").replace("+", " ")),
        size=int(size or 0),
        content_sha1=None if sha1 in (None, "none") else sha1,
        content_type=headers.get("content-type") or "",
        info={
            name.removeprefix(_INFO): unquote(value)
            for name, value in headers.items()
            if name.startswith(_INFO)
        },
        uploaded_millis=int(headers.get("x-bz-upload-timestamp") or 0),
        has_headers_of_its_own=any(name in headers for name in _OWN_HEADERS)
        or headers.get("cache-control", _DEFAULT_CACHE) != _DEFAULT_CACHE,
    )
