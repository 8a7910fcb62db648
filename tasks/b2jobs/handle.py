"""A handle: what can be done with a job once it is queued."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Generic, cast

from redis.exceptions import TimeoutError as RedisTimeoutError
from typing_extensions import TypeVar

from b2jobs import commands
from b2jobs.connection import within
from b2jobs.ends import LOOK_SECONDS, AsyncWait, Wait
from b2jobs.errors import (
    Failure,
    InvalidJob,
    JobCancelled,
    JobFailed,
    QueueUnavailable,
    WaitTimeout,
)
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.requests import RESULTS, State, build
from b2jobs.results import Result, TransferResult
from b2jobs.threads import Threads

_FIRST_LOOK_SECONDS = 0.02
_LAST_LOOK_SECONDS = 0.5

R = TypeVar("R", bound=Result, default=Any)
"""What the job's `wait` returns."""
T = TypeVar("T")


class Handle(Generic[R]):
    """One job, seen from the producer. Cheap: it holds an id and asks Redis when asked.

    Every method may raise `QueueUnavailable` and `JobNotFound`.
    """

    def __init__(self, records: Records, job_id: str) -> None:
        self.records = records
        self.id = job_id

    def __repr__(self) -> str:
        return f"<b2jobs job {self.id}>"

    def record(self) -> Record:
        """All that is known of the job now."""
        return self.records.get(self.id)

    def state(self) -> State:
        """`queued`, `running`, `waiting`, `succeeded`, `failed` or `cancelled`."""
        return self.record().state

    def reason(self) -> str:
        """Why the job is not running, in one word; empty while it runs."""
        return self.records.waiting_for(self.record())

    def progress(self) -> dict[str, Any]:
        """`phase`, `done` and `total` bytes, `rate` in bytes per second; empty before it starts."""
        return self.record().progress

    def wait(self, timeout: float | None = None) -> R:
        """Wait for the end and return the result, for *timeout* seconds at most.

        It is told of the end within milliseconds, by one connection for all waits of a client.
        A Redis that does not answer ends the waiting half a second later at most.

        Raises:
            JobFailed: the job failed; `.failure` says why and who must act.
            JobCancelled: somebody cancelled it.
            WaitTimeout: it has not ended yet. It goes on.
        """
        with Wait(self.records.ends, self.id) as wait:
            record = until(self.ended, timeout, f"The job {self.id}", wait)
        return cast("R", outcome(record))

    def ended(self) -> Record | None:
        """The record of a job that has ended, None of another.

        Raises:
            SealRefused: this client has a key, and no worker of its fleet wrote the result.
        """
        record = self.record()
        if record.result is not None:
            self.records.ring.check_result(record.result, self.id)
        return record if record.has_ended else None

    def cancel(self) -> State:
        """Cancel the job; returns its state after the call.

        A job that has not started never will. A running one stops within two seconds and
        removes what it has begun; until then the state is `running`. One that has ended
        stays as it is.

        Raises:
            InvalidJob: `keys_missing`: where workers require signatures, they heed its producer
                and who has their keys.
        """
        return commands.cancel(self.records, self.id)

    def retry(self) -> State:
        """Queue a failed or cancelled job again, with its budget anew; returns its state after
        the call. Others stay as they are.

        Raises:
            InvalidJob: `staged_gone`: the bytes that came with it went when it ended.
        """
        return self.records.retry(self.id)

    def share(self, seconds: int = 3600) -> str:
        """A URL that opens this job's file in B2 for *seconds*, 604,800 at most.

        Minted by a worker, since only workers hold credentials: this waits for the job and
        then for one more.

        Raises:
            InvalidJob: the job left no file in B2.
            JobFailed, JobCancelled
        """
        source, account = shareable(self.wait(), self.record())
        asked = ask(self.records, "share", source=source, seconds=seconds, account=account)
        made: Any = type(self)(self.records, asked).wait()
        return str(made.url)


