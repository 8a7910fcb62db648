"""Show a hidden file again."""

from __future__ import annotations

from b2jobs.requests import Unhide
from b2jobs.results import HideResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.transfer.context import Context, Usage

_SHOWN = "shown"


def unhide(request: Unhide, attempt: Attempt, context: Context) -> HideResult:
    """Remove the hide markers above the newest version; what is visible is `unchanged`.

    Raises:
        CallerError: `file_not_found`, where no version is below them.
        OperatorError: `capability_missing`
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    target = request.target_location
    client.require("listFiles", "deleteFiles", name=target.name)
    bucket = client.bucket(target.bucket)
    markers: list[str] = []
    visible = None
    for version in client.versions_of(bucket, target.name):
        if version.action == "upload":
            visible = version
            break
        if version.action == "hide":
            markers.append(version.file_id)
    if visible is None:
        raise file_not_found(request.target)
    attempt.guard()
    if markers:
        attempt.journal.record({_SHOWN: "1"})
    for marker in reversed(markers):  # the file is hidden until the last one has gone
        client.delete_version(marker, target.name)
    was_ours = attempt.number > 1 and _SHOWN in attempt.journal.load()
    return HideResult(
        **usage.fields("unhide"),
        uri=request.target,
        file_id=visible.file_id,
        status="shown" if markers or was_ours else "unchanged",
    )
