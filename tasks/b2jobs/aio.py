"""The module's functions for async callers: `job = await b2jobs.aio.upload(...)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from b2jobs.batches import AsyncBatchHandle
from b2jobs.client import AsyncClient
from b2jobs.handle import AsyncHandle

__all__ = [
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
def default_client() -> AsyncClient:
    """The client behind the module's functions, made at their first use."""
    return AsyncClient()


async def upload(source: str, destination: str, **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.upload`."""
    return await default_client().upload(source, destination, **options)


async def download(source: str, destination: str | None = None, **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.download`."""
    return await default_client().download(source, destination, **options)


async def copy(source: str, destination: str, **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.copy`."""
    return await default_client().copy(source, destination, **options)


async def delete(target: str, **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.delete`."""
    return await default_client().delete(target, **options)


async def bucket(action: str, name: str | None = None, **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.bucket`."""
    return await default_client().bucket(action, name, **options)


async def share(source: str, seconds: int = 3600, **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.share`."""
    return await default_client().share(source, seconds, **options)


async def check(account: str = "default", **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.check`."""
    return await default_client().check(account, **options)


async def sync(source: str, destination: str, **options: Any) -> AsyncHandle:
    """See `b2jobs.Client.sync`."""
    return await default_client().sync(source, destination, **options)


async def batch(source: str, destination: str | None = None, **options: Any) -> AsyncBatchHandle:
    """See `b2jobs.Client.batch`."""
    return await default_client().batch(source, destination, **options)


async def batch_items(items: Iterable[Mapping[str, Any]], **options: Any) -> AsyncBatchHandle:
    """See `b2jobs.Client.batch_items`."""
    return await default_client().batch_items(items, **options)
