"""What moves the bytes: one function a kind of job. No Celery, no Redis.

    from b2jobs_worker import transfer
    context = transfer.build_context(settings)         # once a worker
    transfer.upload(request, attempt, context)         -> TransferResult
    transfer.download(request, attempt, context)       -> TransferResult
    transfer.copy(request, attempt, context)           -> TransferResult
    transfer.delete(request, attempt, context)         -> DeleteResult
    transfer.bucket(request, attempt, context)         -> BucketResult
    transfer.move, hide, unhide, retention, hold    -> TransferResult, HideResult, LockResult
    transfer.share(request, attempt, context)          -> ShareResult
    transfer.check_key(request, attempt, context)       -> CheckResult
    transfer.abandon(request, attempt, context)        a job that will not go on
    transfer.RUN[request.kind](request, attempt, context)

Each works in the calling thread and may be called from many at once with one context;
small transfers start no threads. A pack calls them from `context.threads.each`.
They raise `JobError` and `Interrupted` only; results carry the calls and dollars of this
attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from b2jobs.results import Result
from b2jobs_worker.attempt import Attempt, Interrupted, Journal
from b2jobs_worker.transfer.abandon import abandon
from b2jobs_worker.transfer.buckets import bucket
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.context import build as build_context
from b2jobs_worker.transfer.copy import copy
from b2jobs_worker.transfer.delete import delete
from b2jobs_worker.transfer.download import download
from b2jobs_worker.transfer.hide import hide
from b2jobs_worker.transfer.key_check import check_key
from b2jobs_worker.transfer.locks import hold, retention
from b2jobs_worker.transfer.move import move
from b2jobs_worker.transfer.share import share
from b2jobs_worker.transfer.unhide import unhide
from b2jobs_worker.transfer.upload import upload

RUN: dict[str, Callable[[Any, Attempt, Context], Result]] = {
    "upload": upload,
    "download": download,
    "copy": copy,
    "move": move,
    "hide": hide,
    "unhide": unhide,
    "retention": retention,
    "hold": hold,
    "delete": delete,
    "bucket": bucket,
    "share": share,
    "check": check_key,
}

__all__ = [
    "RUN",
    "Attempt",
    "Context",
    "Interrupted",
    "Journal",
    "abandon",
    "bucket",
    "build_context",
    "check_key",
    "copy",
    "delete",
    "download",
    "hide",
    "hold",
    "move",
    "retention",
    "share",
    "unhide",
    "upload",
]
