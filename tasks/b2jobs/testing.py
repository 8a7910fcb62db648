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

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack, cast

import b2jobs
import b2jobs.aio
from b2jobs import locations
from b2jobs.async_client import AsyncClient
from b2jobs.batches import BatchHandle
from b2jobs.client import Client
from b2jobs.errors import Act, Failure, QueueUnavailable
from b2jobs.feed import RowsBroke
from b2jobs.handle import Handle
from b2jobs.items import Planned
from b2jobs.record import Record
from b2jobs.recorded import (
    Answer,
    MemoryRecords,
    RecordedBatchHandle,
    RecordedHandle,
    RecordedListing,
    plausible_result,
)
from b2jobs.records import Records
from b2jobs.requests import Job, State, Upload
from b2jobs.requests.on_done import TaskCall
from b2jobs.requests.options import ListOptions

__all__ = [
    "Answer",
    "RecordedJob",
    "RecordedJobs",
    "RecordingClient",
    "plausible_result",
]


@dataclass(frozen=True)
class RecordedJob:
    """One job that was asked for: its validated request and its end, which the test decides."""

    id: str
    request: Job
    _records: MemoryRecords

    @property
    def items(self) -> list[Planned]:
        """What a batch was handed with `batch_items`: items, and lines that were refused."""
        return self._records.planned(self.id)

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
        self._records.start(self.id, progress)

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

    @property
    def on_done(self) -> list[str]:
        """Who is told of its end: names of tasks, and URLs."""
        return [to.task if isinstance(to, TaskCall) else to.url for to in self.request.on_done]

    def tell(
        self, celery: Any = None, post: Callable[[str, dict[str, Any]], object] | None = None
    ) -> None:
        """Tell everybody that `on_done` names, as a worker does after the end.

        celery: the application's Celery, whose tasks are called here and now; what they raise
            is raised.
        post: is called with a webhook's URL and what it would be sent.

        Raises:
            AssertionError: it has not ended, or somebody cannot be told with what was given.
        """
        record = self._records.get(self.id)
        assert record.has_ended, f"the {self.kind} has not ended: call succeed(), fail(), cancel()"
        failure = record.failure.model_dump() if record.failure else None
        about = {
            "job": self.id,
            "kind": self.kind,
            "state": record.state,
            "result": record.result,
            "failure": failure,
        }
        for to in self.request.on_done:
            if isinstance(to, TaskCall):
                assert celery is not None, f"{to.task} is a task: give the application's Celery"
                given = about
                if to.gives == "batch":
                    given = {"batch": self.id, "state": record.state, "summary": record.result}
                celery.tasks[to.task].apply(to.args, {**to.kwargs, **given}, throw=True)
            else:
                assert post is not None, f"{to.url} is a webhook: give a function for it"
                ended = record.ended.isoformat() if record.ended else None
                post(to.url, {"type": f"job.{record.state}", "timestamp": ended, "data": about})


class _WithinReach:
    """The records as a client and its handles reach them, unless the test says that it is away."""

    def __init__(self, memory: MemoryRecords) -> None:
        self.memory = memory
        self.is_away = False

    def __getattr__(self, name: str) -> Any:
        if self.is_away:
            raise QueueUnavailable("Redis is away, as the test says.")
        return getattr(self.memory, name)


class RecordingClient(Client):
    """A `Client` that keeps what it is asked in memory. Its handles work, awaited or not."""

    def __init__(self) -> None:
        super().__init__("redis://recorded.invalid:6379/0", key_prefix="")
        self._within_reach = _WithinReach(self.memory)

    @property
    def records(self) -> Records:
        """The records, in memory."""
        return cast("Records", self._within_reach)

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Let whatever asks Redis raise `QueueUnavailable` meanwhile."""
        self._within_reach.is_away = True
        try:
            yield
        finally:
            self._within_reach.is_away = False

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

    def job(self, job_id: str) -> Handle[Any]:
        return RecordedHandle(self.records, job_id)

    def batch_job(self, batch_id: str) -> BatchHandle[Any]:
        return RecordedBatchHandle(self.records, batch_id)

    def ls(self, target: str, **options: Unpack[ListOptions]) -> RecordedListing:
        return RecordedListing(self.records, super().ls(target, **options).id)

    def _feed_rows(self, job_id: str, rows: Iterable[Any]) -> None:
        """Keep *rows*."""
        kept = self.memory.rows.setdefault(job_id, [])
        try:
            kept.extend(rows)
        except Exception as error:
            broke = RowsBroke([])
            broke.count = len(kept)
            raise broke from error

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
