"""Job records in memory, for applications' own tests: see `b2jobs.testing`."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast, get_args

from b2jobs import locations
from b2jobs.batch_status import BatchStatus
from b2jobs.batches import BatchHandle
from b2jobs.errors import Failure, JobNotFound
from b2jobs.event_stream import EventName, place_of
from b2jobs.handle import Handle
from b2jobs.items import Item, Planned, unpacked
from b2jobs.listings import Listing
from b2jobs.records import Record
from b2jobs.requests import (
    RESULTS,
    Copy,
    Download,
    Hide,
    Hold,
    Job,
    Retention,
    State,
    Unhide,
    Upload,
)
from b2jobs.results import BatchResult, Result
from b2jobs.signing import Ring

Answer = Result | Failure | Callable[[Job], Result | Failure]


class MemoryRecords:
    """What `Records` does for a client and its handles, in memory. Thread-safe."""

    ends = None
    """Nobody tells of ends: waits look by themselves."""
    url, prefix, timeout_seconds = "redis://recorded.invalid:6379/0", "b2jobs:", 10.0

    def __init__(self) -> None:
        self.redis = MemoryStream()
        self.ring = Ring()
        self.pieces = MemoryPieces()
        self.requests: dict[str, Job] = {}
        self.rows: dict[str, list[list[Any]]] = {}
        self.answers: dict[str, Answer] = {}
        self._records: dict[str, Record] = {}
        self._lock = threading.RLock()

    def submit(self, job_id: str, job: Job, *, delay_seconds: float = 0.0) -> str:
        first = self._submit(job_id, job, delay_seconds)
        if first != job_id and (staged := _staged(job)):
            self.pieces.drop(staged.id)
        return first

    def submit_many(self, jobs: Iterable[tuple[str, Job]]) -> list[str]:
        return [self.submit(job_id, job) for job_id, job in jobs]

    def _submit(self, job_id: str, job: Job, delay_seconds: float) -> str:
        with self._lock:
            first = next(
                (r.id for r in self._records.values() if job.key and r.key == job.key), None
            )
            if first is not None or job_id in self._records:
                return first or job_id
            self.requests[job_id] = job
            self._records[job_id] = Record(
                id=job_id,
                kind=job.kind,
                state="waiting" if delay_seconds else "queued",
                reason="window" if delay_seconds else "",
                priority=job.priority,
                key=job.key or "",
                request=job.arguments(),
                staged_bytes=staged.size if (staged := _staged(job)) else None,
                retry_seconds=job.retry,
                created=datetime.now(UTC),
            )
            self.redis.add(self._records[job_id], "submitted", priority=job.priority)
            answer = self.answers.get(job.kind)
            if answer is not None:
                self.end(job_id, answer(job) if callable(answer) else answer)
            return job_id

    def get(self, job_id: str) -> Record:
        found = self._records.get(job_id)
        if found is None:
            raise JobNotFound(f"There is no job {job_id!r}.")
        return found

    def cancel(self, job_id: str, *, by: str | None = None) -> State:
        del by
        with self._lock:
            if not self.get(job_id).has_ended:
                self.change(job_id, state="cancelled", ended=datetime.now(UTC))
                self.redis.add(self.get(job_id), "ended", state="cancelled", code="cancelled")
            return self.get(job_id).state

    def retry(self, job_id: str, *, state: State = "failed") -> State:
        with self._lock:
            if self.get(job_id).state in ("failed", "cancelled", state):
                self.change(job_id, state="queued", ended=None, failure=None, result=None)
                self.redis.add(self.get(job_id), "retried")
            return self.get(job_id).state

    def planned(self, job_id: str) -> list[Planned]:
        """The items that were handed over with a batch."""
        return [unpacked(row) for row in self.rows.get(job_id, [])]

    def pause(self, job_id: str) -> State:
        """As a batch is paused; the state before."""
        with self._lock:
            record = self.get(job_id)
            if not record.has_ended:
                self.change(job_id, state="waiting", reason="paused")
                self.redis.add(record, "paused")
            return record.state

    def resume(self, job_id: str) -> State:
        with self._lock:
            record = self.get(job_id)
            if record.reason == "paused":
                self.change(job_id, state="queued", reason="")
                self.redis.add(record, "resumed")
            return record.state

    def start(self, job_id: str, progress: dict[str, Any]) -> None:
        with self._lock:
            before = self.get(job_id)
            self.change(job_id, state="running", attempts=1, progress=progress)
            if before.state != "running":
                self.redis.add(before, "started", attempt=1)
            elif before.kind in ("batch", "sync"):
                self.redis.add(before, "progress", **progress)

    def end(self, job_id: str, outcome: Result | Failure) -> None:
        with self._lock:
            attempts = max(1, self.get(job_id).attempts)
            more: dict[str, Any] = {"attempts": attempts, "ended": datetime.now(UTC), "reason": ""}
            if isinstance(outcome, Failure):
                failure = outcome.model_copy(update={"attempts": attempts})
                self.change(job_id, state="failed", failure=failure, **more)
                self.redis.add(self.get(job_id), "ended", state="failed", code=failure.code)
            else:
                said = {"job": job_id, "kind": self.requests[job_id].kind, "attempts": attempts}
                result = outcome.model_copy(update=said).model_dump(mode="json")
                self.change(job_id, state="succeeded", result=result, **more)
                self.redis.add(self.get(job_id), "ended", state="succeeded")

    def change(self, job_id: str, **fields: Any) -> None:
        with self._lock:
            self._records[job_id] = replace(self.get(job_id), **fields)

    def waiting_for(self, record: Record) -> str:
        return "in_line" if record.state == "queued" else record.reason

    def listed(self, state: State, *, limit: int = 100) -> Iterator[Record]:
        found = [record for record in reversed(self._records.values()) if record.state == state]
        return itertools.islice(found, limit)

    def counts(self) -> dict[State, int]:
        return {state: sum(1 for _ in self.listed(state, limit=2**31)) for state in get_args(State)}


class MemoryStream:
    """The stream of events in memory, with what `EventReader` asks of Redis. Thread-safe."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, dict[str, str]]] = []
        self._more = threading.Condition()

    def add(self, record: Record, event: EventName, **details: Any) -> None:
        more = json.dumps(details)
        values = {"event": event, "job": record.id, "kind": record.kind, "more": more}
        with self._more:
            at = time.time_ns() // 1_000_000
            self._entries.append((f"{at}-{len(self._entries)}", values))
            self._more.notify_all()

    def xread(
        self, streams: Mapping[str, str], count: int, block: int | None
    ) -> list[tuple[str, list[tuple[str, dict[str, str]]]]]:
        [(key, last)] = streams.items()
        with self._more:
            if block is not None:
                self._more.wait_for(lambda: self._behind(last), block / 1000)
            found = self._behind(last)[:count]
        return [(key, found)] if found else []

    def xrange(
        self, key: str, low: str = "-", high: str = "+", count: int | None = None
    ) -> list[tuple[str, dict[str, str]]]:
        del key
        found = [
            each
            for each in list(self._entries)
            if (low == "-" or place_of(each[0]) >= place_of(low))
            and (high == "+" or place_of(each[0]) <= place_of(high))
        ]
        return found[:count]

    def xrevrange(self, key: str, count: int) -> list[tuple[str, dict[str, str]]]:
        del key
        return self._entries[::-1][:count]

    def _behind(self, last: str) -> list[tuple[str, dict[str, str]]]:
        return [each for each in self._entries if place_of(each[0]) > place_of(last)]


