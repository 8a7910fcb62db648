"""b2jobs: durable background jobs that move files into and out of Backblaze B2.

import b2jobs

job = b2jobs.upload("data://.my/somecollection/somefile.png",
                    "b2://some-bucket/remotefolder/remotefile.png")
print(job.id, job.wait(timeout=60).url)

The functions here use one `Client` for `B2JOBS_REDIS_URL`; `b2jobs.aio` has their
awaitable twins. What a name stands for is loaded when it is first used: an application that
imports b2jobs and never asks for anything pays milliseconds.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from b2jobs.async_client import AsyncClient
    from b2jobs.batch_status import BatchStatus
    from b2jobs.batches import AsyncBatchHandle, BatchHandle
    from b2jobs.client import Client
    from b2jobs.errors import (
        B2JobsError,
        InvalidJob,
        JobCancelled,
        JobFailed,
        JobNotFound,
        QueueUnavailable,
        WaitTimeout,
    )
    from b2jobs.event_stream import Event
    from b2jobs.failure import Failure
    from b2jobs.functions import function
    from b2jobs.handle import AsyncHandle, Handle
    from b2jobs.listings import AsyncListing, Listing
    from b2jobs.records import Record
    from b2jobs.requests import (
        Batch,
        Bucket,
        Check,
        Copy,
        Delete,
        DiskUsage,
        Download,
        Hide,
        Hold,
        Job,
        List,
        Move,
        Retention,
        Share,
        Sync,
        Unhide,
        Upload,
    )
    from b2jobs.results import (
        BatchResult,
        BucketResult,
        CheckResult,
        DeleteResult,
        DiskUsageResult,
        HideResult,
        ListResult,
        LockResult,
        ShareResult,
        SyncResult,
        TransferResult,
    )
    from b2jobs.schedule import Schedule
    from b2jobs.schedules import Schedules

__all__ = [
    "AsyncBatchHandle",
    "AsyncClient",
    "AsyncHandle",
    "AsyncListing",
    "B2JobsError",
    "Batch",
    "BatchHandle",
    "BatchResult",
    "BatchStatus",
    "Bucket",
    "BucketResult",
    "Check",
    "CheckResult",
    "Client",
    "Copy",
    "Delete",
    "DeleteResult",
    "DiskUsage",
    "DiskUsageResult",
    "Download",
    "Event",
    "Failure",
    "Handle",
    "Hide",
    "HideResult",
    "Hold",
    "InvalidJob",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "List",
    "ListResult",
    "Listing",
    "LockResult",
    "Move",
    "QueueUnavailable",
    "Record",
    "Retention",
    "Schedule",
    "Schedules",
    "Share",
    "ShareResult",
    "Sync",
    "SyncResult",
    "TransferResult",
    "Unhide",
    "Upload",
    "WaitTimeout",
    "batch",
    "batch_delete",
    "batch_items",
    "batch_job",
    "bucket",
    "celery_routes",
    "check",
    "copy",
    "delete",
    "download",
    "du",
    "events",
    "hide",
    "hold",
    "job",
    "jobs",
    "ls",
    "move",
    "retention",
    "share",
    "sync",
    "unhide",
    "upload",
    "verify",
]

celery_routes = {"b2jobs.*": {"queue": "b2jobs"}}
"""For `task_routes` of an application's Celery: without it the application's own worker takes
the jobs it sends, and drops them as NotRegistered. The queues of `priority` are our workers'
business; an application with a key prefix names it in `broker_transport_options` and
`result_backend_transport_options` as `global_keyprefix`."""


@cache
def default_client() -> Client:
    """The client behind the module's functions, made at their first use."""
    from b2jobs.client import Client

    return Client()


def _client() -> Client:
    return default_client()  # looked up when it is used: `b2jobs.testing` puts its own there


if TYPE_CHECKING:
    upload = function(Client.upload, _client)
    download = function(Client.download, _client)
    copy = function(Client.copy, _client)
    move = function(Client.move, _client)
    hide = function(Client.hide, _client)
    unhide = function(Client.unhide, _client)
    retention = function(Client.retention, _client)
    hold = function(Client.hold, _client)
    delete = function(Client.delete, _client)
    bucket = function(Client.bucket, _client)
    ls = function(Client.ls, _client)
    du = function(Client.du, _client)
    share = function(Client.share, _client)
    check = function(Client.check, _client)
    batch = function(Client.batch, _client)
    batch_delete = function(Client.batch_delete, _client)
    batch_items = function(Client.batch_items, _client)
    batch_job = function(Client.batch_job, _client)
    sync = function(Client.sync, _client)
    verify = function(Client.verify, _client)
    job = function(Client.job, _client)
    jobs = function(Client.jobs, _client)
    events = function(Client.events, _client)
else:
    _HOMES = {
        "async_client": "AsyncClient",
        "batch_status": "BatchStatus",
        "batches": "AsyncBatchHandle BatchHandle",
        "client": "Client",
        "errors": "B2JobsError InvalidJob JobCancelled JobFailed JobNotFound QueueUnavailable "
        "WaitTimeout",
        "event_stream": "Event",
        "failure": "Failure",
        "handle": "AsyncHandle Handle",
        "listings": "AsyncListing Listing",
        "records": "Record",
        "requests": "Batch Bucket Check Copy Delete DiskUsage Download Hide Hold Job List "
        "Move Retention Share Sync Unhide Upload",
        "results": "BatchResult BucketResult CheckResult DeleteResult DiskUsageResult HideResult "
        "ListResult LockResult ShareResult SyncResult TransferResult",
        "schedule": "Schedule",
        "schedules": "Schedules",
    }
    _HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        """Load what *name* stands for: a class, a function of the default client, a module."""
        if name in _HOME:
            found = getattr(import_module(f"b2jobs.{_HOME[name]}"), name)
        elif name in __all__:
            from b2jobs.client import Client
            from b2jobs.functions import function

            found = function(getattr(Client, name), _client)
        else:
            return _module(name)
        globals()[name] = found
        return found

    def _module(name: str) -> Any:
        # `import b2jobs` was enough for `b2jobs.errors` while it loaded everything.
        if not name.startswith("_"):
            try:
                return import_module(f"b2jobs.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"b2jobs.{name}":
                    raise
        raise AttributeError(f"module 'b2jobs' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
