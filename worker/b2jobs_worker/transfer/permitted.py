"""Versions that a request names by id: whose bucket and name the policy is asked for first."""

from __future__ import annotations

from b2jobs.locations import B2File, B2Version
from b2jobs.requests import Copy, Delete, Download, Hold, Job, Move, Retention
from b2jobs_worker.attempt import Anything, Attempt
from b2jobs_worker.transfer.context import Context


def look_up(request: Job, attempt: Attempt, context: Context) -> None:
    """Find out where the versions are that *request* names by their ids, before it is begun.

    Costs a call or two of B2, and nothing where no policy speaks of the job.

    Raises:
        CallerError: `policy_refused`
        JobError: B2 could not be asked.
    """
    if isinstance(attempt.permit, Anything):
        return
    for file_id, is_written in _named_by_id(request):
        account = getattr(request, "source_account", None) or request.account  # type: ignore[attr-defined]  # those have one
        client = context.client(account, attempt)
        version = client.version(file_id)
        if version is None:
            continue  # the request itself says so
        names = {each["bucketId"]: each["bucketName"] for each in client.list_buckets()}
        where = B2File(names.get(version.bucket_id, "unknown"), version.name)
        attempt.permit.place(where, is_written=is_written)


def _named_by_id(request: Job) -> list[tuple[str, bool]]:
    if isinstance(request, Copy | Download):
        source = request.source_location
        if not isinstance(source, B2Version):
            return []
        read = [(source.file_id, False)]
        return [*read, (source.file_id, True)] if isinstance(request, Move) else read
    if isinstance(request, Retention | Hold):
        changed = request.target_location
        return [(changed.file_id, True)] if isinstance(changed, B2Version) else []
    if isinstance(request, Delete):
        target = request.target_location
        if isinstance(target, B2Version):
            return [(target.file_id, True)]
        return [(request.versions, True)] if request.versions not in ("latest", "all") else []
    return []
