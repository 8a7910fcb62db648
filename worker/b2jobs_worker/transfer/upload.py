"""Put one file into a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from b2jobs.errors import CallerError, JobError, Wait
from b2jobs.for_people import masked
from b2jobs.locations import Location
from b2jobs.metadata import MODIFIED_MILLIS
from b2jobs.requests import IfExists, Upload
from b2jobs.requests.job import Listed
from b2jobs.results import TransferResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.encoding import decoded
from b2jobs_worker.sources.port import Source, is_digested, is_remote
from b2jobs_worker.transfer import checkpoint, committed, small, target
from b2jobs_worker.transfer import protection as protecting
from b2jobs_worker.transfer.committed import Committed
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.transfer.large import LargeUpload
from b2jobs_worker.transfer.target import NewFile

AUTOMATIC = "b2/x-auto"
_MOST_CARRIED = committed.MOST_ENTRIES - 2
"""Entries of a source's own metadata leave room for the job's mark and a large file's SHA-1."""


_CHANGED = "changed"
_PAUSES_SECONDS = (1.0, 3.0, 9.0)
"""Between the readings of a source that changes: after the last one the job fails."""


def upload(request: Upload, attempt: Attempt, context: Context) -> TransferResult:
    """Upload the request's source and return the version it made.

    The source is read once; with if_exists="skip" once more where the target exists or the
    file is large, for its digest, and with `hash_first` where it is large. Called again for
    the same job (a later attempt, on any worker) it goes on behind the last finished part of
    a large file, and returns an earlier attempt's version when there is one.

    Raises:
        JobError: whatever the source and B2 say; docs/errors.md lists the codes. With a
            `wait`, an unfinished large file is kept for the next attempt, else removed.
            A source that changes each time it is read, such as a log, is
            `source_keeps_changing` in the end.
        Interrupted: with `keep` false what is unfinished has been removed.
    """
    changes = int(attempt.journal.load().get(_CHANGED) or 0) if attempt.number > 1 else 0
    try:
        return _upload(request, attempt, context)
    except JobError as error:
        if error.code != "source_changed":
            raise
        if changes >= len(_PAUSES_SECONDS):
            raise _keeps_changing(masked(request.source), changes + 1) from error
        attempt.journal.record({_CHANGED: str(changes + 1)})
        error.wait = Wait("backoff", _PAUSES_SECONDS[changes])
        raise


def _keeps_changing(uri: str, times: int) -> CallerError:
    return CallerError(
        "source_keeps_changing",
        f"{uri} changed while it was read, {times} times in a row.",
        hint="Upload it once it is complete, or a copy of it; a sync or batch can exclude it.",
    )


def _upload(request: Upload, attempt: Attempt, context: Context) -> TransferResult:
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    file = request.target()
    client.require("writeFiles", *target.capabilities_for(request.if_exists), name=file.name)
    bucket = client.bucket(file.bucket)
    resuming = attempt.number > 1 and checkpoint.load(attempt.journal) is not None
    location: Location = request.source_location
    if request.encoded:
        location = decoded(location)
    with context.source(location, attempt, resuming=resuming) as source:
        attempt.permit.size(source.size)
        new, not_carried = _new(request, client, attempt, source, bucket, file.name)
        made = place(
            client,
            attempt,
            context,
            source,
            new,
            request.if_exists,
            hash_first=request.hash_first,
            listed=request.listed,
        )
        is_whole = not is_remote(source) or source.is_delimited
    if request.if_exists == "replace":
        committed.remove_older(client, attempt, bucket, made.version)
    return result(
        client,
        usage,
        made.version,
        made.sha1,
        kind="upload",
        bucket=bucket,
        unchanged=made.is_unchanged,
        resumed_bytes=made.resumed_bytes,
        verified=is_whole,
        not_carried=not_carried,
    )


@dataclass(frozen=True)
class Made:
    """The version that has the source's bytes, and whether it was there already."""

    version: FileVersion
    sha1: str | None
    is_unchanged: bool
    resumed_bytes: int


def place(
    client: B2Client,
    attempt: Attempt,
    context: Context,
    source: Source,
    new: NewFile,
    if_exists: IfExists,
    *,
    hash_first: bool = False,
    listed: Listed | None = None,
) -> Made:
    """Send *source* as *new*, or find that an earlier attempt or somebody else has.

    Raises:
        JobError, Interrupted: as `upload`.
    """
    large = LargeUpload(client, attempt, context, source)
    known = source.sha1 if is_digested(source) else None
    large.unfinished.believe(new.committed)
    standing = target.look(
        client,
        attempt,
        new,
        if_exists,
        size=source.size,
        sha1=lambda: known or large.known_sha1 or target.read_digest(source, attempt),
        left=large.unfinished.left,
        listed=listed,
    )
    version = standing.ours or standing.same
    if version is not None:
        sha1 = standing.sha1 or large.known_sha1 or version.sha1
    else:
        needs_digest = if_exists == "skip" or hash_first
        sha1 = standing.sha1 or known
        version, sha1 = _send(client, attempt, source, large, new, sha1, needs_digest=needs_digest)
    return Made(version, sha1, standing.same is not None, large.resumed_bytes)


def _new(
    request: Upload,
    client: B2Client,
    attempt: Attempt,
    source: Source,
    bucket: BucketName,
    name: str,
) -> tuple[NewFile, list[str]]:
    """What is to be made, and the names of what the source says and B2 cannot carry."""
    info, not_carried = request.put_into(request.info), list[str]()
    if source.modified_millis is not None:
        info.setdefault(MODIFIED_MILLIS, str(source.modified_millis))
    content_type = request.content_type
    if content_type == AUTOMATIC and source.content_type:
        content_type = source.content_type
    if is_remote(source):
        info, not_carried = source.carried.into(info, _MOST_CARRIED)
        info = request.put_into(info)  # a header that is named as empty is not carried
    own = Committed(client, attempt, bucket, name)
    protection = protecting.asked(request, client)
    return NewFile(bucket, name, content_type, own.marked(info), own, protection), not_carried


def _send(
    client: B2Client,
    attempt: Attempt,
    source: Source,
    large: LargeUpload,
    new: NewFile,
    known_sha1: str | None,
    *,
    needs_digest: bool,
) -> tuple[FileVersion, str]:
    limit = client.account().recommended_part_bytes
    if source.size is not None and source.size <= limit:
        return small.send(client, attempt, source, source.size, new)
    if needs_digest and known_sha1 is None:
        # Without it in the file's info, a later skip could not know this file again.
        known_sha1 = target.read_digest(source, attempt)
    return large.send(new if known_sha1 is None else new.with_digest(known_sha1))


def result(
    client: B2Client,
    usage: Usage,
    version: FileVersion,
    sha1: str | None,
    *,
    kind: str,
    bucket: BucketName,
    unchanged: bool,
    resumed_bytes: int = 0,
    verified: bool = True,
    not_carried: Sequence[str] = (),
) -> TransferResult:
    """What a job that made (or found) *version* says."""
    return TransferResult(
        **usage.fields(kind),
        url=client.url(bucket.name, version.name),
        uri=f"b2://{bucket.name}/{version.name}",
        file_id=version.file_id,
        bucket=bucket.name,
        name=version.name,
        size=version.size,
        sha1=sha1,
        verified=verified and sha1 is not None,
        content_type=version.content_type,
        uploaded_at=version.uploaded_at,
        status="unchanged" if unchanged else "transferred",
        resumed_bytes=resumed_bytes,
        not_carried=list(not_carried),
    )
