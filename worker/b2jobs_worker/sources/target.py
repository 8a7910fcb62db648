"""The third port of sources/: one object of another store, as the target of a download.

What is written takes the object's place as a whole, at the moment the store has all of it: by
one request, or by parts that are put together. S3, Google's and Azure's each implement it;
tests/contract runs one suite over all of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

from b2jobs.metadata import LARGE_FILE_SHA1, MODIFIED_MILLIS, modified_millis, sha1_hex

MARK = "b2jobs_job"
"""The object's own entry that says which job made it."""
MTIME = "mtime"
"""rclone's entry for the time of modification."""

MOST_KEY_BYTES = 1024

_HEADERS = ("cache_control", "content_disposition", "content_encoding", "content_language")
_ENTRY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z")


@dataclass(frozen=True)
class NewObject:
    """What is to be made. *info*: as in B2, whose `b2-` entries become headers.

    sha1: of the whole content, None where it is not known yet. mark: which job makes it.
    """

    content_type: str
    info: Mapping[str, str]
    modified_millis: int | None
    sha1: str | None
    mark: str


class Stored(NamedTuple):
    """An object as it is now; *identity* differs when its content may differ.

    modified_millis: what its writer said; None where only the store's own time is known.
    digest: the store's own, an MD5 in hex or how it writes that of parts; else empty.
    """

    identity: str
    size: int
    modified_millis: int | None
    sha1: str | None
    mark: str
    digest: str


class ObjectTarget(Protocol):
    """One object. What *only* says as in `Download.replaces`: the identity of the one that may
    be replaced, empty where none may be there, None for whatever is there.

    Raises, everywhere: `destination_forbidden`, `destination_missing` (no such bucket), ...; and
    `destination_changed` where *only* forbids it, `destination_upload_gone` where parts are lost.
    """

    uri: str
    least_part_bytes: int
    most_parts: int
    most_bytes: int

    def look(self) -> Stored | None:
        """What is there now."""

    def put(self, content: memoryview, new: NewObject, only: str | None) -> None:
        """Write all of it by one request; the store compares it with its MD5."""

    def begin(self, new: NewObject) -> str:
        """Begin an object of parts; the id that the other calls take."""

    def put_part(self, upload: str, number: int, content: memoryview) -> str:
        """Send part *number*, from 1 on; what `finish` wants to be told of it. Twice replaces."""

    def finish(self, upload: str, parts: list[str], new: NewObject, only: str | None) -> str:
        """Put the parts together; the digest that `Stored` should then have, empty for unknown."""

    def abort(self, upload: str) -> None:
        """Drop the parts, as far as the store can; one that is gone is dropped."""

    def abort_begun(self, since: float) -> None:
        """Drop what an attempt began shortly behind *since* and could not note the id of."""

    def remove(self, identity: str) -> bool:
        """Remove the object where it is the one of *identity*; false where there is none."""

    def not_carried(self, new: NewObject) -> list[str]:
        """Names of *new*'s info that the store does not take."""


class Piece(io.RawIOBase):
    """Bytes in memory as a file that is sent, perhaps again, without a copy."""

    def __init__(self, content: memoryview, checkpoint: Callable[[], None]) -> None:
        super().__init__()
        self._content = content
        self._checkpoint = checkpoint
        self._at = 0

    def __len__(self) -> int:
        return len(self._content)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self._checkpoint()
        end = len(self._content) if size < 0 else min(self._at + size, len(self._content))
        chunk = bytes(self._content[self._at : end])
        self._at = end
        return chunk

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = (0, self._at, len(self._content))[whence]
        self._at = max(0, min(base + offset, len(self._content)))
        return self._at


def key_problem(key: str) -> str:
    """Why no object is written under *key*; empty for one that can be."""
    if len(key.encode(errors="replace")) > MOST_KEY_BYTES:
        return f"its key has more than {MOST_KEY_BYTES} bytes"
    if {".", ".."} & set(key.split("/")):
        return "it has '.' or '..' between slashes, which servers on the way may resolve"
    return ""


def md5(content: memoryview) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def md5_header(content: memoryview) -> str:
    return base64.b64encode(md5(content)).decode()


@dataclass(frozen=True)
class Spoken:
    """A `NewObject` in a store's words: *headers* by their Python names, its own entries, and the
    names of what the store does not take."""

    headers: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def spoken(
    new: NewObject, *, name: re.Pattern[str], most_bytes: int, expires: bool, mtime: str
) -> Spoken:
    """What of *new* goes along: as much as fits into *most_bytes*, what b2jobs needs first.

    name: what an entry may be called. expires: whether the store keeps that header. mtime: the
    time as rclone writes it there.
    """
    headers: dict[str, str] = {}
    entries = {MARK: new.mark}
    if new.modified_millis is not None:
        entries |= {MODIFIED_MILLIS: str(new.modified_millis), MTIME: mtime}
    if new.sha1 is not None:
        entries[LARGE_FILE_SHA1] = new.sha1
    lost: list[str] = []
    own = {*entries, MODIFIED_MILLIS, LARGE_FILE_SHA1}
    used = sum(len(key) + len(text) for key, text in entries.items())
    for key, text in sorted(new.info.items()):
        header = key.removeprefix("b2-").replace("-", "_")
        if key.startswith("b2-") and header in (*_HEADERS, *(("expires",) if expires else ())):
            if _ENTRY.match(text) and (header != "expires" or _is_date(text)):
                headers[header] = text
            else:
                lost.append(key)
        elif key not in own:
            used += len(key) + len(text)
            if name.fullmatch(key) and _ENTRY.match(text) and used <= most_bytes:
                entries[key] = text
            else:
                used -= len(key) + len(text)
                lost.append(key)
    return Spoken(headers, entries, tuple(lost))


def _is_date(text: str) -> bool:
    try:
        return parsedate_to_datetime(text) is not None
    except ValueError:
        return False


def said_modified(entries: Mapping[str, str]) -> int | None:
    """When an object's writer says that it was modified: b2jobs, or rclone in either form."""
    millis = modified_millis(entries.get(MODIFIED_MILLIS))
    text = entries.get(MTIME, "")
    if millis is not None or not text:
        return millis
    try:
        if re.fullmatch(r"-?\d{1,12}(\.\d{1,12})?", text):
            whole, _, part = text.partition(".")
            millis = int(whole) * 1000 + int(part.ljust(3, "0")[:3] or 0)
        else:
            moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
            millis = round((moment.astimezone(UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return modified_millis(str(millis))


def said_sha1(entries: Mapping[str, str]) -> str | None:
    """The SHA-1 of an object's content, where its writer says it."""
    return sha1_hex(entries.get(LARGE_FILE_SHA1))


def rfc3339(millis: int) -> str:
    """A time as rclone writes it in the entries of Google's and Azure's objects."""
    moment = datetime.fromtimestamp(millis / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
