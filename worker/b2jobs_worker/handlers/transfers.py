"""The work behind the jobs that the transfer engine does by itself."""

from __future__ import annotations

import gc
from functools import cache

from b2jobs.connection import connect
from b2jobs.locations import B2File
from b2jobs.requests import Copy, Job, Upload
from b2jobs.results import Result, TransferResult
from b2jobs_worker import transfer
from b2jobs_worker.attempt import Attempt, DetachedAttempt
from b2jobs_worker.b2.redis_governor import RedisGovernor
from b2jobs_worker.settings import current


@cache
def context() -> transfer.Context:
    """What all transfers of this process share; connections are made after any fork."""
    settings = current()
    governor = RedisGovernor(
        connect(settings.redis_url, settings.redis_timeout_seconds),
        f"{settings.key_prefix}b2jobs:",
        requests_per_second=settings.requests_per_second,
        bytes_per_second=settings.bytes_per_second,
        url=settings.redis_url,
    )
    made = transfer.build_context(settings, governor=governor)
    # What is loaded by now stays: the collector need not walk it again and again, which
    # would be a sixth of what a small upload costs.
    gc.collect()
    gc.freeze()
    return made


class TransferWork:
    """Implements `delivery.deliver.Work` by the engine's functions."""

    def run(self, request: Job, attempt: Attempt) -> Result:
        return transfer.RUN[request.kind](request, attempt, context())

    def abandon(self, request: Job, attempt: Attempt) -> None:
        transfer.abandon(request, attempt, context())

    def undo(self, request: Job, made: str) -> None:
        if isinstance(request, Upload | Copy):
            client = context().client(request.account, DetachedAttempt())
            client.delete_version(made, _target(request).name)

    def traces(self, result: Result) -> str | None:
        is_new = (
            isinstance(result, TransferResult)
            and result.status == "transferred"
            and result.kind in ("upload", "copy")
        )
        return result.file_id if is_new and isinstance(result, TransferResult) else None


def _target(request: Upload | Copy) -> B2File:
    return request.target()
