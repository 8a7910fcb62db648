"""Move one file inside B2: copy it, check the copy, and only then delete what was copied.

The journal names both versions before the source is touched. A later attempt that finds it
there copies nothing any more: it looks whether the copy is there, and removes what is left.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial

from b2jobs.errors import CallerError, OperatorError, PassingError
from b2jobs.locations import B2File, B2Version
from b2jobs.requests import Move
from b2jobs.results import TransferResult
from b2jobs_worker.attempt import Attempt, Interrupted, Uninterrupted
from b2jobs_worker.b2 import errors
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer.committed import Committed
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.transfer.copy import Copied, copied, result_of

_MOVED, _HIDDEN = "moved", "hidden"


@dataclass(frozen=True)
class _Noted:
    """Which version was copied, and as which."""

    source_id: str
    copy_id: str
    is_unchanged: bool


def move(request: Move, attempt: Attempt, context: Context) -> TransferResult:
    """Move the request's source; its bytes do not pass through the worker.

    Deleted is the version that was copied. Where an older one of the name would come to light,
    the name is hidden first. A version that is uploaded meanwhile stays.

    Raises:
        OperatorError: `capability_missing`, before anything is copied; `file_locked`.
        CallerError: `same_file`; as `copy` has them.
    """
    client = context.client(request.account, attempt, request.customer_key)
    usage = Usage(client, attempt)
    _require(client, request)
    made = _made_before(request, client, attempt) if attempt.number > 1 else None
    if made is None:
        check = partial(_check_source, request, client)
        made = copied(request, client, attempt, context, check)
        noted = _Noted(made.source.file_id, made.version.file_id, made.is_unchanged)
        attempt.journal.record({_MOVED: json.dumps(asdict(noted))})
    try:
        _remove_source(request, client, attempt, made)
    except Interrupted as interrupted:
        if not interrupted.keep:
            take_back(request, attempt, context)
        raise
    return result_of(made, client, usage, kind="move")


def take_back(request: Move, attempt: Attempt, context: Context) -> None:
    """Remove the copy of a move that will not go on, while its source is there.

    It stays where it is locked, where it was there before, and where it has replaced others.
    """
    fields = attempt.journal.load()
    if _MOVED not in fields or request.if_exists == "replace":
        return
    client = context.client(request.account, attempt).on_behalf_of(Uninterrupted(attempt))
    try:
        made = _made_before(request, client, attempt)
    except CallerError:
        return  # both are gone
    if made is None or made.is_unchanged or made.source.action != "upload":
        return
    own = Committed(client, attempt, made.bucket, made.version.name)
    if made.version.is_locked or not own.is_ours(made.version):
        return
    marker = client.version(fields[_HIDDEN]) if _HIDDEN in fields else None
    if marker is not None and (marker.action, marker.name) == ("hide", made.source.name):
        client.delete_version(marker.file_id, marker.name)
    client.delete_version(made.version.file_id, made.version.name)
    attempt.journal.clear()


def _remove_source(request: Move, client: B2Client, attempt: Attempt, made: Copied) -> None:
    location = request.source_location
    _compare(client, made)
    attempt.progress("removing", made.version.size, made.version.size)
    attempt.guard()
    if made.source.action != "upload":
        return
    if isinstance(location, B2File):
        marker = _hide_older(client, location, made.source)
        if marker is not None:
            attempt.journal.record({_HIDDEN: marker.file_id})
    client.delete_version(
        made.source.file_id, made.source.name, bypass_governance=request.bypass_governance
    )


def _require(client: B2Client, request: Move) -> None:
    location = request.source_location
    bypass = ("bypassGovernance",) if request.bypass_governance else ()
    listing = ("listFiles",) if isinstance(location, B2File) else ()
    name = location.name if isinstance(location, B2File) else None
    try:
        client.require("readFiles", "writeFiles", "deleteFiles", *listing, *bypass, name=name)
    except OperatorError as error:
        if error.code == "capability_missing" and not client.may("deleteFiles"):
            error.hint += (
                " Without deleteFiles a copy and then a hide leave the bytes where they were."
            )
        raise


def _check_source(request: Move, client: B2Client, source: FileVersion) -> None:
    """Refuse, before anything is copied, what could not be deleted afterwards."""
    where, to = request.source_location, request.target()
    in_bucket = (
        where.bucket.lower() == to.bucket.lower()
        if isinstance(where, B2File)
        else source.bucket_id == client.bucket(to.bucket).bucket_id
    )
    if in_bucket and source.name == to.name:
        raise CallerError(
            "same_file",
            f"{request.source} and {request.destination} are the same file.",
            hint="Name another destination; a copy to its own name renews a file.",
        )
    lifted = request.bypass_governance and source.retention and source.retention.can_be_lifted
    if source.is_held or (source.retained and not lifted):
        raise errors.file_locked(source)


def _compare(client: B2Client, made: Copied) -> None:
    """Whether B2 has the copy, with the size and the SHA-1 of its source.

    Raises:
        PassingError: `copy_differs`
    """
    there = client.version(made.version.file_id)
    source = made.source
    digests = {each.sha1 for each in (source, there) if each is not None and each.sha1}
    if there is None or there.size != source.size or len(digests) > 1:
        raise PassingError(
            "copy_differs", f"The copy of {source.name} is not what its source is; it stays."
        )


def _made_before(request: Move, client: B2Client, attempt: Attempt) -> Copied | None:
    """What an earlier attempt has copied, and checked; None where there is none.

    Its source has the action `gone` where nothing is left to delete.
    """
    text = attempt.journal.load().get(_MOVED)
    if not text:
        return None
    noted = _Noted(**json.loads(text))
    to, bucket = request.target(), client.bucket(request.target().bucket)
    copy = client.version(noted.copy_id)
    source = client.version(noted.source_id)
    if copy is None or (copy.name, copy.bucket_id) != (to.name, bucket.bucket_id):
        if source is None:
            raise errors.file_not_found(f"{request.destination}: the copy was removed meanwhile")
        return None
    if source is None or not _is_named(request, client, source, copy):
        source = FileVersion(noted.source_id, "", size=copy.size, action="gone")
    return Copied(bucket, source, copy, noted.is_unchanged, [])


def _is_named(request: Move, client: B2Client, source: FileVersion, copy: FileVersion) -> bool:
    """Whether *source* is of the request's source, and the same as *copy*.

    What a journal says is not believed, since others can write to Redis.
    """
    location = request.source_location
    if isinstance(location, B2Version):
        is_named = source.file_id == location.file_id
    else:
        bucket = client.bucket(location.bucket)
        is_named = (source.name, source.bucket_id) == (location.name, bucket.bucket_id)
    digests = {each.sha1 for each in (source, copy) if each.sha1}
    return is_named and source.size == copy.size and len(digests) < 2


def _hide_older(client: B2Client, location: B2File, source: FileVersion) -> FileVersion | None:
    """Hide the name where an older version would come to light without *source*."""
    bucket = client.bucket(location.bucket)
    finished = (
        each for each in client.versions_of(bucket, location.name) if each.action != "start"
    )
    newest, older = next(finished, None), next(finished, None)
    if newest is None or newest.file_id != source.file_id:
        return None
    is_hidden = older is None or older.action != "upload"
    return None if is_hidden else client.hide_file(bucket, location.name)
