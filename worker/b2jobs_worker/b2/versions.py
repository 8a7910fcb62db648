"""One version of a file in B2, as every call describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from b2jobs.metadata import LARGE_FILE_SHA1, MODIFIED_MILLIS, modified_millis, sha1_hex

JOB_TAG = "b2jobs_job"
"""File info that says which job made a version: how a second attempt finds the first's."""

_INFO = "x-bz-info-"


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
    def job(self) -> str | None:
        """The job that made it, when b2jobs did."""
        return self.info.get(JOB_TAG)

    @property
    def uploaded_at(self) -> datetime:
        return datetime.fromtimestamp(self.uploaded_millis / 1000, UTC)


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
    )
