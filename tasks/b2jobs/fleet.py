"""Who works, what waits, which limits hold, what is scheduled: each read by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast, get_args

from b2jobs.records import WORKER_LIFE_SECONDS, Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import failure as failure_of
from b2jobs.redis.values import json_object, moment, number, whole
from b2jobs.requests import Priority
from b2jobs.schedules import Schedules

MOST_LOOKED_AT = 1000
MISSED_SECONDS = 3600.0
"""How long a worker that went without a word is told of."""


@dataclass(frozen=True)
class Worker:
    """One worker process, as it describes itself once a second.

    slots, busy: jobs at a time, and now. accounts: requests that it lets in at once, of each.
    limits: what bytes and requests a second all workers share of each account `now`, and `until`
        when (RFC 3339), where other limits follow. wants_signatures: it does what is signed alone.
    """

    name: str
    priorities: list[str]
    host: str = ""
    pid: int = 0
    version: str = ""
    since: datetime | None = None
    slots: int = 0
    busy: int = 0
    memory_bytes: int | None = None
    accounts: dict[str, int] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    wants_signatures: bool = False


@dataclass(frozen=True)
class Waiting:
    """Jobs and parts of batches that wait for one thing.

    code: of the failure behind it. oldest: the job that was submitted first, and when.
    until: when the first of them is tried again.
    """

    reason: str
    code: str
    count: int
    oldest: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Cap:
    """A limit of an account that B2 has told us of: nobody asks it before *seconds* are over."""

    account: str
    reason: str
    code: str
    seconds: float


@dataclass(frozen=True)
class Budget:
    """What an account has of its budget of this day: calls of class b and c, dollars.

    used: also what workers have taken and not yet used. most: where that is limited.
    """

    account: str
    used: dict[str, float]
    most: dict[str, float]

    @property
    def is_spent(self) -> bool:
        return any(self.used.get(name, 0) >= most for name, most in self.most.items())


@dataclass(frozen=True)
class Upcoming:
    """A schedule: when it runs next, and how its last run ended."""

    name: str
    job: str
    next: str | None
    last_state: str = ""
    last_code: str = ""
    is_paused: bool = False


def workers(records: Records) -> list[Worker]:
    """Worker processes that have shown life in the last 30 s."""
    names = sorted(records.workers(within_seconds=WORKER_LIFE_SECONDS))
    if not names:
        return []
    with unavailable(records.url):
        keys = [f"{records.prefix}worker:{name}" for name in names]
        told = cast("list[str | None]", records.redis.mget(keys))
    found = []
    for name, text in zip(names, told, strict=True):
        own, _, priorities = name.rpartition("|")
        about = json_object(text)
        found.append(
            Worker(
                name=own,
                priorities=priorities.split(","),
                since=moment(about.get("since")),
                host=str(about.get("host", "")),
                pid=whole(about.get("pid")),
                version=str(about.get("version", "")),
                slots=whole(about.get("slots")),
                busy=whole(about.get("busy")),
                memory_bytes=whole(about.get("memory_bytes")) or None,
                accounts={name: whole(most) for name, most in _dict(about.get("accounts")).items()},
                limits={name: str(each) for name, each in _dict(about.get("limits")).items()},
                wants_signatures=bool(about.get("wants_signatures")),
            )
        )
    return found


def _dict(told: object) -> dict[str, Any]:
    return {str(name): value for name, value in told.items()} if isinstance(told, dict) else {}


def missing(records: Records, alive: list[Worker]) -> list[tuple[str, float]]:
    """Worker processes that have shown no life for 30 s and did not say that they leave, of the
    last hour, each with how many seconds ago it did. One that was started again is not missed."""
    with unavailable(records.url):
        seconds, _ = records.redis.time()
        begin, end = seconds - MISSED_SECONDS, seconds - WORKER_LIFE_SECONDS
        shelf = f"{records.prefix}workers"
        found = cast("list[Any]", records.redis.zrangebyscore(shelf, begin, end, withscores=True))
    begun = [(_post(worker.name), worker.since) for worker in alive if worker.since]
    gone = []
    for full, score in reversed(found):  # the latest first: what is started again comes at once
        name, last = str(full).rpartition("|")[0], datetime.fromtimestamp(float(score), UTC)
        instead = (each for each in begun if each[0] == _post(name) and each[1] > last)
        successor = next(instead, None)
        if successor is None:
            gone.append((name, seconds - float(score)))
        else:
            begun.remove(successor)
    return gone


def _post(name: str) -> tuple[str, str]:
    """What stays of `NAME-PID@HOST` when the process is started again: name and host."""
    process, _, host = name.partition("@")
    return process.rpartition("-")[0], host


def queued(records: Records) -> tuple[dict[Priority, int], dict[Priority, datetime]]:
    """How many jobs are queued, and since when the first of them, by priority."""
    counts: dict[Priority, int] = {}
    oldest: dict[Priority, datetime] = {}
    with unavailable(records.url):
        for priority in get_args(Priority):
            shelf = f"{records.prefix}queued:{priority}"
            counts[priority] = int(records.redis.zcard(shelf))
            first = cast("list[Any]", records.redis.zrange(shelf, 0, 0, withscores=True))
            if first:
                oldest[priority] = datetime.fromtimestamp(float(first[0][1]), UTC)
    return counts, oldest


def waiting(records: Records) -> list[Waiting]:
    """What is waited for, most first, of the first thousand that are due."""
    names = ("reason", "until", "failure", "created")
    with unavailable(records.url):
        shelf = f"{records.prefix}waiting"
        ids = cast("list[str]", records.redis.zrange(shelf, 0, MOST_LOOKED_AT - 1))
        pipe = records.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hmget(f"{records.prefix}job:{job_id}", *names)
        found = pipe.execute()
    groups: dict[tuple[str, str], list[tuple[float, float, str]]] = {}
    for job_id, (reason, until, failure, created) in zip(ids, found, strict=True):
        if not reason or (reason == "window" and not failure):
            continue  # a batch's planner between two looks, or a job whose time has not come
        why = failure_of(failure) if reason != "paused" else None
        code = why.code if why else ""
        entry = (number(created), number(until), job_id)
        groups.setdefault((reason, code), []).append(entry)
    shown = []
    for (reason, code), entries in groups.items():
        created, _, oldest = min(entries)
        due = min((due for _, due, _ in entries if due), default=0.0)
        shown.append(Waiting(reason, code, len(entries), oldest, moment(created), moment(due)))
    return sorted(shown, key=lambda each: -each.count)


def schedules(records: Records) -> list[Upcoming]:
    """Every schedule, the one that runs next first."""
    found = []
    for listed in Schedules(records).listed():
        data = listed.as_json()
        last = (data["runs"] or [{}])[0]
        found.append(
            Upcoming(
                listed.schedule.name,
                listed.schedule.job,
                data["next"],
                last.get("state", ""),
                str((last.get("failure") or {}).get("code", "")),
                listed.status.paused,
            )
        )
    return sorted(found, key=lambda each: each.next or "9")


def caps(records: Records, accounts: list[str]) -> list[Cap]:
    """The limits that hold for *accounts* now."""
    found = []
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for account in accounts:
            key = f"{records.prefix}governor:{account}:pause"
            pipe.get(key)
            pipe.pttl(key)
        answers = pipe.execute()
    for account, told, left in zip(accounts, answers[::2], answers[1::2], strict=True):
        if told and left > 0:
            known = json_object(told)
            reason, code = (str(known.get(name, "")) for name in ("reason", "code"))
            found.append(Cap(account, reason, code, left / 1000))
    return found


def budgets(records: Records, accounts: list[str]) -> list[Budget]:
    """The budgets of *accounts* that something was taken from today (UTC)."""
    day = int(datetime.now(UTC).timestamp() // 86_400)
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for account in accounts:
            pipe.hgetall(f"{records.prefix}budget:{account}:{day}")
        answers = cast("list[dict[str, str]]", pipe.execute())
    found = []
    for account, fields in zip(accounts, answers, strict=True):
        if fields:
            used = {name: number(fields.get(name)) for name in ("b", "c", "nano")}
            told = json_object(fields.get("most"))
            most = {name: number(told[name]) for name in used if name in told}
            found.append(Budget(account, _dollars(used), _dollars(most)))
    return found


def _dollars(amounts: dict[str, float]) -> dict[str, float]:
    """Nanodollars as dollars; calls as they are."""
    told = {name: amount for name, amount in amounts.items() if name != "nano"}
    if "nano" in amounts:
        told["dollars"] = round(amounts["nano"] / 1e9, 9)
    return told