class MemoryPieces:
    """What `Pieces` does, in memory: what an application handed over, kept for the test."""

    def __init__(self) -> None:
        self._pieces: dict[str, dict[int, bytes]] = {}

    def put(self, staged: str, number: int, piece: bytes, *, most: int, all_: int | None) -> None:
        del most, all_  # the one of a job is checked before
        self._pieces.setdefault(staged, {})[number] = piece

    def drop(self, staged: str, *, owner: str = "") -> None:
        del owner
        self._pieces.pop(staged, None)

    def content(self, staged: str) -> bytes:
        return b"".join(self._pieces[staged].values())


def _staged(request: Job) -> locations.StagedBytes | None:
    source = request.source_location if isinstance(request, Upload) else None
    return source if isinstance(source, locations.StagedBytes) else None


class RecordedHandle(Handle[Any]):
    """A handle that says so instead of waiting for ever for a job that nobody ends."""

    def wait(self, timeout: float | None = None) -> Any:
        if timeout is None and not self.record().has_ended:
            raise AssertionError(
                f"{self!r} has not ended, and nothing in this test will end it: call succeed() "
                "or fail() on the recorded job, or answer() on the client before."
            )
        return super().wait(timeout)

    def cancel(self) -> State:
        return self.records.cancel(self.id)


