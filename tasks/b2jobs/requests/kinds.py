"""The kinds of job: the request and the result of each."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from b2jobs.errors import InvalidJob
from b2jobs.for_people import masked
from b2jobs.locations import InvalidLocation
from b2jobs.requests.accounts import Bucket, Check
from b2jobs.requests.batches import Batch, Pack, ReadLedger, Verify
from b2jobs.requests.files import Delete, Hide, Hold, Remove, Retention, Share, Unhide
from b2jobs.requests.job import Job
from b2jobs.requests.listings import DiskUsage, List
from b2jobs.requests.syncs import Sync
from b2jobs.requests.transfers import Copy, Download, Move, Upload
from b2jobs.results import (
    BatchResult,
    BucketResult,
    CheckResult,
    DeleteResult,
    DiskUsageResult,
    HideResult,
    ListResult,
    LockResult,
    ReadLedgerResult,
    Result,
    ShareResult,
    SyncResult,
    TransferResult,
    VerifyResult,
)

_TABLE: tuple[tuple[type[Job], type[Result] | None], ...] = (
    (Upload, TransferResult),
    (Download, TransferResult),
    (Copy, TransferResult),
    (Move, TransferResult),
    (Delete, DeleteResult),
    (Bucket, BucketResult),
    (Share, ShareResult),
    (Check, CheckResult),
    (List, ListResult),
    (DiskUsage, DiskUsageResult),
    (Batch, BatchResult),
    (Pack, None),  # nobody waits for a pack
    (Hide, HideResult),
    (Unhide, HideResult),
    (Retention, LockResult),
    (Hold, LockResult),
    (Verify, VerifyResult),
    (ReadLedger, ReadLedgerResult),
    (Sync, SyncResult),
    (Remove, DeleteResult),
)
KINDS: dict[str, type[Job]] = {job.kind: job for job, _ in _TABLE}
INTERNAL = ("pack", "ledger", "remove")
"""What no user asks for: parts of batches, and what fetches their ledger."""
PUBLIC_KINDS = tuple(kind for kind in KINDS if kind not in INTERNAL)
RESULTS: dict[str, type[Result]] = {job.kind: result for job, result in _TABLE if result}


def build(kind: str, arguments: dict[str, Any]) -> Job:
    """Validate *arguments* into the request of *kind*.

    Raises:
        InvalidJob: names the first argument that is wrong, its value and the way out.
    """
    model = KINDS.get(kind)
    if model is None:
        raise InvalidJob(
            f"There is no kind of job named {kind!r}.",
            code="unknown_kind",
            hint=f"Known are {', '.join(PUBLIC_KINDS)}.",
        )
    try:
        return model(**arguments)
    except ValidationError as error:
        raise _invalid(kind, error) from error


def _invalid(kind: str, error: ValidationError) -> InvalidJob:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidLocation):
        return InvalidJob(
            f"{field}: {cause}" if field else str(cause),
            code=cause.code,
            hint=cause.hint,
            field=field,
        )
    if isinstance(cause, InvalidJob):
        return cause
    match first["type"]:
        case "extra_forbidden":
            known = ", ".join(KINDS[kind].given())
            return InvalidJob(
                f"{kind} has no argument {field!r}.", hint=f"It takes {known}.", field=field
            )
        case "missing":
            return InvalidJob(f"{kind} needs the argument {field!r}.", field=field)
        case _:
            reason = str(cause) if cause else first["msg"]
            given = f" is {_shown(first['input'])}:" if field else ""
            return InvalidJob(f"{field or kind}{given} {reason}.", field=field)


def _shown(given: Any) -> str:
    """What was given, shortened; never the content that somebody wants to have stored."""
    if isinstance(given, bytes | bytearray | memoryview):
        return f"{len(given)} bytes"
    return repr(masked(given) if isinstance(given, str) else given)[:120]
