"""Fetch one file, or look into a small one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from dataclasses import replace
from typing import Any

from b2jobs.errors import CallerError, JobError
from b2jobs.locations import INLINE_LIMIT_BYTES, B2File, B2Version, Location
from b2jobs.requests import Download
from b2jobs.results import TransferResult
from b2jobs_worker.attempt import Attempt, Interrupted
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.errors import customer_key_needed, customer_key_wrong, file_not_found
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.encoding import decoded
from b2jobs_worker.sources.failures import destination_changed
from b2jobs_worker.sources.port import Sink
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.transfer.download_large import LargeDownload, Received
from b2jobs_worker.transfer.ranges import (
    Window,
    checksum_differs,
    checksum_mismatch,
    opened,
    thread_buffer,
)
from b2jobs_worker.transfer.store_download import StoreDownload
from b2jobs_worker.transfer.target import shown


def download(request: Download, attempt: Attempt, context: Context) -> TransferResult:
    """Download the request's file and return what it was.

    The bytes are written beside the target, compared with the file's SHA-1 where B2 has
    one, and renamed into place. Without one (a large file by a tool that gave none, or a
    range) the result says verified false, with the digest of what has arrived. Called
    again for the same job on the same disk, it goes on behind what was verified to be there.

    Raises:
        JobError: docs/errors.md lists the codes; `checksum_mismatch` is tried again.
        Interrupted: with `keep` false the part file has been removed.
    """
    client = context.client(request.account, attempt, request.customer_key)
    usage = Usage(client, attempt)
    location = request.source_location
    name = location.name if isinstance(location, B2File) else None
    account = client.require("readFiles", name=name)
    if isinstance(location, B2File):
        allowed = account.allowed_buckets
        if allowed is not None:
            client.bucket(location.bucket)
        url = client.url(location.bucket, location.name)
    else:
        url = str(account.session.get_download_url_by_id(location.file_id))
    window = Window(*(request.byte_range() or (0, None)))
    try:
        try:
            return _download(request, attempt, context, client, usage, location, url, window)
        except JobError as error:
            if error.code not in ("access_denied", "bad_request", "customer_key_needed"):
                raise
            if not _needs_no_key(client, location, error):
                raise
        return _download(request, attempt, context, client, usage, location, url, window)
    except CallerError as error:
        # B2's answer does not say which.
        if error.code == "file_not_found":
            raise file_not_found(request.source) from error
        raise


def _needs_no_key(client: B2Client, location: B2File | B2Version, error: JobError) -> bool:
    """Whether the file that was refused with *error* is read without the key that was given.

    Then the client has no key any more. Raises which key is missing or wrong, which B2's refusal
    does not say.
    """
    if isinstance(location, B2Version):
        version = client.version(location.file_id)
    else:
        version = client.latest(client.bucket(location.bucket), location.name)
    given, client.customer_key = client.customer_key, None
    if version is not None and version.has_customer_key:
        if given is None:
            raise customer_key_needed(str(location), version.key_name) from error
        name = given.key_name
        raise customer_key_wrong(str(location), name, version.key_name) from error
    return version is not None and given is not None


def _download(
    request: Download,
    attempt: Attempt,
    context: Context,
    client: B2Client,
    usage: Usage,
    location: B2File | B2Version,
    url: str,
    window: Window,
) -> TransferResult:
    if request.destination is None:
        version, content = _inline(client, url, window, request)
        fields = _inline_fields(request, attempt, content, version, window)
        return _result(client, usage, version, fields, location, url)
    destination: Location = request.destination_location
    if request.encoded:
        destination = decoded(destination)
    target = context.open_target(destination, attempt.checkpoint)
    not_carried: list[str] = []
    if target is not None:
        into_store = StoreDownload(client, attempt, context, target, request)
        fetched, not_carried = into_store.run(url), into_store.not_carried
    else:
        sink = context.open_sink(destination, attempt.job_id, request.replaces)
        with contextlib.closing(sink):
            fetched = _into(sink, request, client, attempt, context, url, window)
    fields = {
        "uri": str(destination),
        "not_carried": not_carried,
        "size": fetched.size,
        "sha1": fetched.sha1,
        "verified": fetched.verified,
        "resumed_bytes": fetched.resumed_bytes,
        "status": "unchanged" if fetched.is_unchanged else "transferred",
    }
    return _result(client, usage, fetched.version, fields, location, url)


def _into(
    sink: Sink,
    request: Download,
    client: B2Client,
    attempt: Attempt,
    context: Context,
    url: str,
    window: Window,
) -> Received:
    standing = _standing(sink, request, client, attempt, url, window)
    if standing is not None:
        return standing
    try:
        fetched = LargeDownload(client, attempt, context, sink, window, verify=request.verify).run(
            url
        )
        attempt.guard()
        sink.commit(None if request.range else _modified_millis(fetched.version))
    except Interrupted as error:
        if not error.keep:
            sink.discard()
        raise
    except CallerError:
        sink.discard()
        raise
    return fetched


def _modified_millis(version: FileVersion) -> int | None:
    """The file's time: the uploader's, else when it was uploaded, as b2 sync and rclone do."""
    said = version.modified_millis
    return said if said is not None else version.uploaded_millis or None


def _standing(
    sink: Sink, request: Download, client: B2Client, attempt: Attempt, url: str, window: Window
) -> Received | None:
    """What is at the target already, when that ends the job."""
    replaces = request.replaces
    if replaces is not None and sink.identity() != replaces:
        standing = _same(sink, client, url, window)
        if standing is None:
            raise destination_changed(sink.uri)
        # An earlier attempt of this very job has put it there, unless this is the first.
        return replace(standing, is_unchanged=attempt.number == 1)
    if request.if_exists == "replace" or not sink.exists():
        return None
    if request.if_exists == "fail" and attempt.number == 1:
        raise _exists(sink)
    if request.range:
        standing = None
    else:
        standing = _as_listed(sink, request) or _same(sink, client, url, window)
    if standing is None and request.if_exists == "fail":
        raise _exists(sink)
    return standing


def _as_listed(sink: Sink, request: Download) -> Received | None:
    """The target, where it has the bytes that a batch's listing has shown of the source."""
    location = request.source_location
    name = location.name if isinstance(location, B2File) else ""
    version = shown(request.listed, name)
    if version is None or version.sha1 is None or sink.sha1() != version.sha1:
        return None
    return Received(version, version.sha1, version.size, verified=True, is_unchanged=True)


