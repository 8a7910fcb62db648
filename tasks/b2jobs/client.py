"""Clients: how an application asks for transfers."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from b2jobs import manifest
from b2jobs.batches import AsyncBatchHandle, BatchHandle
from b2jobs.connection import DEFAULT_URL, PREFIX_VARIABLE, URL_VARIABLE, call_seconds
from b2jobs.errors import InvalidJob
from b2jobs.feed import feed
from b2jobs.handle import AsyncHandle, Handle
from b2jobs.records import Records
from b2jobs.reports import ReportReader
from b2jobs.requests import Job, build


class Client:
    """Queues jobs in one Redis. Thread-safe; keep one for the whole process.

    Without arguments it reads `B2JOBS_REDIS_URL`, `B2JOBS_KEY_PREFIX` and
    `B2JOBS_REDIS_TIMEOUT_SECONDS`. It holds no Celery app and no B2 credential, and connects
    when it is first used, with 64 connections at most: threads beyond them wait for a free one.

    timeout_seconds: how long one call of Redis may take, whatever is tried meanwhile; then
        `QueueUnavailable`. 10 unless said otherwise.

    Raises:
        InvalidJob: `invalid_redis_url`; at the first use.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        key_prefix: str | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        self.redis_url = redis_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
        self.key_prefix = (
            key_prefix if key_prefix is not None else os.environ.get(PREFIX_VARIABLE, "")
        )
        self.timeout_seconds = call_seconds(timeout_seconds)

    @cached_property
    def records(self) -> Records:
        """The job records behind this client."""
        return Records(self.redis_url, self.key_prefix, self.timeout_seconds)

    def submit(self, job: Job) -> Handle:
        """Queue *job* and return at once with a handle to it.

        Redis holds the job when this returns; it survives a restart as far as your Redis
        persistence does. B2 has not been contacted yet: a missing bucket appears later, as
        the handle's failure. Submitting the same `key` again returns the first job's handle.

        Raises:
            QueueUnavailable: Redis did not confirm; the job may exist.
        """
        return Handle(self, self.records.submit(str(uuid.uuid4()), job))

    def job(self, job_id: str) -> Handle:
        """The handle of a job submitted earlier, perhaps by another process."""
        return Handle(self, job_id)

    def ask(self, kind: str, **arguments: Any) -> Handle:
        """Validate *arguments* as a job of *kind* and submit it.

        Raises:
            InvalidJob: names the argument, its value and the way out; nothing was queued.
            QueueUnavailable: Redis did not confirm; the job may exist.
        """
        return self.submit(build(kind, arguments))

    def upload(self, source: str, destination: str, **options: Any) -> Handle:
        """Put *source* into a bucket as *destination*.

        Options: if_exists (version, skip, fail, replace), content_type, info, account and
        those of every job: key, priority, retry, expires. Errors as in `ask`.
        """
        return self.ask("upload", source=source, destination=destination, **options)

    def download(self, source: str, destination: str | None = None, **options: Any) -> Handle:
        """Fetch *source*; without *destination* up to 256 KiB come back in the result.

        Options: if_exists (replace, skip, fail), range, account and those of every job.
        """
        return self.ask("download", source=source, destination=destination, **options)

    def copy(self, source: str, destination: str, **options: Any) -> Handle:
        """Copy inside B2, without moving the bytes through the worker.

        Options: if_exists, content_type, info, account and those of every job.
        """
        return self.ask("copy", source=source, destination=destination, **options)

    def delete(self, target: str, **options: Any) -> Handle:
        """Remove a file, one version of it, or everything below a prefix that ends in `/`.

        Options: versions (latest, all or an id), account and those of every job.
        """
        return self.ask("delete", target=target, **options)

    def bucket(self, action: str, name: str | None = None, **options: Any) -> Handle:
        """`create`, `update`, `delete` or `list` buckets.

        Options: type (private, public), lifecycle, account and those of every job.
        """
        return self.ask("bucket", action=action, name=name, **options)

    def share(self, source: str, seconds: int = 3600, **options: Any) -> Handle:
        """Mint a URL that opens a private file for *seconds*, 604,800 at most."""
        return self.ask("share", source=source, seconds=seconds, **options)

    def check(self, account: str = "default", **options: Any) -> Handle:
        """Ask what the account's key may do."""
        return self.ask("check", account=account, **options)

    def batch(self, source: str, destination: str | None = None, **options: Any) -> BatchHandle:
        """Run many transfers as one job: a manifest, or everything below a prefix.

        `batch("data://nas/list.csv")` reads a manifest of sources and destinations;
        `batch("data://nas/photos/", "b2://archive/photos/")` takes a prefix to a prefix.

        Options: include, exclude (patterns below the prefix), if_exists, dry_run, strict,
        on_done (a Celery task's name and its queue), account and those of every job; the
        priority is `low` unless given.
        """
        if destination is None:
            handle = self.ask("batch", manifest=source, **options)
        else:
            handle = self.ask("batch", source=source, destination=destination, **options)
        return BatchHandle(self, handle.id)

    def sync(self, source: str, destination: str, **options: Any) -> BatchHandle:
        """Make *destination* like *source*: up, down, or inside B2.

        Options: delete (keep, hide, remove), keep_days, compare (modtime, size, sha1, none),
        newer (fail, skip, replace), include, exclude, symlinks, max_delete, overlap (wait,
        skip, replace), dry_run, account and those of every job; see `b2jobs.Sync`. It runs as
        a batch, and is followed and steered as one.
        """
        handle = self.ask("sync", source=source, destination=destination, **options)
        return BatchHandle(self, handle.id)

    def batch_items(self, items: Iterable[Mapping[str, Any]], **options: Any) -> BatchHandle:
        """Run many transfers that *items* names, one mapping each, with a manifest's fields.

        Streams: *items* may be longer than memory, and work begins with the first thousand.
        It returns when the last item is handed over. What cannot be done stands in the
        batch's ledger, under the number of the item, from 1.

        Raises:
            InvalidJob, QueueUnavailable, JobFailed, JobCancelled
        """
        rows = (manifest.row(number, item) for number, item in enumerate(items, 1))
        return self.batch_rows(rows, **options)

    def batch_rows(
        self, rows: Iterable[manifest.Row | manifest.BadLine], **options: Any
    ) -> BatchHandle:
        """`batch_items` for lines that are checked already."""
        handle = self.ask("batch", stream=True, **options)
        feed(self.records, handle.id, (row.packed() for row in rows))
        return BatchHandle(self, handle.id)

    def verify(self, report: Iterable[str], *, prefix: str | None = None, **options: Any) -> Handle:
        """Check the lines of a JSON report against what B2 lists; nothing is read there.

        Given a *prefix* (`b2://BUCKET/folder/`), files below it that the report does not name
        are found too. The job's result counts what is missing, different or extra.

        Raises:
            InvalidJob: `report_invalid`: it lacks its summary, or its digest is another.
        """
        handle = self.ask("verify", prefix=prefix, **options)
        reader = ReportReader()
        try:
            feed(self.records, handle.id, (e.packed() for e in reader.expectations(report)))
        except InvalidJob:
            handle.cancel()
            raise
        return handle

    def batch_job(self, batch_id: str) -> BatchHandle:
        """The handle of a batch submitted earlier."""
        return BatchHandle(self, batch_id)


