"""The work behind the jobs that the transfer engine does by itself."""

from __future__ import annotations

from functools import cache

from b2jobs import locations
from b2jobs.jobs import Copy, Job, Result, TransferResult, Upload
from b2jobs.locations import B2File
from b2jobs_worker import transfer
from b2jobs_worker.settings import current
from b2jobs_worker.transfer.attempt import Attempt, DetachedAttempt


@cache
def context() -> transfer.Context:
    """What all transfers of this process share; connections are made after any fork."""
    return transfer.build_context(current())


class TransferWork:
    """Implements `delivery.deliver.Work` by the engine's functions."""

    def run(self, request: Job, attempt: Attempt) -> Result:
        return transfer.RUN[request.kind](request, attempt, context())

    def abandon(self, request: Job, attempt: Attempt) -> None:
        transfer.abandon(request, attempt, context())

    def undo(self, request: Job, made: str) -> None:
        if isinstance(request, Upload | Copy):
            door = context().door(request.account, DetachedAttempt())
            door.delete_version(made, _target(request).name)

    def traces(self, result: Result) -> str | None:
        is_new = (
            isinstance(result, TransferResult)
            and result.status == "transferred"
            and result.kind in ("upload", "copy")
        )
        return result.file_id if is_new and isinstance(result, TransferResult) else None


def _target(request: Upload | Copy) -> B2File:
    if isinstance(request, Upload):
        return request.target()
    destination = locations.parse(request.destination)
    assert isinstance(destination, B2File)
    return destination
