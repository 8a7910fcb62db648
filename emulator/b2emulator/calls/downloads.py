"""Downloads: who may, which version, which bytes, which headers. The bytes are wire/'s."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from b2emulator.access.grants import Grant
from b2emulator.access.tokens import ACCOUNT, DOWNLOAD
from b2emulator.calls import encryption, locks
from b2emulator.calls.call import grant_of
from b2emulator.calls.sharing import OVERRIDES, checked_override
from b2emulator.emulator import Emulator
from b2emulator.errors import (
    bad_auth_token,
    bad_file_id,
    not_found,
    range_not_satisfiable,
    unauthorized,
)
from b2emulator.file_ids import number_of
from b2emulator.journal import Entry
from b2emulator.names import HEADER_OF_INFO, percent_encode
from b2emulator.store.bodies import Content, cut
from b2emulator.store.buckets import Bucket
from b2emulator.store.versions import UPLOAD, Version

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


@dataclass(slots=True)
class DownloadCall:
    """One request for bytes."""

    emulator: Emulator
    token: str | None
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case names."""
    entry: Entry


@dataclass(frozen=True, slots=True)
class Download:
    """What to answer."""

    status: int
    headers: dict[str, str]
    content: Content
    length: int


def by_id(call: DownloadCall) -> Download:
    """b2_download_file_by_id."""
    file_id = call.query.get("fileId", "")
    if number_of(file_id) is None:
        raise bad_file_id("fileId", file_id)
    version = call.emulator.versions.find(file_id)
    if version is None or version.action != UPLOAD:
        raise not_found(f"File not present: {file_id}")
    bucket = call.emulator.buckets.by_id(version.bucket)
    if bucket is None:
        raise not_found(f"File not present: {file_id}")
    return _answer(call, version, _authorise(call, bucket, version.name), bucket)


def by_name(call: DownloadCall, bucket_name: str, name: str) -> Download:
    """b2_download_file_by_name: the visible version of a name."""
    bucket = call.emulator.buckets.by_name(bucket_name)
    call.entry.bucket, call.entry.name = bucket_name, name
    if bucket is None:
        raise not_found(f"Bucket does not exist: {bucket_name}")
    grant = _authorise(call, bucket, name)
    version = call.emulator.versions.visible(bucket.id, name)
    if version is None:
        raise not_found("File with such name does not exist.")
    return _answer(call, version, grant, bucket)


def _authorise(call: DownloadCall, bucket: Bucket, name: str) -> Grant | None:
    """Who asks; None for somebody unknown at a public bucket."""
    token = call.token or call.query.get("Authorization")
    if token is None:
        if bucket.is_public:
            return None
        raise unauthorized("unauthorized: the bucket is private")
    claims = call.emulator.tokens.read(token, ACCOUNT, DOWNLOAD)
    if claims["kind"] == ACCOUNT:
        grant = grant_of(call.emulator, token)
        call.entry.key_id = grant.key.id
        if not bucket.is_public:
            grant.require_in("readFiles", bucket.id, name)
        return grant
    key = call.emulator.keys.find(claims["key"])
    if key is None:
        raise bad_auth_token("The application key of this token was deleted")
    call.entry.key_id = key.id
    if claims["bucket"] != bucket.id or not name.startswith(claims["prefix"]):
        raise unauthorized("unauthorized: the download authorization is for other files")
    for parameter, value in claims["fixed"].items():
        if call.query.get(parameter) != value:
            raise unauthorized(f"unauthorized: {parameter} must be {value}")
    return None


def _answer(call: DownloadCall, version: Version, grant: Grant | None, bucket: Bucket) -> Download:
    call.entry.file_id, call.entry.name, call.entry.bucket = (
        *(version.file_id, version.name),
        bucket.name,
    )
    encryption.check_readable(version.encryption, encryption.from_headers(call.headers))
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": version.content_type or "application/octet-stream",
        "X-Bz-File-Id": version.file_id,
        "X-Bz-File-Name": percent_encode(version.name),
        "X-Bz-Content-Sha1": version.sha1 or "none",
        "X-Bz-Upload-Timestamp": str(version.millis),
        **encryption.as_headers(version.encryption),
        **(locks.as_headers(version, grant) if bucket.lock_enabled else {}),
    }
    for key, value in version.info.items():
        if key in HEADER_OF_INFO:
            headers[HEADER_OF_INFO[key]] = value
        else:
            headers[f"X-Bz-Info-{key}"] = percent_encode(value)
    for parameter, header in OVERRIDES.items():
        if (override := call.query.get(parameter)) is not None:
            headers[header] = checked_override(parameter, override)
    first, length = _range(call.headers.get("range"), version.size)
    status = 200
    if first is not None:
        status = 206
        headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{version.size}"
    start = first or 0
    call.entry.range = [start, start + length - 1]
    return Download(status, headers, cut(version.content, start, length), length)


def _range(header: str | None, size: int) -> tuple[int | None, int]:
    """(first byte or None for the whole, length). A header that is no byte range is ignored."""
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or not (match[1] or match[2]):
        return None, size
    last = _position(match[2]) if match[2] else size - 1
    if not match[1]:
        length = min(last, size)
        if not length:
            raise range_not_satisfiable()
        return size - length, length
    first = _position(match[1])
    if match[2] and last < first:
        return None, size
    if first >= size:
        raise range_not_satisfiable()
    return first, min(last, size - 1) - first + 1


def _position(text: str) -> int:
    """A number of bytes; one of a thousand digits is as good as one beyond any file."""
    return int(text) if len(text) <= 18 else 10**18
