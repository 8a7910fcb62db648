"""The job record in Redis: what is true about a job, for producers and workers alike.

The record is the truth, the Celery message is only a doorbell. Both are written in one
step, by the scripts in `b2jobs/redis/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import islice
from typing import Any, cast, get_args

from redis import Redis

from b2jobs.celery_meta import children_of, failed_meta, revoked_meta
from b2jobs.connection import TIMEOUT_SECONDS, connect
from b2jobs.ends import Ends
from b2jobs.errors import B2JobsError, Failure, InvalidJob, JobNotFound
from b2jobs.locations import InlineData, StagedBytes
from b2jobs.record import Record as Record  # noqa: PLC0414 - found here by all
from b2jobs.record import record_of
from b2jobs.redis import Door, unavailable
from b2jobs.redis.pieces import Pieces, gone
from b2jobs.requests import Job, Priority, State, Upload
from b2jobs.requests.on_done import to_tell
from b2jobs.signed import Signed, Submission, invalid
from b2jobs.signing import Ring
from b2jobs.staging import Limits, Origin, staging
from b2jobs.tracing import traceparent

MOST_REQUEST_BYTES = 1024 * 1024
"""Longest request that is accepted, as JSON; data of a job goes another way."""
WORKER_LIFE_SECONDS = 30.0
_PAGE = 500
_MOST_TOGETHER = 100
"""Jobs that one step submits: it holds Redis for some milliseconds."""


class Records:
    """The records of one installation. Thread-safe; any call may raise `QueueUnavailable`."""

    def __init__(
        self,
        url: str,
        key_prefix: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
        ring: Ring | None = None,
    ) -> None:
        """*ring*: the keys with which is signed, and checked what is signed; none by default."""
        self.url = url
        self.ring = ring or Ring()
        self.root = key_prefix
        self.prefix = f"{key_prefix}b2jobs:"
        self.timeout_seconds = timeout_seconds
        self.redis: Redis = connect(url, timeout_seconds)
        self.door = Door(self.redis, url, key_prefix)
        self.pieces = Pieces(self.redis, self.door, self.prefix, url)

    @cached_property
    def ends(self) -> Ends | None:
        """What tells all waits for these jobs in this process that they have ended."""
        return Ends(self.url, self.root, self.timeout_seconds)

    def submit(
        self,
        job_id: str,
        job: Job,
        *,
        delay_seconds: float = 0.0,
        asked: Signed | None = None,
        from_message: bool = False,
        canvas: Mapping[str, Any] | None = None,
        trace: str | None = None,
    ) -> str:
        """Write the record and ring, in one step; return the id of the job that now has the key.

        With *delay_seconds* the job waits that long before it is queued. Called again with
        the same id it does nothing. The content of a `data:` source is staged, so that it is
        in no record; *from_message*: it is in Redis already and needs no room. *canvas* is what
        plain Celery goes on with when the job has ended. *asked*: who asked, and when, where a
        worker submits it. *trace*: its place in a trace, where that is not this thread's.

        Raises:
            InvalidJob: `staged_gone`, `request_too_long`
            QueueUnavailable: `staged_full` too.
        """
        with ExitStack() as stack:
            job = self._staged(job, stack, counts=not from_message)
            given = self._given(job_id, job, delay_seconds, asked, canvas, trace)
            return self._accepted(self.door.call("jobs/submit", **given), job_id, job)

    def submit_many(self, jobs: Sequence[tuple[str, Job]]) -> list[str]:
        """As `submit` for each of *jobs*, an id and a request, in one step for hundreds of them.

        Raises:
            InvalidJob, QueueUnavailable: `queued` says how many of them are queued: the first.
        """
        accepted: list[str] = []
        left = iter(jobs)
        with _counted(accepted):
            while chunk := list(islice(left, _MOST_TOGETHER)):
                self._submit_together(chunk, accepted)
        return accepted

    def _submit_together(self, jobs: list[tuple[str, Job]], accepted: list[str]) -> None:
        """Submit what one call may hold, and the rest in another; note whose were *accepted*."""
        with ExitStack() as stack:
            given: list[dict[str, Any]] = []
            size = 0
            for job_id, job in jobs:
                given.append(self._given(job_id, self._staged(job, stack), 0.0, None, None))
                size += len(given[-1]["request"])
                if size > MOST_REQUEST_BYTES:
                    break
            answers = self.door.call("jobs/submit_many", jobs=given)
            for answer, (job_id, job) in zip(answers, jobs, strict=False):  # until one is refused
                accepted.append(self._accepted(answer, job_id, job))
        if len(given) < len(jobs):
            self._submit_together(jobs[len(given) :], accepted)

    def _staged(self, job: Job, stack: ExitStack, *, counts: bool = True) -> Job:
        """*job* with the content of its `data:` source staged, dropped if *stack* ends badly."""
        source = job.source_location if isinstance(job, Upload) else None
        if not isinstance(job, Upload) or not isinstance(source, InlineData) or not source.content:
            return job
        origin, limits = Origin(content_type=source.content_type), Limits.of_environment()
        made = stack.enter_context(staging(self.pieces, origin, limits, counts=counts))
        made.add(source.content)
        return job.from_staged(made.location())

    def _given(
        self,
        job_id: str,
        job: Job,
        delay_seconds: float,
        asked: Signed | None,
        canvas: Mapping[str, Any] | None,
        trace: str | None = None,
    ) -> dict[str, Any]:
        """What the scripts take for a new job; None for what it has not.

        Raises:
            InvalidJob: `request_too_long`
        """
        tell = to_tell(job_id, job.on_done, canvas, self._seal_of_words(job_id))
        trace = traceparent() if trace is None else trace
        source = job.source_location if isinstance(job, Upload) else None
        staged = source if isinstance(source, StagedBytes) else None
        request = json.dumps(job.arguments())
        if len(request) > MOST_REQUEST_BYTES:
            raise InvalidJob(
                f"The request has {len(request)} bytes as JSON.",
                code="request_too_long",
                hint=f"At most {MOST_REQUEST_BYTES} are accepted; long lists go into a manifest.",
            )
        signature = self.ring.sign(
            Submission(job_id, job.kind, job.priority, job.key or "", request, trace),
            retry=job.retry,
            expires=job.expires,
            delay=delay_seconds,
            asked=asked,
        )
        given: dict[str, Any] = {
            "id": job_id,
            "kind": job.kind,
            "priority": job.priority,
            "key": job.key or None,
            "request": request,
            "signature": signature or None,
            "retry": job.retry,
            "expires": job.expires,
            "delay": delay_seconds,
            "tell": tell,
            "children": children_of(canvas),
            "staged": staged.id if staged else None,
            "staged_bytes": staged.size if staged else None,
            "producer": (asked.producer if asked else self.ring.name) or None,
            "trace": trace or None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _accepted(self, first: Any, job_id: str, job: Job) -> str:
        """The id that was answered for *job*, submitted as *job_id*.

        Raises:
            InvalidJob: `limit_reached`, `staged_gone`, `signature_invalid`
        """
        if isinstance(first, list):
            _, whose, most = first
            raise InvalidJob(
                f"{most} jobs of {whose} wait already, as many as may. The job was not queued.",
                code="limit_reached",
                hint="Try again when some have ended; the workers' policy sets max_waiting.",
            )
        if not first:
            raise gone()
        if first != job_id:
            self._vouch(str(first), job)
        return str(first)

    def _vouch(self, first: str, job: Job) -> None:
        """Whether the job that has the key is one of this producer, where it signs.

        Raises:
            InvalidJob: `signature_invalid`: somebody else has put that job under the key.
        """
        if self.ring.name and not self.ring.is_workers:
            found = self.get(first)
            if found.key != job.key or not self.signed_anew(first):
                raise invalid(f"is not there, for what has the key {job.key!r}")

    def refuse(
        self,
        job_id: str,
        kind: str,
        arguments: dict[str, Any],
        failure: Failure,
        canvas: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a job that can never succeed as failed. Does nothing where it has a record."""
        self.door.call(
            "jobs/refuse",
            id=job_id,
            kind=kind,
            request=json.dumps(arguments),
            failure=failure.model_dump_json(),
            meta=failed_meta(failure),
            tell=to_tell(job_id, (), canvas, self._seal_of_words(job_id)),
        )

    def _seal_of_words(self, job_id: str) -> Callable[[str], str]:
        return lambda to: self.ring.seal(to, "word", job_id)

    def follow(self, first_id: str, task_id: str, canvas: Mapping[str, Any] | None = None) -> None:
        """Give the Celery task *task_id* the result of the job that has its key already."""
        tell = to_tell(task_id, (), canvas, self._seal_of_words(task_id))
        found = self.door.call("jobs/follow", first=first_id, id=task_id, tell=tell)
        if found:
            meta, keep = found
            own = ("task_id", "children")
            said = {name: value for name, value in json.loads(meta).items() if name not in own}
            self.door.call("jobs/tell", id=task_id, meta=json.dumps(said), keep=max(1, keep))

    def is_revoked(self, task_id: str) -> bool:
        """Whether a Celery worker, of whichever application, has marked the id as revoked."""
        with unavailable(self.url):
            meta = cast("str | None", self.redis.get(f"{self.root}celery-task-meta-{task_id}"))
        try:
            return meta is not None and json.loads(meta)["status"] == "REVOKED"
        except (ValueError, TypeError, KeyError):  # a result that is not of Celery's JSON
            return False

    def get(self, job_id: str) -> Record:
        """The record as it is now.

        Raises:
            JobNotFound: it never existed or its retention time is over.
        """
        with unavailable(self.url):
            values = cast("dict[str, str]", self.redis.hgetall(f"{self.prefix}job:{job_id}"))
        if "state" not in values:
            raise JobNotFound(f"There is no job {job_id!r}.")
        return record_of(values)

    def cancel(self, job_id: str, *, by: str | None = None) -> State:
        """Keep a job that has not started from ever starting; ask a running one to stop.

        *by*: the command, for workers that require signatures: see `commands.cancel`.

        Returns the state after the call. Where an attempt has begun, that is `running` or
        `queued`: a worker has been asked to stop, or to remove what the attempt left.

        Raises:
            JobNotFound
        """
        failure = Failure(code="cancelled", message="The job was cancelled.", act="caller")
        state = self.door.call(
            "jobs/cancel", id=job_id, failure=failure.model_dump_json(), meta=revoked_meta(), by=by
        )
        if not state:
            raise JobNotFound(f"There is no job {job_id!r}.")
        return cast("State", state)

    def retry(self, job_id: str) -> State:
        """Queue a failed or cancelled job again, with its budget anew; others are left alone.

        Raises:
            InvalidJob: `staged_gone`: what its producer handed over went when it ended.
            JobNotFound
            SignatureRefused: the record is not what its producer signed, or was signed with a
                key that is not here.
        """
        state = self.door.call("jobs/retry", id=job_id, signature=self.signed_anew(job_id) or None)
        if not state:
            raise JobNotFound(f"There is no job {job_id!r}.")
        if state == "bytes_gone":
            raise gone()
        return cast("State", state)

    def signed_anew(self, job_id: str) -> str:
        """A new signature of a job that is to run again, where the one it has is good."""
        names = ("kind", "priority", "key", "request", "retry", "signature", "trace")
        with unavailable(self.url):
            found = cast("list[str | None]", self.redis.hmget(f"{self.prefix}job:{job_id}", *names))
        kind, priority, key, request, retry, signature, trace = (text or "" for text in found)
        if not signature:
            return ""
        if not self.ring.name:
            raise InvalidJob(
                f"The job {job_id} is signed, and there is no key here to sign it again.",
                code="keys_missing",
                hint="Set B2JOBS_KEYS_FILE where this runs, or let its producer do it.",
            )
        job = Submission(job_id, kind, priority, key, request, trace)
        before = self.ring.check(job, signature, in_time=False)
        asked = self.ring.asked(before.producer) if self.ring.is_workers else None
        return self.ring.sign(job, retry=float(retry), asked=asked)

    def listed(self, state: State, *, limit: int = 100) -> Iterator[Record]:
        """Records in *state*, the latest first, read in pages."""
        left = limit
        for shelf in self.shelves(state):
            first = 0
            while left > 0:
                page = min(left, _PAGE)
                with unavailable(self.url):
                    ids = cast(
                        "list[str]", self.redis.zrange(shelf, first, first + page - 1, desc=True)
                    )
                    pipe = self.redis.pipeline(transaction=False)
                    for job_id in ids:
                        pipe.hgetall(f"{self.prefix}job:{job_id}")
                    found = pipe.execute()
                yield from (record_of(values) for values in found if "state" in values)
                first += len(ids)
                left -= len(ids)
                if len(ids) < page:
                    break

    def counts(self) -> dict[State, int]:
        """How many jobs are in each state."""
        with unavailable(self.url):
            pipe = self.redis.pipeline()  # in one step: a job between two of them is in neither
            shelves = [(state, each) for state in get_args(State) for each in self.shelves(state)]
            for _, shelf in shelves:
                pipe.zcard(shelf)
            counts: dict[State, int] = dict.fromkeys(get_args(State), 0)
            for (state, _), count in zip(shelves, pipe.execute(), strict=True):
                counts[state] += int(count)
            return counts

    def shelves(self, state: State) -> list[str]:
        """The sorted sets that hold the ids of jobs in *state*."""
        if state == "queued":
            return [f"{self.prefix}queued:{priority}" for priority in get_args(Priority)]
        return [f"{self.prefix}{state}"]

    def waiting_for(self, record: Record) -> str:
        """Why a job is not running, in one word.

        For a queued job: `no_worker` when no live worker serves its priority, else `in_line`.
        """
        if record.state != "queued":
            return record.reason
        served = {
            priority
            for worker in self.workers(within_seconds=WORKER_LIFE_SECONDS)
            for priority in worker.rsplit("|", 1)[-1].split(",")
        }
        return "in_line" if record.priority in served else "no_worker"

    def workers(self, *, within_seconds: float) -> list[str]:
        """Worker processes that showed life in the last *within_seconds*.

        Each as `NAME-PID@HOST|PRIORITIES`; a worker shows life every second.
        """
        with unavailable(self.url):
            seconds, _ = self.redis.time()
            return cast(
                "list[str]",
                self.redis.zrange(
                    f"{self.prefix}workers", seconds - within_seconds, "+inf", byscore=True
                ),
            )


@contextmanager
def _counted(accepted: Sized) -> Iterator[None]:
    try:
        yield
    except B2JobsError as error:
        error.queued = len(accepted)
        raise