class RecordedBatchHandle(RecordedHandle, BatchHandle[Any]):
    """A batch of which the test says how it stands: what `start` and `succeed` were given."""

    def status(self) -> BatchStatus:
        record = self.record()
        if record.kind not in ("batch", "sync"):
            raise JobNotFound(f"The job {self.id!r} is a {record.kind}, not a batch.")
        planned = self._memory.rows.get(self.id, [])
        result = BatchResult.model_validate(record.result) if record.result else None
        known = {"items": len(planned), **record.progress}
        if result is not None:
            fields = ("items", "size_bytes", "moved_bytes", "outcomes", "codes", "packs")
            known |= {name: getattr(result, name) for name in fields}
        named = BatchStatus.__dataclass_fields__.keys()
        return BatchStatus(
            job=self.id,
            state=record.state,
            reason=self._memory.waiting_for(record),
            **{name: value for name, value in known.items() if name in named},
        )

    def state(self) -> State:
        return self.record().state

    def reason(self) -> str:
        return self._memory.waiting_for(self.record())

    def pause(self) -> State:
        return self._memory.pause(self.id)

    def resume(self, *, max_cost: float | None = None) -> State:
        del max_cost  # nothing here costs anything
        return self._memory.resume(self.id)

    def retry(self, *, only_failed: bool = False, codes: Iterable[str] = ()) -> State:
        del only_failed, codes
        return self._memory.retry(self.id, state="succeeded")

    def lines(self) -> Iterator[dict[str, Any]]:
        """The items that were handed over, as done where the batch is and they can be."""
        status = {"succeeded": "transferred", "cancelled": "cancelled"}.get(self.state(), "failed")
        for number, planned in enumerate(self._memory.planned(self.id), 1):
            yield {
                "item": number,
                "source": planned.source,
                "destination": planned.destination,
                "status": status if isinstance(planned, Item) else "failed",
            }

    @property
    def _memory(self) -> MemoryRecords:
        return cast("MemoryRecords", self.records)


class RecordedListing(RecordedHandle, Listing):
    """A listing whose lines are those that the test lets it succeed with."""

    def pages(self, timeout: float | None = None) -> Generator[list[dict[str, Any]], None, None]:
        yield from filter(None, (self.wait(timeout).lines,))


def plausible_result(request: Job) -> Result:
    """A result as a worker would leave it, as far as the request tells."""
    if isinstance(request, Upload):
        made, staged = _transferred("upload", request.target()), _staged(request)
        said = {"size": staged.size, "sha1": staged.sha1} if staged else {}
        return made.model_copy(update=said)
    if isinstance(request, Copy):
        return _transferred(request.kind, request.target())
    if isinstance(request, Download):
        source = _transferred("download", request.source_location)
        return source.model_copy(update={"uri": request.destination or request.source})
    said = dict[str, Any]()
    match request:
        case Hide() | Unhide():
            shown = isinstance(request, Unhide)
            said = {"uri": request.target, "status": "shown" if shown else "hidden"}
        case Retention():
            said = {"uri": request.target, "retention": request.retention}
            said |= {"retain_until": request.retain_until}
        case Hold():
            said = {"uri": request.target, "legal_hold": request.on}
    return RESULTS.get(request.kind, Result)(kind=request.kind, **said)


def _transferred(kind: str, file: locations.Location) -> Result:
    model = RESULTS[kind]
    said: dict[str, Any] = {"kind": kind, "uri": str(file), "sha1": "0" * 40, "verified": True}
    if isinstance(file, locations.B2File):
        said |= {
            "bucket": file.bucket,
            "name": file.name,
            "url": f"https://f000.backblazeb2.com/file/{file.bucket}/{file.name}",
        }
    return model(**said)
