"""Copy one file inside B2, of any size; its bytes do not pass through the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from b2jobs.errors import CallerError, PassingError
from b2jobs.locations import B2Version
from b2jobs.metadata import CUSTOMER_KEY, LARGE_FILE_SHA1, MODIFIED_MILLIS
from b2jobs.requests import Copy
from b2jobs.requests.info import HEADERS_IN_INFO
from b2jobs.results import TransferResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.errors import customer_key_needed, file_not_found
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer import committed, target
from b2jobs_worker.transfer.committed import MOST_ENTRIES, Committed, Content
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.transfer.copy_large import LargeCopy
from b2jobs_worker.transfer.other_account import (
    OtherAccountSource,
    copying_account,
    never_right,
)
from b2jobs_worker.transfer.protection import kept
from b2jobs_worker.transfer.target import NewFile
from b2jobs_worker.transfer.upload import place, result

ONE_CALL_BYTES = 5_000_000_000
"""b2_copy_file makes files below this size; above it, parts are copied."""


def copy(request: Copy, attempt: Attempt, context: Context) -> TransferResult:
    """Copy the request's source and return the version it made.

    What the source carries stays, but what the request names; its digest and its time are
    carried in any case. The copy also says which job made it, so that a later attempt finds it
    (see committed.py). `verified` is false: B2 copied, nothing was compared. Between accounts
    of which no key sees both sides the bytes pass through the worker, and are compared.

    Raises:
        JobError: docs/errors.md lists the codes.
        Interrupted: with `keep` false what is unfinished has been removed.
    """
    account = copying_account(request, attempt, context)
    if account is None:
        return _through_the_worker(request, attempt, context)
    client = context.client(account, attempt, request.customer_key)
    usage = Usage(client, attempt)
    made = copied(request, client, attempt, context)
    return result_of(made, client, usage, kind="copy")


@dataclass(frozen=True)
class Copied:
    """A copy, or what was there already; *not_told*: what its source may have besides."""

    bucket: BucketName
    source: FileVersion
    version: FileVersion
    is_unchanged: bool
    not_told: list[str]
    resumed_bytes: int = 0


def result_of(made: Copied, client: B2Client, usage: Usage, *, kind: str) -> TransferResult:
    """What a job says that has made a copy."""
    return result(
        client,
        usage,
        made.version,
        made.version.sha1 or made.source.sha1,
        kind=kind,
        bucket=made.bucket,
        unchanged=made.is_unchanged,
        verified=False,
        resumed_bytes=made.resumed_bytes,
        not_carried=made.not_told,
    )


def copied(
    request: Copy,
    client: B2Client,
    attempt: Attempt,
    context: Context,
    check: Callable[[FileVersion], None] = lambda _: None,
) -> Copied:
    """Copy the request's source, unless it is there already.

    *check* may refuse the version that is to be copied. Errors as `copy` has them.
    """
    destination = request.target()
    client.require(
        "readFiles",
        "writeFiles",
        *target.capabilities_for(request.if_exists),
        name=destination.name,
    )
    bucket = client.bucket(destination.bucket)
    large = LargeCopy(client, attempt, context)
    large.unfinished.believe(Committed(client, attempt, bucket, destination.name))
    made = _copied(request, client, attempt, bucket, destination.name, large, check)
    if request.if_exists == "replace":
        committed.remove_older(client, attempt, bucket, made.version)
    return replace(made, resumed_bytes=large.resumed_bytes)


_DIFFERED = "differed"
_MOST_READINGS = 3


def _through_the_worker(request: Copy, attempt: Attempt, context: Context) -> TransferResult:
    """Read with the key of one account, and upload with that of the other."""
    reader = context.client(str(request.source_account), attempt, request.customer_key)
    client = context.client(request.account, attempt, request.customer_key)
    usage = Usage(client, attempt, reader)
    destination = request.target()
    needed = target.capabilities_for(request.if_exists)
    client.require("writeFiles", *needed, name=destination.name)
    location = request.source_location
    reader.require("readFiles", name=None if isinstance(location, B2Version) else location.name)
    bucket = client.bucket(destination.bucket)
    found = _source(reader, request)
    attempt.permit.size(found.size)
    new, not_told = _new(request, client, attempt, bucket, destination.name, found)
    source = OtherAccountSource(reader, found, request.source)
    # Read before: where an unfinished large file is removed, so is the journal.
    readings = int(attempt.journal.load().get(_DIFFERED) or 0) + 1
    try:
        made = place(
            client, attempt, context, source, new, request.if_exists, listed=request.listed
        )
    except PassingError as error:
        if error.code == "source_changed":
            if readings >= _MOST_READINGS:
                raise never_right(request.source, found.sha1) from error
            attempt.journal.record({_DIFFERED: str(readings)})
        raise
    if request.if_exists == "replace":
        committed.remove_older(client, attempt, bucket, made.version)
    return result(
        client,
        usage,
        made.version,
        made.sha1,
        kind="copy",
        bucket=bucket,
        unchanged=made.is_unchanged,
        verified=found.sha1 is not None and made.sha1 == found.sha1,
        resumed_bytes=made.resumed_bytes,
        not_carried=not_told,
    )


def _copied(
    request: Copy,
    client: B2Client,
    attempt: Attempt,
    bucket: BucketName,
    name: str,
    large: LargeCopy,
    check: Callable[[FileVersion], None],
) -> Copied:
    """Copy the request's source.

    A source named by its name may be replaced and deleted while it is copied: then the copy
    begins anew with the version that is there by then.
    """
    source = _source(client, request)
    while True:
        check(source)
        new, not_told = _new(request, client, attempt, bucket, name, source)
        standing = target.look(
            client,
            attempt,
            new,
            request.if_exists,
            size=source.size,
            sha1=partial(_known_sha1, source),
            left=large.unfinished.left,
            listed=request.listed,
        )
        there = standing.ours or standing.same
        if there is not None:
            return Copied(bucket, source, there, standing.same is not None, not_told)
        try:
            version = _send(client, attempt, new, source, large)
            return Copied(bucket, source, version, False, not_told)
        except CallerError as error:
            if error.code != "file_not_found":
                raise
            before, source = source, _source(client, request)
            if source.file_id == before.file_id:
                raise


def _known_sha1(source: FileVersion) -> str | None:
    return source.sha1


def _send(
    client: B2Client, attempt: Attempt, new: NewFile, source: FileVersion, large: LargeCopy
) -> FileVersion:
    if source.size >= ONE_CALL_BYTES:
        return large.send(new, source)
    new.committed.before_first_try()
    attempt.progress("copying", 0, source.size)
    attempt.guard()
    return client.copy_file(
        source.file_id,
        new.bucket,
        new.name,
        content_type=new.content_type,
        info=new.info,
        in_doubt=lambda: new.committed.find(Content(source.size, source.sha1)),
        source_key=client.customer_key if source.has_customer_key else None,
        protection=new.protection,
    )


def _source(client: B2Client, request: Copy) -> FileVersion:
    location = request.source_location
    if isinstance(location, B2Version):
        version = client.version(location.file_id)
    else:
        version = client.latest(client.bucket(location.bucket), location.name)
    if version is None:
        raise file_not_found(request.source)
    if version.action != "upload":
        raise CallerError("source_not_a_file", f"{request.source} is not a finished file.")
    if version.has_customer_key and client.customer_key is None:
        raise customer_key_needed(request.source, version.key_name)
    if version.has_headers_of_its_own:
        # HEAD sends them as if they were B2's; what they are stands in the file's info.
        version = client.version(version.file_id) or version
    return version


def _new(
    request: Copy,
    client: B2Client,
    attempt: Attempt,
    bucket: BucketName,
    name: str,
    source: FileVersion,
) -> tuple[NewFile, list[str]]:
    """The version that is to be made, and what it may lack: see `kept`."""
    info = dict(source.info)
    if request.info is not None:
        # What other tools know the content by stays with it, and so do headers.
        stays = (LARGE_FILE_SHA1, MODIFIED_MILLIS, CUSTOMER_KEY, *HEADERS_IN_INFO)
        info = {**{key: info[key] for key in stays if key in info}, **request.info}
    info = request.put_into(info)
    content_type = request.content_type or source.content_type
    protection, not_told = kept(request, client, source)
    if protection.customers is not None:
        info.setdefault(CUSTOMER_KEY, protection.customers.key_name)
    own = Committed(client, attempt, bucket, name)
    if len(info) > MOST_ENTRIES:
        del info[CUSTOMER_KEY]
    return NewFile(bucket, name, content_type, own.marked(info), own, protection), not_told
