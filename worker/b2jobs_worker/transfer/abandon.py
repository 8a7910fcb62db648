"""Removing what a job that will not go on has left behind."""

from __future__ import annotations

from b2jobs.locations import Location
from b2jobs.requests import Copy, Download, Job, Move, Upload
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.sources.encoding import decoded
from b2jobs_worker.transfer import checkpoint
from b2jobs_worker.transfer.committed import Committed
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.move import take_back
from b2jobs_worker.transfer.other_account import copying_account
from b2jobs_worker.transfer.store_download import discard


def abandon(request: Job, attempt: Attempt, context: Context) -> None:
    """Remove the unfinished large file or part file of a job that has ended without success.

    For a job that ends while no attempt is running: cancelled while it waited, out of
    budget, expired. Called twice it does nothing; so it does for a job that left nothing.

    Raises:
        JobError: B2 or the disk did not answer; the journal still knows what is left.
    """
    if isinstance(request, Move):
        take_back(request, attempt, context)
    if isinstance(request, Upload | Copy):
        _cancel(request, attempt, context)
    elif isinstance(request, Download) and request.destination is not None:
        destination: Location = request.destination_location
        if request.encoded:
            destination = decoded(destination)
        target = context.open_target(destination, attempt.checkpoint)
        if target is not None:
            discard(target, attempt)
        else:
            context.open_sink(destination, attempt.job_id).discard()
    attempt.journal.clear()


def _cancel(request: Upload | Copy, attempt: Attempt, context: Context) -> None:
    left = checkpoint.load(attempt.journal)
    if left is None and not checkpoint.may_have_begun(attempt.journal):
        return
    account = request.account
    if isinstance(request, Copy):
        account = copying_account(request, attempt, context) or account
    client = context.client(account, attempt)
    target = request.target()
    own = Committed(client, attempt, client.bucket(target.bucket), target.name)
    if left is None:
        begun = own.find_unfinished()
    else:
        begun = left.file.file_id if own.has_begun(left.file.file_id) else None
    if begun is not None:
        client.cancel_large_file(begun)
