"""The job record in Redis: what is true about a job, for producers and workers alike.

The record is the truth, the Celery message is only a doorbell. Both are written in one
step by the scripts below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast, get_args

from redis import Redis
from redis.exceptions import (
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from b2jobs import lua
from b2jobs.celery_meta import failed_meta, revoked_meta
from b2jobs.connection import TIMEOUT_SECONDS, connect, turned_down
from b2jobs.errors import Failure, JobNotFound
from b2jobs.requests import ENDED, KINDS, Job, Priority, State

DAY_SECONDS = 24 * 3600.0
_REFUSALS = (
    *("OOM", "LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY"),
    *("NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "DB INDEX IS OUT OF RANGE"),
)
WORKER_LIFE_SECONDS = 30.0
_PAGE = 500

_SUBMIT = (
    lua.LIBRARY
    + """
local id, kind, priority, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if key ~= '' then
  local first = redis.call('GET', P .. 'key:' .. key)
  if first and redis.call('EXISTS', job_key(first)) == 1 then return first end
end
if redis.call('EXISTS', job_key(id)) == 1 then return id end
redis.call('HSET', job_key(id), 'id', id, 'kind', kind, 'priority', priority, 'key', key,
           'request', ARGV[5], 'retry', ARGV[6],
           'expires', ARGV[7] ~= '' and seconds(NOW + tonumber(ARGV[7])) or '',
           'created', seconds(NOW), 'attempts', 0, 'fence', '', 'lost', 0)
if key ~= '' then redis.call('SET', P .. 'key:' .. key, id) end
if tonumber(ARGV[8]) > 0 then
  redis.call('HSET', job_key(id), 'state', 'waiting', 'reason', 'window',
             'until', seconds(NOW + tonumber(ARGV[8])))
  redis.call('ZADD', P .. 'waiting', seconds(NOW + tonumber(ARGV[8])), id)
else
  enqueue(id, false)
end
return id
"""
)

_CANCEL = (
    lua.ALLOW_FULL
    + lua.LIBRARY
    + """
local id = ARGV[1]
local state = field(id, 'state')
if state == '' then return '' end
if state == 'succeeded' or state == 'failed' or state == 'cancelled' then return state end
if state ~= 'running' and tonumber(field(id, 'attempts')) == 0 then
  finish(id, 'cancelled', 'failure', ARGV[2], ARGV[3], ARGV[4])
  return 'cancelled'
end
-- An attempt may have left something unfinished: a worker removes it, then the job ends.
redis.call('HSET', job_key(id), 'cancel', '1')
if state == 'waiting' then
  leave(id)
  enqueue(id, true)
end
return field(id, 'state')
"""
)

_RETRY = (
    lua.LIBRARY
    + """
local id = ARGV[1]
local state = field(id, 'state')
if state ~= 'failed' and state ~= 'cancelled' then return state end
leave(id)
redis.call('PERSIST', job_key(id))
local key = field(id, 'key')
if key ~= '' then redis.call('SET', P .. 'key:' .. key, id) end
redis.call('HDEL', job_key(id), 'failure', 'ended', 'started', 'cancel', 'progress')
redis.call('HSET', job_key(id), 'lost', 0, 'expires', '', 'fence', '', 'unheard', 0)
redis.call('DEL', ROOT .. 'celery-task-meta-' .. id)
enqueue(id, false)
return 'queued'
"""
)

_REFUSE = (
    lua.LIBRARY
    + """
local id = ARGV[1]
if redis.call('EXISTS', job_key(id)) == 1 then return 0 end
redis.call('HSET', job_key(id), 'id', id, 'kind', ARGV[2], 'priority', 'normal', 'key', '',
           'request', ARGV[3], 'retry', 0, 'expires', '', 'created', seconds(NOW),
           'attempts', 0, 'fence', '', 'lost', 0, 'state', 'queued')
finish(id, 'failed', 'failure', ARGV[4], ARGV[5], ARGV[6])
return 1
"""
)

_FOLLOW = (
    lua.LIBRARY
    + """
local first, id = ARGV[1], ARGV[2]
local meta = redis.call('GET', ROOT .. 'celery-task-meta-' .. first)
if meta then
  tell(id, (string.gsub(meta, ', "task_id": "[^"]*"}$', '}')), ARGV[3])
else
  redis.call('SADD', P .. 'followers:' .. first, id)
