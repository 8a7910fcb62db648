"""What earlier attempts of this job have left in B2: a version, found by its tag, or strays.

B2 has no "put if absent". A job writes its id into the file info of what it makes, and an
attempt after the first looks for that before it adds anything.
"""

from __future__ import annotations

from b2jobs_worker.attempt import Attempt, Interrupted
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion


def find(
    client: B2Client, attempt: Attempt, bucket: BucketName, name: str, *, keep: str | None = None
) -> FileVersion | None:
    """The version of *name* that the job has committed; its strays are removed.

    Strays are unfinished large files of the job, except *keep*, and further versions. One
    class C call; with a key that may not list, one class B that sees the newest version
    only and no strays. The lease is looked at before anything is removed: an outdated owner
    would remove what the new one has just made.
    """
    job_id = attempt.job_id
    capabilities = client.account().capabilities
    if "listFiles" not in capabilities:
        latest = client.latest(bucket, name) if "readFiles" in capabilities else None
        return latest if latest is not None and latest.job == job_id else None
    found: FileVersion | None = None
    for version in client.versions_of(bucket, name):
        if version.job != job_id or version.file_id == keep:
            continue
        if version.action == "start":
            attempt.guard()
            client.cancel_large_file(version.file_id)
        elif version.action == "upload":
            if found is not None and "deleteFiles" in capabilities:
                attempt.guard()
                client.delete_version(version.file_id, name)
            found = found or version
    return found


def remove_older(
    client: B2Client, attempt: Attempt, bucket: BucketName, version: FileVersion
) -> None:
    """Remove the versions of the same name that are older than *version*.

    An owner that turns out to be outdated removes nothing, and does not raise: what it has
    made must reach the end of its attempt, where it is removed.
    """
    try:
        others = list(client.versions_of(bucket, version.name))
        attempt.guard()
        for other in others:
            if other.file_id == version.file_id or other.uploaded_millis > version.uploaded_millis:
                continue
            if other.action != "start":
                client.delete_version(other.file_id, version.name)
    except Interrupted as interrupted:
        if interrupted.reason != "lease_lost":
            raise