class AsyncHandle(Generic[R]):
    """The awaitable twin of `Handle`: the same methods, and no thread is held while waiting."""

    def __init__(self, threads: Threads, handle: Handle[R]) -> None:
        self._threads = threads
        self._handle = handle
        self.id = handle.id

    def __repr__(self) -> str:
        return f"<awaitable b2jobs job {self.id}>"

    async def record(self) -> Record:
        return await self._threads.run(self._handle.record)

    async def state(self) -> State:
        return await self._threads.run(self._handle.state)

    async def reason(self) -> str:
        return await self._threads.run(self._handle.reason)

    async def progress(self) -> dict[str, Any]:
        return await self._threads.run(self._handle.progress)

    async def wait(self, timeout: float | None = None) -> R:
        looking = _Looking(timeout, f"The job {self.id}")
        run = self._threads.run_within
        with AsyncWait(self._handle.records.ends, self.id) as wait:
            for pause in looks(timeout, wait):
                with looking:
                    record = await run(looking.left(), self._handle.ended)
                    if record is not None:
                        return cast("R", outcome(record))
                await wait.rest_awaited(pause)
        raise looking.over()

    async def ended(self) -> Record | None:
        return await self._threads.run(self._handle.ended)

    async def cancel(self) -> State:
        return await self._threads.run(self._handle.cancel)

    async def retry(self) -> State:
        return await self._threads.run(self._handle.retry)

    async def share(self, seconds: int = 3600) -> str:
        source, account = shareable(await self.wait(), await self.record())
        known = self._handle.records
        asked = await self._threads.run(
            ask, known, "share", source=source, seconds=seconds, account=account
        )
        job: AsyncHandle = AsyncHandle(self._threads, type(self._handle)(known, asked))
        return str((await job.wait()).url)


def ask(records: Records, kind: str, **arguments: Any) -> str:
    """Submit a job of *kind*; its id."""
    return records.submit(str(uuid.uuid4()), build(kind, arguments))


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


def shareable(result: Result, record: Record) -> tuple[str, str]:
    """Where the file is that a job left in B2, and whose account opens it.

    Raises:
        InvalidJob
    """
    if not isinstance(result, TransferResult) or not result.bucket or not result.name:
        raise InvalidJob(
            f"The {record.kind} {record.id} left no file in B2 that could be shared.",
            hint="Share the file itself: b2jobs.share('b2://BUCKET/NAME').",
        )
    return f"b2://{result.bucket}/{result.name}", record.request.get("account", "default")


def until(
    look: Callable[[], T | None], timeout: float | None, what: str, wait: Wait | None = None
) -> T:
    """Call *look* until it returns something, for *timeout* seconds at most; return that.

    *wait* is told when there may be something to see.

    Raises:
        WaitTimeout: it never did, or Redis was silent all the time. *what* has not ended.
    """
    looking = _Looking(timeout, what)
    wait = wait or Wait(None, "")
    for pause in looks(timeout, wait):
        with looking, within(looking.left()):
            found = look()
            if found is not None:
                return found
        wait.rest(pause)
    raise looking.over()


class _Looking:
    """The time in which something is to end; around a look, a silent Redis ends it as well."""

    def __init__(self, timeout: float | None, what: str) -> None:
        self._timeout = float("inf") if timeout is None else timeout
        self._end = time.monotonic() + self._timeout
        self._what = what

    def left(self) -> float:
        """Seconds that a look may take: half a second at the least, so that one is complete."""
        return max(self._end - time.monotonic(), _LAST_LOOK_SECONDS)

    def over(self) -> WaitTimeout:
        return WaitTimeout(f"{self._what} has not ended after {self._timeout:g} s; it goes on.")

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        silent = isinstance(error, QueueUnavailable) and (
            error.__cause__ is None or isinstance(error.__cause__, RedisTimeoutError)
        )
        if silent and time.monotonic() >= self._end:
            raise self.over() from error


def looks(timeout: float | None, wait: Wait) -> Iterator[float]:
    """How long to pause after each look, until *timeout*.

    Where *wait* is told of the end, half a minute. Else a tenth of the time waited so far, so
    that an end is seen late by a tenth at most: 20 ms at first, then at least twice a second.
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
        if wait.is_told:
            pause = LOOK_SECONDS
