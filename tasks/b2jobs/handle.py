"""A handle: what can be done with a job once it is queued."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from b2jobs.errors import Failure, JobCancelled, JobFailed, WaitTimeout
from b2jobs.records import Record
from b2jobs.requests import RESULTS, State
from b2jobs.results import Result, ShareResult

if TYPE_CHECKING:
    from b2jobs.client import Client

_FIRST_LOOK_SECONDS = 0.02
_LAST_LOOK_SECONDS = 0.5


class Handle:
    """One job, seen from the producer. Cheap: it holds an id and asks Redis when asked.

    Every method may raise `QueueUnavailable` and `JobNotFound`.
    """

    def __init__(self, client: Client, job_id: str) -> None:
        self._client = client
        self.id = job_id

    def __repr__(self) -> str:
        return f"<b2jobs job {self.id}>"

    def record(self) -> Record:
        """All that is known of the job now."""
        return self._client.records.get(self.id)

    def state(self) -> State:
        """`queued`, `running`, `waiting`, `succeeded`, `failed` or `cancelled`."""
        return self.record().state

    def reason(self) -> str:
        """Why the job is not running, in one word; empty while it runs."""
        return self._client.records.waiting_for(self.record())

    def progress(self) -> dict[str, Any]:
        """`phase`, `done` and `total` bytes, `rate` in bytes per second; empty before it starts."""
        return self.record().progress

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the end and return the result, for *timeout* seconds at most.

        Raises:
            JobFailed: the job failed; `.failure` says why and who must act.
            JobCancelled: somebody cancelled it.
            WaitTimeout: it has not ended yet. It goes on.
        """
        for pause in looks(timeout):
            record = self.record()
            if record.has_ended:
                return outcome(record)
            time.sleep(pause)
        raise WaitTimeout(f"The job {self.id} has not ended after {timeout:g} s.")

    def cancel(self) -> State:
        """Cancel the job; returns its state after the call.

        A job that has not started never will. A running one stops within two seconds and
        removes what it has begun; until then the state is `running`. One that has ended
        stays as it is.
        """
        return self._client.records.cancel(self.id)

    def share(self, seconds: int = 3600) -> str:
        """A URL that opens this upload's file for *seconds*, 604,800 at most.

        Minted by a worker, since only workers hold credentials: this waits for the upload
        and then for one more job.
        """
        result = self.wait()
        account = self.record().request.get("account", "default")
        job = self._client.share(
            f"b2://{result.bucket}/{result.name}", seconds=seconds, account=account
        )
        shared = job.wait()
        assert isinstance(shared, ShareResult)
        return shared.url


class AsyncHandle:
    """The awaitable twin of `Handle`: the same methods, and no thread is held while waiting."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.id = handle.id

    async def record(self) -> Record:
        return await asyncio.to_thread(self._handle.record)

    async def state(self) -> State:
        return (await self.record()).state

    async def reason(self) -> str:
        return await asyncio.to_thread(self._handle.reason)

    async def progress(self) -> dict[str, Any]:
        return (await self.record()).progress

    async def wait(self, timeout: float | None = None) -> Any:
        for pause in looks(timeout):
            record = await self.record()
            if record.has_ended:
                return outcome(record)
            await asyncio.sleep(pause)
        raise WaitTimeout(f"The job {self.id} has not ended after {timeout:g} s.")

    async def cancel(self) -> State:
        return await asyncio.to_thread(self._handle.cancel)

    async def share(self, seconds: int = 3600) -> str:
        await self.wait()
        return await asyncio.to_thread(self._handle.share, seconds)


def outcome(record: Record) -> Result:
    """The result of a job that has ended, or its failure raised."""
    if record.state == "succeeded":
        return RESULTS[record.kind](**(record.result or {}))
    if record.state == "cancelled":
        raise JobCancelled(f"The job {record.id} was cancelled.")
    failure = record.failure or Failure(
        code="internal_error", message="The job failed and left no reason.", act="us"
    )
    raise JobFailed(failure, record.id)


def looks(timeout: float | None) -> Iterator[float]:
    """How long to pause after each look, until *timeout*: a tenth of the time waited so far.

    So an end is seen late by a tenth at most. 20 ms at first, then at least twice a second.
    """
    began = time.monotonic()
    pause = _FIRST_LOOK_SECONDS
    end = None if timeout is None else began + timeout
    while True:
        left = pause if end is None else end - time.monotonic()
        yield max(0.0, min(pause, left))
        if end is not None and time.monotonic() >= end:
            yield 0.0
            return
        waited = time.monotonic() - began
        pause = min(max(waited / 10, _FIRST_LOOK_SECONDS), _LAST_LOOK_SECONDS)
