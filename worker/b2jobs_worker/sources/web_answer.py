"""What one answer says about a file behind https: which version it is, and how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from urllib3 import BaseHTTPResponse

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d*/(\d+|\*)\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """The head of one answer. Two are equal when they name the same version."""

    etag: str
    modified: str
    size: int | None
    start: int | None = field(default=None, compare=False)
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, response: BaseHTTPResponse) -> Answer:
        headers = response.headers
        size, start = _number(headers.get("Content-Length", "")), None
        if response.status == 206:
            match = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
            start = int(match[1]) if match else None
            size = _number(match[2]) if match else None
        return cls(headers.get("ETag", ""), headers.get("Last-Modified", ""), size, start, headers)

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    @property
    def validator(self) -> str:
        """What `If-Range` may carry: a strong ETag, else the time; a weak one promises no bytes."""
        return self.etag if self.is_strong else self.modified

    @property
    def is_strong(self) -> bool:
        return self.etag.startswith('"')

    @property
    def identity(self) -> str:
        return f"{self.etag} {self.modified} {'' if self.size is None else self.size}"

    @property
    def takes_ranges(self) -> bool:
        return self.start is not None or self.header("Accept-Ranges").lower() == "bytes"

    @property
    def is_delimited(self) -> bool:
        """Whether the answer says where the body ends, so that a cut is noticed."""
        return self.size is not None or self.header("Transfer-Encoding").lower() == "chunked"

    @property
    def modified_millis(self) -> int | None:
        """Last-Modified, also before 1970."""
        try:
            moment = parsedate_to_datetime(self.modified)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int((moment - _EPOCH).total_seconds() * 1000)

    def is_part(self, offset: int) -> bool:
        """Whether the body begins at *offset*; `multipart/byteranges` has no place to say it."""
        return self.start == offset

    def may_be(self, other: Answer) -> bool:
        """Whether nothing in it speaks against being of the version *other*."""
        return (
            self.etag in ("", other.etag)
            and self.modified in ("", other.modified)
            and self.size == other.size
        )

    def has_other_etag(self, other: Answer) -> bool:
        """Whether the ETag alone tells it from *other*: length and time are named and equal."""
        return (
            self.etag != other.etag
            and bool(self.modified)
            and self.modified == other.modified
            and self.size is not None
            and self.size == other.size
        )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