class AsyncClient:
    """The awaitable twin of `Client`: the same methods and errors, awaited."""

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        key_prefix: str | None = None,
        client: Client | None = None,
    ) -> None:
        self.client = client or Client(redis_url, key_prefix=key_prefix)

    async def submit(self, job: Job) -> AsyncHandle:
        return AsyncHandle(await asyncio.to_thread(self.client.submit, job))

    def job(self, job_id: str) -> AsyncHandle:
        return AsyncHandle(self.client.job(job_id))

    async def ask(self, kind: str, **arguments: Any) -> AsyncHandle:
        return await self.submit(build(kind, arguments))

    async def upload(self, source: str, destination: str, **options: Any) -> AsyncHandle:
        return await self.ask("upload", source=source, destination=destination, **options)

    async def download(
        self, source: str, destination: str | None = None, **options: Any
    ) -> AsyncHandle:
        return await self.ask("download", source=source, destination=destination, **options)

    async def copy(self, source: str, destination: str, **options: Any) -> AsyncHandle:
        return await self.ask("copy", source=source, destination=destination, **options)

    async def delete(self, target: str, **options: Any) -> AsyncHandle:
        return await self.ask("delete", target=target, **options)

    async def bucket(self, action: str, name: str | None = None, **options: Any) -> AsyncHandle:
        return await self.ask("bucket", action=action, name=name, **options)

    async def share(self, source: str, seconds: int = 3600, **options: Any) -> AsyncHandle:
        return await self.ask("share", source=source, seconds=seconds, **options)

    async def check(self, account: str = "default", **options: Any) -> AsyncHandle:
        return await self.ask("check", account=account, **options)

    async def sync(self, source: str, destination: str, **options: Any) -> AsyncHandle:
        return await self.ask("sync", source=source, destination=destination, **options)

    async def batch(
        self, source: str, destination: str | None = None, **options: Any
    ) -> AsyncBatchHandle:
        handle = await asyncio.to_thread(self.client.batch, source, destination, **options)
        return AsyncBatchHandle(handle)

    async def batch_items(
        self, items: Iterable[Mapping[str, Any]], **options: Any
    ) -> AsyncBatchHandle:
        handle = await asyncio.to_thread(self.client.batch_items, items, **options)
        return AsyncBatchHandle(handle)
