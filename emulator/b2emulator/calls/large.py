"""Calls about large files, other than the bytes of their parts."""

from __future__ import annotations

from b2emulator.calls import encryption, locks
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.calls.files import shown
from b2emulator.calls.shapes import NO_SHA1
from b2emulator.errors import B2Error, bad_file_id, bad_request, no_active_upload, unauthorized
from b2emulator.file_ids import MAX_MILLIS, number_of
from b2emulator.names import check_file_info, check_file_name, is_header_safe
from b2emulator.store.parts import Part
from b2emulator.store.versions import START, Version

MAX_LISTED = 1000
MAX_TYPE_LENGTH = 256
UNVERIFIED = "unverified:"


def started(call: Call, field: str = "fileId") -> Version:
    """The unfinished large file a request names. Raises bad_request when it is not one."""
    version = call.version("writeFiles", field, missing=no_active_upload)
    if version.action != START:
        raise no_active_upload(version.file_id)
    return version


@b2_call
def b2_start_large_file(call: Call) -> Json:
    """Begin a large file; its name, type, info and lock are fixed from here on."""
    params = call.params
    name = check_file_name(params.text("fileName"))
    call.entry.name = name
    bucket = call.bucket("writeFiles", name=name)
    kind = encryption.from_json(params.object("serverSideEncryption"))
    kind = kind or encryption.bucket_default(bucket.encryption)
    strict = kind is not None or bucket.lock_enabled
    lock = locks.wanted(
        params.object("fileRetention"), params.optional_text("legalHold"), bucket, call.grant
    )
    millis = None
    for field in ("customUploadTimestamp", "custom_upload_timestamp"):
        if params.has(field):
            millis = params.number(field, None, 0, MAX_MILLIS)
    version = Version(
        bucket.id,
        name,
        START,
        sha1=NO_SHA1,
        content_type=content_type(params.text("contentType"), name),
        info=check_file_info(params.object("fileInfo") or {}, name, strict=strict),
        encryption=kind,
        retention_mode=lock.mode,
        retain_until=lock.until,
        legal_hold=lock.hold,
    )
    version = call.emulator.versions.add(version, millis=millis)
    call.note(version)
    return shown(call, version)


def content_type(given: str, name: str) -> str:
    """`b2/x-auto` is the type of the name's ending."""
    if not given or not is_header_safe(given) or len(given) > MAX_TYPE_LENGTH:
        raise bad_request(f"Bad contentType: {given[:MAX_TYPE_LENGTH]!r}")
    if given != "b2/x-auto":
        return given
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


@b2_call
def b2_finish_large_file(call: Call) -> Json:
    """Make one file of the parts 1 to n, whose SHA-1s the caller repeats in order."""
    version = started(call)
    settings = call.emulator.settings
    given = call.params.texts("partSha1Array")
    if not given:
        raise bad_request("required field partSha1Array is missing")
    if len(given) < 2:
        raise bad_request("large files must have at least 2 parts")
    parts = call.emulator.parts.of(version.number)
    by_number = {part.number: part for part in parts}
    for number, sha1 in enumerate(given, 1):
        part = by_number.get(number)
        if part is None:
            raise B2Error(400, "missing_part", f"Part number {number} has not been uploaded")
        if part.sha1.removeprefix(UNVERIFIED) != sha1.lower():
            raise B2Error(
                400, "part_sha1_mismatch", f"Part number {number} has SHA1 {part.sha1}, not {sha1}"
            )
    if len(parts) > len(given):
        raise B2Error(
            *(400, "part_sha1_mismatch"),
            f"{len(parts)} parts were uploaded, partSha1Array has {len(given)}",
        )
    if sum(part.size for part in parts) > settings.max_file_bytes:
        raise bad_request(f"The parts are over {settings.max_file_bytes} bytes together")
    smallest = settings.min_part_size_bytes
    for part in parts[:-1]:
        if part.size < smallest:
            raise bad_request(f"Part number {part.number} is smaller than {smallest} bytes")
    return shown(call, call.emulator.parts.finish(version, parts))


@b2_call
def b2_cancel_large_file(call: Call) -> Json:
    """Forget a large file and its parts."""
    version = started(call)
    call.emulator.versions.remove(version)
    return {
        "accountId": call.emulator.account_id,
        "bucketId": version.bucket,
        "fileId": version.file_id,
        "fileName": version.name,
    }


def part_json(part: Part, version: Version, api_version: int) -> Json:
    """A part as it was uploaded, copied or listed."""
    shown_part: Json = {
        "contentLength": part.size,
        "contentMd5": part.md5,
        "contentSha1": part.sha1,
        "fileId": version.file_id,
        "partNumber": part.number,
        "uploadTimestamp": part.millis,
    }
    if api_version >= 2:
        shown_part["serverSideEncryption"] = encryption.as_json(version.encryption)
    return shown_part


@b2_call
def b2_list_parts(call: Call) -> Json:
    """The parts uploaded so far, by number."""
    version = started(call)
    start = call.params.number("startPartNumber", 1, 0, 10_000)
    limit = call.params.number("maxPartCount", 100, 0, MAX_LISTED) or 100
    parts = call.emulator.parts.of(version.number, start, limit + 1)
    return {
        "parts": [part_json(part, version, call.api_version) for part in parts[:limit]],
        "nextPartNumber": parts[limit].number if len(parts) > limit else None,
    }


@b2_call
def b2_list_unfinished_large_files(call: Call) -> Json:
    """Large files that were started, in that order."""
    bucket = call.bucket("listFiles")
    params = call.params
    prefix = params.optional_text("namePrefix") or params.optional_text("prefix") or ""
    if not call.grant.key.may_use_name(prefix):
        raise unauthorized(f"unauthorized: namePrefix must start with {call.grant.key.name_prefix}")
    start_id = params.optional_text("startFileId")
    start = 0 if start_id is None else number_of(start_id)
    if start is None:
        raise bad_file_id("startFileId", start_id)
    limit = params.number("maxFileCount", 100, 0, 100) or 100
    files = call.emulator.listings.unfinished(bucket.id, prefix, start, limit + 1)
    return {
        "files": [shown(call, version) for version in files[:limit]],
        "nextFileId": files[limit].file_id if len(files) > limit else None,
        "nextFileName": None,
    }
