"""Uploading bytes: the URLs for it, whole files, and parts."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from b2emulator.access.grants import Grant
from b2emulator.access.tokens import UPLOAD, UPLOAD_PART
from b2emulator.calls import encryption, locks
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.calls.large import UNVERIFIED, content_type, part_json, started
from b2emulator.calls.params import digits
from b2emulator.calls.shapes import file_json
from b2emulator.emulator import Emulator
from b2emulator.errors import bad_auth_token, bad_bucket_id, bad_request, no_active_upload
from b2emulator.faults.effects import Effects
from b2emulator.file_ids import MAX_MILLIS
from b2emulator.journal import Entry
from b2emulator.names import check_file_info, check_file_name, percent_decode
from b2emulator.store.bodies import NewBody
from b2emulator.store.versions import START, Version
from b2emulator.store.versions import UPLOAD as UPLOADED
from b2emulator.store.writer import BodyWriter

AT_END, DO_NOT_VERIFY, DIGEST_BYTES = "hex_digits_at_end", "do_not_verify", 40
INFO_PREFIX = "x-bz-info-"
TIMESTAMP_HEADER = "x-bz-custom-upload-timestamp"
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")


@dataclass(slots=True)
class UploadCall:
    """One request with bytes in its body."""

    emulator: Emulator
    api_version: int
    target: str
    """Bucket id or file id, from the URL."""
    token: str | None
    headers: Mapping[str, str]
    """Lower-case names."""
    length: int | None
    body: AsyncIterator[bytes]
    entry: Entry
    effects: Effects | None


@b2_call
def b2_get_upload_url(call: Call) -> Json:
    """A URL and a token for one upload at a time."""
    bucket = call.bucket("writeFiles")
    token = _token(call, UPLOAD, bucket.id)
    return {
        "bucketId": bucket.id,
        "uploadUrl": _url(call, "b2_upload_file", bucket.id),
        "authorizationToken": token,
    }


@b2_call
def b2_get_upload_part_url(call: Call) -> Json:
    """The same for parts of one large file."""
    version = started(call)
    token = _token(call, UPLOAD_PART, version.file_id)
    return {
        "fileId": version.file_id,
        "uploadUrl": _url(call, "b2_upload_part", version.file_id),
        "authorizationToken": token,
    }


def _token(call: Call, kind: str, target: str) -> str:
    seconds = call.emulator.settings.upload_token_seconds
    return call.emulator.tokens.make(kind, seconds, target=target, key=call.grant.key.id)


def _url(call: Call, name: str, target: str) -> str:
    place = f"c001_v0001000_t{secrets.randbelow(10_000):04d}"
    return f"{call.base_url}/b2api/v{call.api_version}/{name}/{target}/{place}"


async def upload_file(call: UploadCall) -> Json:
    """b2_upload_file: one version from one body. Nothing is visible before all of it is here."""
    with _holding(call, UPLOAD) as grant:
        emulator, headers = call.emulator, call.headers
        bucket = emulator.buckets.by_id(call.target)
        if bucket is None:
            raise bad_bucket_id(call.target)
        name = check_file_name(percent_decode(_header(headers, "x-bz-file-name")))
        call.entry.name, call.entry.bucket = name, bucket.name
        grant.require_in("writeFiles", bucket.id, name)
        kind = encryption.from_headers(headers) or encryption.bucket_default(bucket.encryption)
        info = {
            key.removeprefix(INFO_PREFIX): percent_decode(value)
            for key, value in headers.items()
            if key.startswith(INFO_PREFIX)
        }
        lock = locks.from_headers(headers, bucket, grant)
        given = headers.get(TIMESTAMP_HEADER)
        millis = None if given is None else digits(given, TIMESTAMP_HEADER, MAX_MILLIS)
        version = Version(
            bucket.id,
            name,
            UPLOADED,
            content_type=content_type(_header(headers, "content-type"), name),
            info=check_file_info(info, name, strict=kind is not None or bucket.lock_enabled),
            encryption=kind,
            retention_mode=lock.mode,
            retain_until=lock.until,
            legal_hold=lock.hold,
        )
        async with _receiving(call) as got:
            if emulator.buckets.by_id(bucket.id) is None:
                raise bad_bucket_id(bucket.id)  # deleted while the body arrived
            version = replace(version, size=got.body.size, sha1=got.sha1, md5=got.md5)
            version = emulator.versions.add(version, got.body, millis)
        call.entry.file_id = version.file_id
        return file_json(version, emulator.account_id, grant, bucket, call.api_version)


async def upload_part(call: UploadCall) -> Json:
    """b2_upload_part: a part sent again replaces the one before."""
    with _holding(call, UPLOAD_PART) as grant:
        emulator = call.emulator
        version = _started(call)
        grant.require_in("writeFiles", version.bucket, version.name)
        bucket = emulator.buckets.by_id(version.bucket)
        call.entry.file_id, call.entry.name = version.file_id, version.name
        call.entry.bucket = bucket.name if bucket else None
        text, most = _header(call.headers, "x-bz-part-number"), emulator.settings.max_part_count
        number = digits(text, "x-bz-part-number", most)
        if not number:
            raise bad_request(f"Part number must be in range 1 - {most}")
        encryption.check_part(version.encryption, encryption.from_headers(call.headers))
        async with _receiving(call, least=1) as got:
            _started(call)  # it may have been finished or cancelled while the part arrived
            part = emulator.parts.put(
                version.number, number, got.body.size, got.sha1, got.md5, got.body
            )
        return part_json(part, version, call.api_version)


def _started(call: UploadCall) -> Version:
    version = call.emulator.versions.find(call.target)
    if version is None or version.action != START:
        raise no_active_upload(call.target)
    return version


@contextmanager
def _holding(call: UploadCall, kind: str) -> Iterator[Grant]:
    """The upload token, for this upload alone; any error answer ends the token."""
    if not call.token:
        raise bad_auth_token("Authorization header is missing")
    tokens = call.emulator.tokens
    claims = tokens.read(call.token, kind)
    if claims["target"] != call.target:
        raise bad_auth_token("The upload token is for another URL")
    effects = call.effects
    with tokens.one_upload(call.token):
        if effects is not None and effects.error is not None:
            raise effects.error
        key = call.emulator.keys.find(claims["key"])
        if key is None:
            raise bad_auth_token("The application key of this token was deleted")
        call.entry.key_id = key.id
        yield Grant(key)
        if effects is not None and effects.error_after_call is not None:
            raise effects.error_after_call


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise bad_request(f"Missing header: {name}")
    return value


@dataclass(frozen=True, slots=True)
class Received:
    """A body that is complete and whose checksum matched."""

    body: NewBody
    sha1: str
    md5: str | None


@asynccontextmanager
async def _receiving(call: UploadCall, least: int = 0) -> AsyncIterator[Received]:
    """Read and verify the body; an error, here or in the block, removes what was written."""
    claimed = _header(call.headers, "x-bz-content-sha1")
    at_end = claimed == AT_END
    if not at_end and claimed != DO_NOT_VERIFY and not _SHA1.fullmatch(claimed):
        raise bad_request(f"Bad X-Bz-Content-Sha1: {claimed}")
    size = _size(call, DIGEST_BYTES if at_end else 0, least)
    settings = call.emulator.settings
    writer = BodyWriter(
        *(call.emulator.bodies, size), discard=settings.discard_bodies, md5=settings.content_md5
    )
    try:
        tail = b""
        left = size
        async for data in call.body:
            wanted = data if len(data) <= left else data[:left]
            tail += data[len(wanted) :]
            left -= len(wanted)
            if wanted:
                await writer.write(wanted)
        if left or len(tail) != (DIGEST_BYTES if at_end else 0):
            raise ConnectionResetError("the client went away in the middle of a body")
        sha1, body, md5 = await writer.finish()
        expected = tail.decode("ascii", "replace") if at_end else claimed
        wrong = call.effects is not None and call.effects.reject_checksum
        if wrong or (expected.lower() != sha1 and claimed != DO_NOT_VERIFY):
            raise bad_request("Sha1 did not match data received")
        yield Received(body, UNVERIFIED + sha1 if claimed == DO_NOT_VERIFY else sha1, md5)
    except BaseException:
        await writer.abort()
        raise


def _size(call: UploadCall, extra: int, least: int) -> int:
    if call.length is None:
        raise bad_request("Missing header: Content-Length")
    size = call.length - extra
    if size < least:
        raise bad_request(f"Content-Length {call.length} is too small")
    if size > call.emulator.settings.max_upload_bytes:
        raise bad_request(f"Content-Length {call.length} is over the limit of one upload")
    return size