def _same(sink: Sink, client: B2Client, url: str, window: Window) -> Received | None:
    """The target, where it has the file's bytes."""
    with opened(client, url, window.first, window.first) as arriving:
        version = arriving.version
    own = sink.sha1()
    if own is None or own != version.sha1:
        return None
    return Received(version, own, version.size, verified=True, is_unchanged=True)


def _exists(sink: Sink) -> CallerError:
    return CallerError(
        "destination_exists",
        f"{sink.uri} exists already.",
        hint="Choose another destination, or another if_exists.",
    )


def _inline(
    client: B2Client, url: str, window: Window, request: Download
) -> tuple[FileVersion, bytes]:
    with opened(client, url, window.first, window.last) as arriving:
        version = arriving.version
        length = window.length(version.size)
        if length > INLINE_LIMIT_BYTES:
            raise CallerError(
                "too_large_inline",
                f"{request.source} would give {length} bytes; {INLINE_LIMIT_BYTES} can be "
                "returned in a result.",
                hint="Give a destination, or a range.",
            )
        buffer = thread_buffer()
        content = bytearray()
        while count := arriving.readinto(buffer):
            content += buffer[:count]
    return version, bytes(content)


def _inline_fields(
    request: Download, attempt: Attempt, content: bytes, version: FileVersion, window: Window
) -> dict[str, Any]:
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    whole = window.first == 0 and len(content) == version.size
    if request.verify and whole and version.sha1 not in (None, sha1):
        if attempt.number > 1:
            raise checksum_differs(version.name, str(version.sha1), sha1)
        raise checksum_mismatch(version.name)
    try:
        text, encoding = content.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(content).decode(), "base64"
    return {
        "size": len(content),
        "sha1": sha1,
        "verified": whole and version.sha1 == sha1,
        "content": text,
        "encoding": encoding,
    }


def _result(
    client: B2Client,
    usage: Usage,
    version: FileVersion,
    fields: dict[str, Any],
    location: B2File | B2Version,
    url: str,
) -> TransferResult:
    bucket = location.bucket if isinstance(location, B2File) else ""
    if isinstance(location, B2File) and version.name != location.name:
        url = client.url(bucket, version.name)
    return TransferResult(
        **usage.fields("download"),
        url=url,
        file_id=version.file_id,
        bucket=bucket,
        name=version.name,
        content_type=version.content_type,
        uploaded_at=version.uploaded_at,
        **{"uri": str(location), **fields},
    )
