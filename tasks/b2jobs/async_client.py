"""The awaitable client. It works in threads of its own and leaves asyncio's to the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal, Unpack

from b2jobs.batches import AsyncBatchHandle, BatchHandle
from b2jobs.client import Client
from b2jobs.errors import B2JobsError
from b2jobs.event_stream import FIRST, Event, EventReader, pages
from b2jobs.handle import AsyncHandle
from b2jobs.items import Planned
from b2jobs.listings import AsyncListing
from b2jobs.records import Record
from b2jobs.requests import Job, State
from b2jobs.requests.options import (
    AccountOptions,
    BatchOptions,
    BucketOptions,
    ChoosingOptions,
    CopyOptions,
    DeleteOptions,
    DownloadOptions,
    JobOptions,
    ListOptions,
    MoveOptions,
    RemovalOptions,
    RetentionOptions,
    StreamOptions,
    SyncOptions,
    UploadOptions,
)
from b2jobs.results import (
    BucketResult,
    CheckResult,
    DeleteResult,
    DiskUsageResult,
    HideResult,
    LockResult,
    ShareResult,
    SyncResult,
    TransferResult,
    VerifyResult,
)
from b2jobs.staging import (
    AwaitedSource,
    Offer,
    Staging,
    awaited_pieces,
    is_awaited,
    is_handed,
    pieces,
)
from b2jobs.threads import Threads


class AsyncClient:
    """The awaitable twin of `Client`: the same methods and errors, awaited.

    Redis is asked in 16 threads of the client's own. What reads an iterable (`batch_items`,
    `batch_rows`, `verify`) or lists jobs takes one more while it lasts.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        key_prefix: str | None = None,
        timeout_seconds: float | None = None,
        client: Client | None = None,
    ) -> None:
        self.client = client or Client(
            redis_url, key_prefix=key_prefix, timeout_seconds=timeout_seconds
        )
        self.threads = Threads(self.client.timeout_seconds)

    async def submit(self, job: Job) -> AsyncHandle[Any]:
        return AsyncHandle(self.threads, await self.threads.run(self.client.submit, job))

    async def submit_many(self, jobs: Iterable[Job]) -> list[AsyncHandle[Any]]:
        handles = await self.threads.run_long(self.client.submit_many, jobs)
        return [AsyncHandle(self.threads, handle) for handle in handles]

    def job(self, job_id: str) -> AsyncHandle[Any]:
        return AsyncHandle(self.threads, self.client.job(job_id))

    async def jobs(
        self, *, state: State | None = None, kind: str | None = None, limit: int = 100
    ) -> list[Record]:
        return await self.threads.run_long(self.client.jobs, state=state, kind=kind, limit=limit)

    async def events(
        self,
        after: str = FIRST,
        *,
        kinds: Collection[str] = (),
        job: str | None = None,
        follow: bool = False,
    ) -> AsyncIterator[Event]:
        def read() -> Iterator[list[Event]]:
            reader = EventReader(self.client.records, after, kinds=kinds, job=job)
            return pages(reader, follow=follow)

        async for page in self.threads.each(read):
            for event in page:
                yield event

    async def ask(self, kind: str, **arguments: Any) -> AsyncHandle[Any]:
        if kind == "upload" and is_handed(arguments.get("source")):
            return await self._hand_over(**arguments)
        return AsyncHandle(self.threads, await self.threads.run(self.client.ask, kind, **arguments))

    async def _hand_over(self, source: Any, **arguments: Any) -> AsyncHandle[Any]:
        run = self.threads.run
        offer = await run(Offer.of, source, arguments)
        staged = Staging(self.client.records.pieces, offer.origin, offer.limits)
        try:
            async for piece in self._pieces(source):
                await run(staged.add, piece)
            return await self.submit(offer.request.from_staged(staged.location()))
        except BaseException:
            with suppress(B2JobsError):
                await run(staged.drop)
            raise

    def _pieces(self, source: AwaitedSource) -> AsyncIterator[bytes]:
        if is_awaited(source):
            return awaited_pieces(source)
        return self.threads.each(lambda: pieces(source))

    async def upload(
        self, source: str | AwaitedSource, destination: str, **options: Unpack[UploadOptions]
    ) -> AsyncHandle[TransferResult]:
        """As `Client.upload`; *source* may also be an async iterator of bytes, or a file whose
        `read` is awaited, such as an uploaded one in Starlette and FastAPI. Other files are
        read in a thread; a task that is cancelled meanwhile leaves nothing in Redis."""
        return await self.ask("upload", source=source, destination=destination, **options)

    async def download(
        self, source: str, destination: str | None = None, **options: Unpack[DownloadOptions]
    ) -> AsyncHandle[TransferResult]:
        return await self.ask("download", source=source, destination=destination, **options)

    async def copy(
        self, source: str, destination: str, **options: Unpack[CopyOptions]
    ) -> AsyncHandle[TransferResult]:
        return await self.ask("copy", source=source, destination=destination, **options)

    async def move(
        self, source: str, destination: str, **options: Unpack[MoveOptions]
    ) -> AsyncHandle[TransferResult]:
        return await self.ask("move", source=source, destination=destination, **options)

    async def hide(self, target: str, **options: Unpack[AccountOptions]) -> AsyncHandle[HideResult]:
        return await self.ask("hide", target=target, **options)

    async def unhide(
        self, target: str, **options: Unpack[AccountOptions]
    ) -> AsyncHandle[HideResult]:
        return await self.ask("unhide", target=target, **options)

    async def retention(
        self,
        target: str,
        retention: Literal["governance", "compliance", "none"],
        **options: Unpack[RetentionOptions],
    ) -> AsyncHandle[LockResult]:
        return await self.ask("retention", target=target, retention=retention, **options)

    async def hold(
        self, target: str, on: bool = True, **options: Unpack[AccountOptions]
    ) -> AsyncHandle[LockResult]:
        return await self.ask("hold", target=target, on=on, **options)

    async def delete(
        self, target: str, **options: Unpack[DeleteOptions]
    ) -> AsyncHandle[DeleteResult] | AsyncBatchHandle:
        handle = await self.threads.run(self.client.delete, target, **options)
        if isinstance(handle, BatchHandle):
            return AsyncBatchHandle(self.threads, handle)
        return AsyncHandle(self.threads, handle)

    async def bucket(
        self, action: str, name: str | None = None, **options: Unpack[BucketOptions]
    ) -> AsyncHandle[BucketResult]:
        return await self.ask("bucket", action=action, name=name, **options)

    async def ls(self, target: str, **options: Unpack[ListOptions]) -> AsyncListing:
        run = self.threads.run
        return AsyncListing(self.threads, await run(self.client.ls, target, **options))

    async def du(
        self, target: str, **options: Unpack[ChoosingOptions]
    ) -> AsyncHandle[DiskUsageResult]:
        return await self.ask("du", target=target, **options)

    async def share(
        self, source: str, seconds: int = 3600, **options: Unpack[AccountOptions]
    ) -> AsyncHandle[ShareResult]:
        return await self.ask("share", source=source, seconds=seconds, **options)

    async def check(
        self, account: str = "default", **options: Unpack[JobOptions]
    ) -> AsyncHandle[CheckResult]:
        return await self.ask("check", account=account, **options)

    async def sync(
        self, source: str, destination: str, **options: Unpack[SyncOptions]
    ) -> AsyncBatchHandle[SyncResult]:
        run = self.threads.run
        return AsyncBatchHandle(
            self.threads, await run(self.client.sync, source, destination, **options)
        )

    async def batch(
        self, source: str, destination: str | None = None, **options: Unpack[BatchOptions]
    ) -> AsyncBatchHandle:
        run = self.threads.run
        return AsyncBatchHandle(
            self.threads, await run(self.client.batch, source, destination, **options)
        )

    async def batch_delete(
        self,
        target: str,
        versions: Literal["latest", "all"] = "latest",
        **options: Unpack[RemovalOptions],
    ) -> AsyncBatchHandle:
        run = self.threads.run
        handle = await run(self.client.batch_delete, target, versions, **options)
        return AsyncBatchHandle(self.threads, handle)

    async def batch_items(
        self, items: Iterable[Mapping[str, Any]], **options: Unpack[StreamOptions]
    ) -> AsyncBatchHandle:
        run = self.threads.run_long
        return AsyncBatchHandle(self.threads, await run(self.client.batch_items, items, **options))

    async def batch_rows(
        self, rows: Iterable[Planned], **options: Unpack[StreamOptions]
    ) -> AsyncBatchHandle:
        run = self.threads.run_long
        return AsyncBatchHandle(self.threads, await run(self.client.batch_rows, rows, **options))

    async def verify(
        self,
        report: Iterable[str],
        *,
        prefix: str | None = None,
        **options: Unpack[AccountOptions],
    ) -> AsyncHandle[VerifyResult]:
        run = self.threads.run_long
        return AsyncHandle(
            self.threads, await run(self.client.verify, report, prefix=prefix, **options)
        )

    def batch_job(self, batch_id: str) -> AsyncBatchHandle:
        return AsyncBatchHandle(self.threads, self.client.batch_job(batch_id))
