"""Copies inside the server: no body moves, the new version shares the bytes of the old one."""

from __future__ import annotations

import re

from b2emulator.calls import encryption, locks
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.calls.files import shown
from b2emulator.calls.large import UNVERIFIED, content_type, part_json, started
from b2emulator.calls.shapes import NO_SHA1
from b2emulator.errors import bad_request, not_found, range_not_satisfiable, source_too_large
from b2emulator.names import check_file_info, check_file_name
from b2emulator.store.bodies import Content, cut
from b2emulator.store.versions import UPLOAD, Version

_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")


def _source(call: Call) -> tuple[Version, Content, int]:
    """The source version, and the piece of it the request wants."""
    version = call.version(
        "readFiles", "sourceFileId", lambda i: not_found(f"File not present: {i}")
    )
    if version.action != UPLOAD:
        raise not_found(f"File not present: {version.file_id}")
    given = encryption.from_json(call.params.object("sourceServerSideEncryption"))
    encryption.check_readable(version.encryption, given)
    start, length = 0, version.size
    text = call.params.optional_text("range")
    if text is not None:
        match = _RANGE.fullmatch(text)
        if match is None or int(match[1]) > int(match[2]):
            raise bad_request(f"Bad range: {text[:80]}")
        start, length = int(match[1]), int(match[2]) - int(match[1]) + 1
        if start + length > version.size:
            raise range_not_satisfiable()
    if length > call.emulator.settings.max_upload_bytes:
        raise source_too_large(length)
    return version, cut(version.content, start, length), length


async def _digests(call: Call, content: Content) -> tuple[str, str]:
    """(SHA-1, MD5) of a piece, whose source is still there when they are known."""
    try:
        return await call.emulator.reader.digests(content)
    except FileNotFoundError:
        return "", ""
    finally:
        _source(call)


@b2_call
async def b2_copy_file(call: Call) -> Json:
    """A new version from an old one, whole or a range; action is `copy` in this answer only."""
    params = call.params
    name = check_file_name(params.text("fileName"))
    source, content, length = _source(call)
    field = "destinationBucketId"
    if not params.has(field):
        params.fields[field] = source.bucket
    bucket = call.bucket("writeFiles", field, name)
    directive = params.optional_text("metadataDirective") or "COPY"
    kind = encryption.from_json(params.object("destinationServerSideEncryption"))
    kind = kind or encryption.bucket_default(bucket.encryption)
    strict = kind is not None or bucket.lock_enabled
    if directive == "COPY":
        if params.has("contentType") or params.has("fileInfo"):
            raise bad_request("contentType and fileInfo are only for metadataDirective REPLACE")
        type_, info = source.content_type, source.info
    elif directive == "REPLACE":
        if not params.has("contentType"):
            raise bad_request("contentType is required for metadataDirective REPLACE")
        type_ = content_type(params.text("contentType"), name)
        info = check_file_info(params.object("fileInfo") or {}, name, strict=strict)
    else:
        raise bad_request(f"Invalid metadataDirective: {directive}")
    lock = locks.wanted(
        params.object("fileRetention"), params.optional_text("legalHold"), bucket, call.grant
    )
    sha1, md5 = source.sha1, source.md5
    if length != source.size:
        sha1, md5 = await _digests(call, content)
    version = Version(
        bucket.id,
        name,
        UPLOAD,
        size=length,
        sha1=sha1,
        md5=md5,
        content_type=type_,
        info=info,
        encryption=kind,
        retention_mode=lock.mode,
        retain_until=lock.until,
        legal_hold=lock.hold,
        content=content,
    )
    version = call.emulator.versions.add(version)
    call.note(version)
    return {**shown(call, version), "action": "copy"}


@b2_call
async def b2_copy_part(call: Call) -> Json:
    """A part of a large file from a range of another file."""
    number = call.params.number("partNumber", None, 1, call.emulator.settings.max_part_count)
    source, content, length = _source(call)
    if not length:
        raise bad_request("a part has at least 1 byte")
    version = started(call, "largeFileId")
    given = encryption.from_json(call.params.object("destinationServerSideEncryption"))
    encryption.check_part(version.encryption, given)
    sha1, md5 = source.sha1, source.md5
    if length != source.size or sha1 in (None, NO_SHA1):
        sha1, md5 = await _digests(call, content)
        version = started(call, "largeFileId")  # it may have been cancelled meanwhile
    call.entry.part = number
    part = call.emulator.parts.put(
        *(version.number, number, length, (sha1 or "").removeprefix(UNVERIFIED), md5), content
    )
    return part_json(part, version, call.api_version)
