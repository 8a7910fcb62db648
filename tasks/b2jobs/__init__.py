"""b2jobs: durable background jobs that move files into and out of Backblaze B2.

import b2jobs

job = b2jobs.upload("data://.my/somecollection/somefile.png",
                    "b2://some-bucket/remotefolder/remotefile.png")
print(job.id, job.wait(timeout=60).url)

The functions here use one `Client` for `B2JOBS_REDIS_URL`; `b2jobs.aio` has their
awaitable twins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from b2jobs.batches import AsyncBatchHandle, BatchHandle, BatchStatus
from b2jobs.client import AsyncClient, Client
from b2jobs.errors import (
    B2JobsError,
    Failure,
    InvalidJob,
    JobCancelled,
    JobFailed,
    JobNotFound,
    QueueUnavailable,
    WaitTimeout,
)
from b2jobs.handle import AsyncHandle, Handle
from b2jobs.records import Record
from b2jobs.requests import Batch, Bucket, Check, Copy, Delete, Download, Job, Share, Sync, Upload
from b2jobs.results import (
    BatchResult,
    BucketResult,
    CheckResult,
    DeleteResult,
    ShareResult,
    SyncResult,
    TransferResult,
)
from b2jobs.schedules import Schedule, Schedules

__all__ = [
    "AsyncBatchHandle",
    "AsyncClient",
    "AsyncHandle",
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
    "Download",
    "Failure",
    "Handle",
    "InvalidJob",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "QueueUnavailable",
    "Record",
    "Schedule",
    "Schedules",
    "Share",
    "ShareResult",
    "Sync",
    "SyncResult",
    "TransferResult",
    "Upload",
    "WaitTimeout",
    "batch",
    "batch_items",
    "bucket",
    "check",
    "copy",
    "delete",
    "download",
    "share",
    "sync",
    "upload",
]


@cache
def default_client() -> Client:
    """The client behind the module's functions, made at their first use."""
    return Client()


def upload(source: str, destination: str, **options: Any) -> Handle:
    """See `Client.upload`."""
    return default_client().upload(source, destination, **options)


def download(source: str, destination: str | None = None, **options: Any) -> Handle:
    """See `Client.download`."""
    return default_client().download(source, destination, **options)


def copy(source: str, destination: str, **options: Any) -> Handle:
    """See `Client.copy`."""
    return default_client().copy(source, destination, **options)


def delete(target: str, **options: Any) -> Handle:
    """See `Client.delete`."""
    return default_client().delete(target, **options)


def bucket(action: str, name: str | None = None, **options: Any) -> Handle:
    """See `Client.bucket`."""
    return default_client().bucket(action, name, **options)


def share(source: str, seconds: int = 3600, **options: Any) -> Handle:
    """See `Client.share`."""
    return default_client().share(source, seconds, **options)


def check(account: str = "default", **options: Any) -> Handle:
    """See `Client.check`."""
    return default_client().check(account, **options)


def batch(source: str, destination: str | None = None, **options: Any) -> BatchHandle:
    """See `Client.batch`."""
    return default_client().batch(source, destination, **options)


def batch_items(items: Iterable[Mapping[str, Any]], **options: Any) -> BatchHandle:
    """See `Client.batch_items`."""
    return default_client().batch_items(items, **options)


def sync(source: str, destination: str, **options: Any) -> BatchHandle:
    """See `Client.sync`."""
    return default_client().sync(source, destination, **options)
