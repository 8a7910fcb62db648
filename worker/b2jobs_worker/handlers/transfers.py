"""The work behind the jobs that the transfer engine does by itself."""

from __future__ import annotations

from b2jobs.locations import B2File
from b2jobs.requests import Copy, Job, Move, Upload
from b2jobs.results import Result, TransferResult
from b2jobs_worker import transfer
from b2jobs_worker.attempt import Attempt, DetachedAttempt
from b2jobs_worker.resources import context
from b2jobs_worker.transfer.other_account import copying_account
from b2jobs_worker.transfer.permitted import look_up
from b2jobs_worker.work import Work


class TransferWork(Work[Job]):
    """The engine's functions."""

    def run(self, request: Job, attempt: Attempt) -> Result:
        look_up(request, attempt, context())
        return transfer.RUN[request.kind](request, attempt, context())

    def abandon(self, request: Job, attempt: Attempt) -> None:
        transfer.abandon(request, attempt, context())

    def undo(self, request: Job, made: str) -> None:
        if isinstance(request, Upload | Copy) and not isinstance(request, Move):
            account = request.account
            if isinstance(request, Copy):
                account = copying_account(request, DetachedAttempt(), context()) or account
            client = context().client(account, DetachedAttempt())
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