end
return 1
"""
)


@dataclass(frozen=True)
class Record:
    """One job as Redis has it. Times are aware and UTC; None where it has not happened."""

    id: str
    kind: str
    state: State
    reason: str = ""
    until: datetime | None = None
    priority: Priority = "normal"
    key: str = ""
    request: dict[str, Any] = field(default_factory=dict)
    retry_seconds: float = 0.0
    attempts: int = 0
    lost: int = 0
    worker: str = ""
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    failure: Failure | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    def as_json(self) -> dict[str, Any]:
        """The record as `b2jobs job show --json` prints it; absent fields are left out."""
        found: dict[str, Any] = {}
        for name, value in self.__dict__.items():
            if isinstance(value, datetime):
                found[name] = value.isoformat()
            elif isinstance(value, Failure):
                found[name] = value.model_dump()
            elif value not in (None, "", {}):
                found[name] = value
        return found


class Records:
    """The records of one installation: one Redis, one key prefix.

    Thread-safe. Any call may raise `QueueUnavailable`.
    """

    def __init__(
        self, url: str, key_prefix: str = "", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self.url = url
        self.root = key_prefix
        self.prefix = f"{key_prefix}b2jobs:"
        self.redis: Redis = connect(url, timeout_seconds)
        self._submit = self.redis.register_script(_SUBMIT)
        self._cancel = self.redis.register_script(_CANCEL)
        self._retry = self.redis.register_script(_RETRY)
        self._refuse = self.redis.register_script(_REFUSE)
        self._follow = self.redis.register_script(_FOLLOW)

    def submit(self, job_id: str, job: Job, *, delay_seconds: float = 0.0) -> str:
        """Write the record and ring, in one step; return the id of the job that now has the key.

        With *delay_seconds* the job waits that long before it is queued. Called again with
        the same id it does nothing.
        """
        with unavailable(self.url):
            return str(
                self._submit(
                    keys=[self.root],
                    args=[
                        job_id,
                        job.kind,
                        job.priority,
                        job.key or "",
                        json.dumps(job.arguments()),
                        job.retry,
                        "" if job.expires is None else job.expires,
                        delay_seconds,
                    ],
                )
            )

    def refuse(self, job_id: str, kind: str, arguments: dict[str, Any], failure: Failure) -> None:
        """Record a job that can never succeed as failed. Does nothing where it has a record."""
        with unavailable(self.url):
            self._refuse(
                keys=[self.root],
                args=[
                    job_id,
                    kind,
                    json.dumps(arguments),
                    failure.model_dump_json(),
                    failed_meta(failure),
                    DAY_SECONDS,
                ],
            )

    def follow(self, first_id: str, task_id: str) -> None:
        """Give the Celery task *task_id* the result of the job that has its key already."""
        with unavailable(self.url):
            self._follow(keys=[self.root], args=[first_id, task_id, int(DAY_SECONDS)])

    def get(self, job_id: str) -> Record:
        """The record as it is now.

        Raises:
            JobNotFound: it never existed or its retention time is over.
        """
        with unavailable(self.url):
            values = cast("dict[str, str]", self.redis.hgetall(f"{self.prefix}job:{job_id}"))
        if "state" not in values:
            raise JobNotFound(f"There is no job {job_id!r}.")
        return _record(values)

    def cancel(self, job_id: str, *, keep_seconds: float = DAY_SECONDS) -> State:
        """Keep a job that has not started from ever starting; ask a running one to stop.

        Returns the state after the call. Where an attempt has begun, that is `running` or
        `queued`: a worker has been asked to stop, or to remove what the attempt left.

        Raises:
            JobNotFound
        """
        failure = Failure(code="cancelled", message="The job was cancelled.", act="caller")
        with unavailable(self.url):
            state = self._cancel(
                keys=[self.root],
                args=[
                    job_id,
                    failure.model_dump_json(),
                    revoked_meta(),
                    keep_seconds,
                ],
            )
        if not state:
            raise JobNotFound(f"There is no job {job_id!r}.")
        return cast("State", state)

    def retry(self, job_id: str) -> State:
        """Queue a failed or cancelled job again, with its budget anew; others are left alone.

        Raises:
            JobNotFound
        """
        with unavailable(self.url):
            state = self._retry(keys=[self.root], args=[job_id])
        if not state:
            raise JobNotFound(f"There is no job {job_id!r}.")
        return cast("State", state)

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
                yield from (_record(values) for values in found if "state" in values)
                first += len(ids)
                left -= len(ids)
                if len(ids) < page:
                    break

    def counts(self) -> dict[State, int]:
        """How many jobs are in each state."""
        with unavailable(self.url):
            return {
                state: sum(int(self.redis.zcard(shelf)) for shelf in self.shelves(state))
                for state in get_args(State)
            }

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
def unavailable(url: str) -> Iterator[None]:
    """Turn whatever keeps Redis from confirming into `QueueUnavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        if isinstance(error, ResponseError) and not _is_refusal(error):
            raise
        raise turned_down(error, url) from error


def _is_refusal(error: ResponseError) -> bool:
    """Whether Redis turned a sound command down: full, loading, read-only, not permitted."""
    if isinstance(error, OutOfMemoryError | ReadOnlyError | NoPermissionError):
        return True  # redis-py takes the first word of these from their text
    text = str(error).upper()
    return any(word in text for word in _REFUSALS)


def _record(values: dict[str, str]) -> Record:
    return Record(
        id=values["id"],
        kind=values["kind"],
        state=cast("State", values["state"]),
        reason=values.get("reason", ""),
        until=_moment(values.get("until")),
        priority=cast("Priority", values["priority"]),
        key=values.get("key", ""),
        request=json.loads(values["request"]),
        retry_seconds=float(values["retry"]),
        attempts=int(values["attempts"]),
        lost=int(values["lost"]),
        worker=values.get("worker", ""),
        created=_moment(values.get("created")),
        started=_moment(values.get("started")),
        ended=_moment(values.get("ended")),
        progress=json.loads(values.get("progress") or "{}"),
        result=json.loads(values["result"]) if "result" in values else None,
        failure=Failure(**json.loads(values["failure"])) if values.get("failure") else None,
    )


def _moment(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(seconds), UTC) if seconds else None


def request_of(record: Record) -> Job:
    """The request again, validated."""
    return KINDS[record.kind](**record.request)
