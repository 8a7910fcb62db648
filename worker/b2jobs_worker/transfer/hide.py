"""Hide a file: its versions stay, its name is gone from listings."""

from __future__ import annotations

from b2jobs.requests import Hide
from b2jobs.results import HideResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.transfer.context import Context, Usage


def hide(request: Hide, attempt: Attempt, context: Context) -> HideResult:
    """Hide the request's file; what is not visible counts as hidden.

    Raises:
        JobError: docs/errors.md lists the codes.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    target = request.target_location
    client.require("writeFiles", name=target.name)
    bucket = client.bucket(target.bucket)
    attempt.guard()
    marker = client.hide_file(bucket, target.name)
    return HideResult(
        **usage.fields("hide"),
        uri=request.target,
        file_id=marker.file_id if marker else "",
        status="hidden" if marker else "unchanged",
    )
