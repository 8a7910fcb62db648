"""Copy one file inside B2, of any size; its bytes do not pass through the worker."""

from __future__ import annotations

from b2jobs import locations
from b2jobs.errors import CallerError
from b2jobs.locations import B2File, B2Version
from b2jobs.metadata import LARGE_FILE_SHA1
from b2jobs.requests import Copy
from b2jobs.results import TransferResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.b2.versions import JOB_TAG, FileVersion
from b2jobs_worker.transfer import committed, target
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.transfer.copy_large import LargeCopy
from b2jobs_worker.transfer.target import NewFile
from b2jobs_worker.transfer.upload import result

ONE_CALL_BYTES = 5_000_000_000
"""b2_copy_file makes files below this size; above it, parts are copied."""

_INFO_LIMIT = 10


def copy(request: Copy, attempt: Attempt, context: Context) -> TransferResult:
    """Copy the request's source and return the version it made.

    Type and info are the source's unless the request replaces them; its digest is carried.
    The copy also says which job made it, so that a later attempt finds it, as long as the
    ten entries B2 allows are not full. `verified` is false: B2 copied, nothing was compared.

    Raises:
        JobError: docs/errors.md lists the codes.
        Interrupted: with `keep` false what is unfinished has been removed.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    destination = locations.parse(request.destination)
    assert isinstance(destination, B2File)
    client.require(
        "readFiles",
        "writeFiles",
        *target.capabilities_for(request.if_exists),
        name=destination.name,
    )
    bucket = client.bucket(destination.bucket)
    large = LargeCopy(client, attempt, context)
    source = _source(client, request)
    standing = target.look(
        client,
        attempt,
        bucket,
        destination.name,
        request.if_exists,
        size=source.size,
        sha1=lambda: source.sha1,
        keep=large.file_id,
        began=large.has_begun,
    )
    there = standing.ours or standing.same
    if there is None:
        new = _new(request, attempt, bucket, destination.name, source)
        if source.size < ONE_CALL_BYTES:
            attempt.progress("copying", 0, source.size)
            attempt.guard()
            version = client.copy_file(
                source.file_id,
                bucket,
                new.name,
                content_type=new.content_type,
                info=new.info,
                in_doubt=lambda: committed.find(client, attempt, bucket, new.name),
            )
        else:
            version = large.send(new, source)
    else:
        version = there
    if request.if_exists == "replace":
        committed.remove_older(client, attempt, bucket, version)
    return result(
        client,
        usage,
        version,
        version.sha1 or source.sha1,
        kind="copy",
        bucket=bucket,
        unchanged=standing.same is not None,
        verified=False,
        resumed_bytes=large.resumed_bytes,
    )


def _source(client: B2Client, request: Copy) -> FileVersion:
    location = locations.parse(request.source)
    if isinstance(location, B2Version):
        version = client.version(location.file_id)
    else:
        assert isinstance(location, B2File)
        version = client.latest(client.bucket(location.bucket), location.name)
    if version is None:
        raise file_not_found(request.source)
    if version.action != "upload":
        raise CallerError("source_not_a_file", f"{request.source} is not a finished file.")
    return version


def _new(
    request: Copy, attempt: Attempt, bucket: BucketName, name: str, source: FileVersion
) -> NewFile:
    info = dict(source.info)
    if request.content_type is not None:
        info = {**(request.info or {})}
        if LARGE_FILE_SHA1 in source.info:
            info.setdefault(LARGE_FILE_SHA1, source.info[LARGE_FILE_SHA1])
    info.pop(JOB_TAG, None)
    if len(info) < _INFO_LIMIT:
        info[JOB_TAG] = attempt.job_id
    return NewFile(bucket, name, request.content_type or source.content_type, info)
