"""Hide a file: its versions stay, its name is gone from listings."""

from __future__ import annotations

from b2jobs.requests import Hide
from b2jobs.results import HideResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.transfer.context import Context, Usage


def hide(request: Hide, attempt: Attempt, context: Context) -> HideResult:
    """Hide the request's file; what is not visible counts as hidden, and is `unchanged`.

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
    if marker is None and attempt.number > 1 and client.may("listFiles"):
        # Most likely an earlier attempt's marker, whose answer nobody heard.
        newest = next(client.versions_of(bucket, target.name), None)
        marker = newest if newest is not None and newest.action == "hide" else None
    return HideResult(
        **usage.fields("hide"),
        uri=request.target,
        file_id=marker.file_id if marker else "",
        status="hidden" if marker else "unchanged",
    )
