"""Removing what a job that will not go on has left behind."""

from __future__ import annotations

import contextlib

from b2jobs import locations
from b2jobs.errors import JobError
from b2jobs.requests import Copy, Download, Job, Upload
from b2jobs_worker.attempt import Attempt, Interrupted, Uninterrupted
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.transfer import checkpoint
from b2jobs_worker.transfer.checkpoint import LargeFile
from b2jobs_worker.transfer.context import Context


def abandon(request: Job, attempt: Attempt, context: Context) -> None:
    """Remove the unfinished large file or part file of a job that has ended without success.

    For a job that ends while no attempt is running: cancelled while it waited, out of
    budget, expired. Called twice it does nothing; so it does for a job that left nothing.

    Raises:
        JobError: B2 or the disk did not answer; the journal still knows what is left.
    """
    if isinstance(request, Upload | Copy):
        left = checkpoint.load(attempt.journal)
        if left is not None:
            context.client(request.account, attempt).cancel_large_file(left.file.file_id)
    elif isinstance(request, Download) and request.destination is not None:
        context.open_sink(locations.parse(request.destination), attempt.job_id).discard()
    attempt.journal.clear()


def remove_unfinished(
    file: LargeFile | None, client: B2Client, attempt: Attempt, why: Exception
) -> None:
    """Cancel *file*, which *attempt* leaves because of *why*; None is nothing to remove.

    Should B2 not answer, the journal still knows the file and *why* gets a note of it.
    """
    if file is None:
        return
    try:
        client.on_behalf_of(Uninterrupted(attempt)).cancel_large_file(file.file_id)
    except JobError as error:
        why.add_note(f"The unfinished file {file.file_id} stays: {error.message}")
        return
    # Somebody else's by now: then it is theirs to clear.
    with contextlib.suppress(Interrupted):
        attempt.journal.clear()
