"""Uploads in one call: the whole file in memory, or streamed with its digest at the end."""

from __future__ import annotations

import hashlib

from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.failures import check_digest, source_changed
from b2jobs_worker.sources.local import LocalStream
from b2jobs_worker.sources.port import Source, check_unchanged, is_descriptor, is_digested
from b2jobs_worker.transfer.body import DIGITS_AT_END, DIGITS_BYTES, BufferBody, SourceBody
from b2jobs_worker.transfer.committed import Content
from b2jobs_worker.transfer.target import NewFile

WHOLE_BYTES = 256 * 1024
"""Up to this size a file is read at once and sent with its headers."""


def send(
    client: B2Client, attempt: Attempt, source: Source, size: int, new: NewFile
) -> tuple[FileVersion, str]:
    """Upload *source*, which has *size* bytes, in one call; returns its SHA-1 too."""
    if size <= WHOLE_BYTES:
        content = _read_whole(source, size, attempt)
        check_unchanged(source)
        if is_digested(source):
            check_digest(source, hashlib.sha1(content, usedforsecurity=False).hexdigest())
        return send_content(client, attempt, content, new)

    def before_commit() -> None:
        check_unchanged(source)
        check_digest(source, body.sha1)
        attempt.guard()

    new.committed.before_first_try()
    body = SourceBody(source, size, attempt, before_commit)
    version = client.upload_file(
        new.bucket,
        new.name,
        body,
        length=size + DIGITS_BYTES,
        sha1=DIGITS_AT_END,
        content_type=new.content_type,
        info=new.info,
        protection=new.protection,
        in_doubt=lambda: new.committed.find(Content(size, body.sha1)) if body.is_complete else None,
    )
    return version, body.sha1


def send_content(
    client: B2Client, attempt: Attempt, content: bytes | memoryview, new: NewFile
) -> tuple[FileVersion, str]:
    """Upload *content*; returns its SHA-1 too."""
    size = len(content)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    body: bytes | BufferBody
    if isinstance(content, bytes):
        body = content
    else:
        body = BufferBody(content, attempt, lambda sent: attempt.progress("sending", sent, size))
    new.committed.before_first_try()
    attempt.guard()
    version = client.upload_file(
        new.bucket,
        new.name,
        body,
        length=size,
        sha1=sha1,
        content_type=new.content_type,
        info=new.info,
        protection=new.protection,
        in_doubt=lambda: new.committed.find(Content(size, sha1)),
    )
    attempt.progress("sending", size, size)
    return version, sha1


def _read_whole(source: Source, size: int, attempt: Attempt) -> bytes:
    if is_descriptor(source):
        # Nobody has to be woken out of this; and one that has grown is not unchanged.
        content = LocalStream(source.fileno(), source.uri, 0).read(size)
        if len(content) != size:
            raise source_changed(source.uri)
        return content
    pieces: list[bytes] = []
    got = 0
    with source.open() as stream, attempt.on_interrupt(stream.close):
        # One byte more than there should be: the end is seen, or the source has grown.
        while got <= size and (piece := stream.read(size + 1 - got)):
            pieces.append(piece)
            got += len(piece)
    if got != size:
        raise source_changed(source.uri)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
