"""The module's functions for async callers: `job = await b2jobs.aio.upload(...)`.

`job` and `batch_job` ask nothing and are called without `await`.
"""

from __future__ import annotations

from functools import cache

from b2jobs.async_client import AsyncClient
from b2jobs.functions import function

__all__ = [
    "batch",
    "batch_delete",
    "batch_items",
    "batch_job",
    "bucket",
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


@cache
def default_client() -> AsyncClient:
    """The client behind the module's functions, made at their first use."""
    return AsyncClient()


def _client() -> AsyncClient:
    return default_client()  # looked up when it is used: `b2jobs.testing` puts its own there


upload = function(AsyncClient.upload, _client)
download = function(AsyncClient.download, _client)
copy = function(AsyncClient.copy, _client)
move = function(AsyncClient.move, _client)
hide = function(AsyncClient.hide, _client)
unhide = function(AsyncClient.unhide, _client)
retention = function(AsyncClient.retention, _client)
hold = function(AsyncClient.hold, _client)
delete = function(AsyncClient.delete, _client)
bucket = function(AsyncClient.bucket, _client)
ls = function(AsyncClient.ls, _client)
du = function(AsyncClient.du, _client)
share = function(AsyncClient.share, _client)
check = function(AsyncClient.check, _client)
batch = function(AsyncClient.batch, _client)
batch_delete = function(AsyncClient.batch_delete, _client)
batch_items = function(AsyncClient.batch_items, _client)
batch_job = function(AsyncClient.batch_job, _client)
sync = function(AsyncClient.sync, _client)
verify = function(AsyncClient.verify, _client)
job = function(AsyncClient.job, _client)
jobs = function(AsyncClient.jobs, _client)
events = function(AsyncClient.events, _client)
