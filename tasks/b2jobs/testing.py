"""For an application's own tests: a client that records jobs instead of queueing them.

    pytest_plugins = ["b2jobs.testing"]          # in conftest.py

    def test_avatar_is_uploaded(b2jobs_client):
        save_avatar("picture.png")               # calls b2jobs.upload(...)
        [job] = b2jobs_client.jobs
        assert job.request.destination == "b2://avatars-bucket/picture.png"
        job.succeed(url="https://cdn.example/picture.png")

Jobs are validated as the real client validates them; no Redis is asked. What a job ends with
is said afterwards (`succeed`, `fail`, `cancel`) or beforehand (`RecordingClient.answer`).
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast, get_args

import b2jobs
import b2jobs.aio
from b2jobs import locations
from b2jobs.async_client import AsyncClient
from b2jobs.client import Client
from b2jobs.errors import Act, Failure, JobNotFound
from b2jobs.handle import Handle
from b2jobs.records import Record, Records
from b2jobs.requests import RESULTS, Copy, Download, Job, State, Upload
from b2jobs.results import Result
from b2jobs.signing import Ring

Answer = Result | Failure | Callable[[Job], Result | Failure]


@dataclass(frozen=True)
class RecordedJob:
    """One job that was asked for: its validated request and its end, which the test decides."""

    id: str
    request: Job
    _records: MemoryRecords

    @property
    def kind(self) -> str:
        return self.request.kind

    @property
    def state(self) -> State:
        return self._records.get(self.id).state

    @property
    def content(self) -> bytes | None:
        """What an upload was handed: bytes, a path, a file or a `data:` location; else None."""
        source = self.request.source_location if isinstance(self.request, Upload) else None
        if isinstance(source, locations.StagedBytes):
            return self._records.pieces.content(source.id)
        return source.content if isinstance(source, locations.InlineData) else None

    def start(self, **progress: Any) -> None:
        """Let it run: `state()` says so, and `progress()` gives what is given here."""
        self._records.change(self.id, state="running", attempts=1, progress=progress)

    def succeed(self, **result: Any) -> None:
        """End it well. What is not given is made up from the request."""
        made = plausible_result(self.request).model_copy(update=result)
        self._records.end(self.id, made)

    def fail(
        self, code: str, message: str = "asked to fail", *, act: Act = "caller", hint: str = ""
    ) -> None:
        """End it with a failure; `wait()` raises it as `JobFailed`."""
        self._records.end(self.id, Failure(code=code, message=message, act=act, hint=hint))

    def cancel(self) -> None:
        """End it as cancelled."""
        self._records.cancel(self.id)


class RecordingClient(Client):
    """A `Client` that keeps what it is asked in memory. Its handles work, awaited or not."""

    def __init__(self) -> None:
        super().__init__("redis://recorded.invalid:6379/0", key_prefix="")

    @cached_property
    def records(self) -> Records:
        """The records, in memory."""
        return cast("Records", self.memory)

    @cached_property
    def memory(self) -> MemoryRecords:
        return MemoryRecords()

    @property
    def jobs(self) -> RecordedJobs:
        """Everything asked for so far, in order; a key that came twice stands here once.

        Called, it lists records as `Client.jobs` does.
        """
        return RecordedJobs(self)

    def asked(self, kind: str) -> list[RecordedJob]:
        """The jobs of one kind."""
        return [job for job in self.jobs if job.kind == kind]

    def answer(self, kind: str, answer: Answer | None = None) -> None:
        """End every later job of *kind* at once: with a result, a failure, or what a function says.

        Without *answer* it succeeds with a plausible result.
        """
        self.memory.answers[kind] = plausible_result if answer is None else answer

    def submit(self, job: Job) -> Handle[Any]:
        """Record *job*."""
        return RecordedHandle(self.records, self.records.submit(str(uuid.uuid4()), job))

    def job(self, job_id: str) -> Handle[Any]:
        return RecordedHandle(self.records, job_id)

    def awaitable(self) -> AsyncClient:
        """The awaitable twin of this client; both see the same jobs."""
        return AsyncClient(client=self)


class RecordedJobs(list[RecordedJob]):
    """The recorded jobs; called, what `Client.jobs` says of them."""

    def __init__(self, client: RecordingClient) -> None:
        requests = client.memory.requests.items()
        super().__init__(RecordedJob(id_, request, client.memory) for id_, request in requests)
        self._client = client

    def __call__(
        self, *, state: State | None = None, kind: str | None = None, limit: int = 100
    ) -> list[Record]:
        return Client.jobs(self._client, state=state, kind=kind, limit=limit)


class RecordedHandle(Handle):
    """A handle that says so instead of waiting for ever for a job that nobody ends."""

    def wait(self, timeout: float | None = None) -> Any:
        if timeout is None and not self.record().has_ended:
            raise AssertionError(
                f"{self!r} has not ended, and nothing in this test will end it: call succeed() "
                "or fail() on the recorded job, or answer() on the client before."
            )
        return super().wait(timeout)


class MemoryRecords:
    """What `Records` does for a client and its handles, in memory. Thread-safe."""

    ends = None
    """Nobody tells of ends: waits look by themselves."""

    def __init__(self) -> None:
        self.ring = Ring()
        self.pieces = MemoryPieces()
        self.requests: dict[str, Job] = {}
        self.answers: dict[str, Answer] = {}
        self._records: dict[str, Record] = {}
        self._lock = threading.RLock()

    def submit(self, job_id: str, job: Job, *, delay_seconds: float = 0.0) -> str:
        first = self._submit(job_id, job, delay_seconds)
        if first != job_id and (staged := _staged(job)):
            self.pieces.drop(staged.id)
        return first

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
            answer = self.answers.get(job.kind)
            if answer is not None:
                self.end(job_id, answer(job) if callable(answer) else answer)
            return job_id

    def get(self, job_id: str) -> Record:
        found = self._records.get(job_id)
        if found is None:
            raise JobNotFound(f"There is no job {job_id!r}.")
        return found

    def cancel(self, job_id: str) -> State:
        with self._lock:
            if not self.get(job_id).has_ended:
                self.change(job_id, state="cancelled", ended=datetime.now(UTC))
            return self.get(job_id).state

    def retry(self, job_id: str) -> State:
        with self._lock:
            if self.get(job_id).state in ("failed", "cancelled"):
                self.change(job_id, state="queued", ended=None, failure=None)
            return self.get(job_id).state

    def end(self, job_id: str, outcome: Result | Failure) -> None:
        with self._lock:
            attempts = max(1, self.get(job_id).attempts)
            more: dict[str, Any] = {"attempts": attempts, "ended": datetime.now(UTC), "reason": ""}
            if isinstance(outcome, Failure):
                failure = outcome.model_copy(update={"attempts": attempts})
                self.change(job_id, state="failed", failure=failure, **more)
            else:
                said = {"job": job_id, "kind": self.requests[job_id].kind, "attempts": attempts}
                result = outcome.model_copy(update=said).model_dump(mode="json")
                self.change(job_id, state="succeeded", result=result, **more)

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


class MemoryPieces:
    """What `Pieces` does, in memory: what an application handed over, kept for the test."""

    def __init__(self) -> None:
        self._pieces: dict[str, dict[int, bytes]] = {}

    def put(self, staged: str, number: int, piece: bytes, *, most: int, all_: int | None) -> None:
        del most, all_  # the one of a job is checked before
        self._pieces.setdefault(staged, {})[number] = piece

    def drop(self, staged: str) -> None:
        self._pieces.pop(staged, None)

    def content(self, staged: str) -> bytes:
        return b"".join(self._pieces[staged].values())


def _staged(request: Job) -> locations.StagedBytes | None:
    source = request.source_location if isinstance(request, Upload) else None
    return source if isinstance(source, locations.StagedBytes) else None


def plausible_result(request: Job) -> Result:
    """A result as a worker would leave it, as far as the request tells."""
    if isinstance(request, Upload):
        return _transferred("upload", request.target())
    if isinstance(request, Copy):
        return _transferred("copy", request.target())
    if isinstance(request, Download):
        source = _transferred("download", request.source_location)
        return source.model_copy(update={"uri": request.destination or request.source})
    return RESULTS.get(request.kind, Result)(kind=request.kind)


def _transferred(kind: str, file: locations.Location) -> Result:
    model = RESULTS[kind]
    said = {"kind": kind, "uri": str(file), "sha1": "0" * 40, "verified": True}
    if isinstance(file, locations.B2File):
        said |= {
            "bucket": file.bucket,
            "name": file.name,
            "url": f"https://f000.backblazeb2.com/file/{file.bucket}/{file.name}",
        }
    return model(**said)


try:
    import pytest
except ImportError:  # an application that tests with something else
    pass
else:

    @pytest.fixture
    def b2jobs_client(monkeypatch: pytest.MonkeyPatch) -> RecordingClient:
        """A `RecordingClient` behind `b2jobs.upload` and all the module's functions."""
        client = RecordingClient()
        monkeypatch.setattr(b2jobs, "default_client", lambda: client)
        monkeypatch.setattr(b2jobs.aio, "default_client", client.awaitable)
        return client
