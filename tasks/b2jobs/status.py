"""What goes on in one installation now: everything that `b2jobs status` and the console show.

Reads a bounded part of Redis however many jobs there are, and asks neither workers nor B2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from b2jobs import fleet, numbers
from b2jobs.batch_status import BatchStatus
from b2jobs.batch_status import status as batch_status
from b2jobs.errors import JobNotFound
from b2jobs.fleet import Budget, Cap, Upcoming, Waiting, Worker
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.requests import Priority, State
from b2jobs.troubles import Trouble, troubles
from b2jobs.words import Words

MOST_SHOWN = 20
_RATES = ("minute", "hour", "today", "day")


@dataclass(frozen=True)
class Status:
    """All of it. Rates are those of the last full minute and of the last hour.

    today, day: since 00:00 UTC, and the last 24 hours.
    staged_bytes: what producers have handed over and is in Redis.
    """

    at: datetime
    states: dict[State, int]
    queued: dict[Priority, int]
    oldest_queued: dict[Priority, datetime]
    workers: list[Worker]
    waiting: list[Waiting]
    running: list[Record]
    batches: list[BatchStatus]
    schedules: list[Upcoming]
    caps: list[Cap]
    budgets: list[Budget]
    words: dict[str, int]
    staged_bytes: int
    minute: numbers.Numbers
    hour: numbers.Numbers
    today: numbers.Numbers
    day: numbers.Numbers
    troubles: list[Trouble]

    def as_json(self) -> dict[str, Any]:
        """As `b2jobs status --json` prints it."""
        rates = {name: _rates(getattr(self, name)) for name in _RATES}
        plain = asdict(self)
        for name in rates:
            del plain[name]
        plain["running"] = [record.as_json(is_listed=True) for record in self.running]
        plain["batches"] = [batch.as_json() for batch in self.batches]
        found: dict[str, Any] = json.loads(json.dumps({**plain, **rates}, default=_text))
        return found


def look(records: Records) -> Status:
    """Look at everything now.

    Raises:
        QueueUnavailable
    """
    workers = fleet.workers(records)
    states = records.counts()
    queued, oldest = fleet.queued(records)
    under_way = list(_under_way(records))
    minutes = numbers.minutes(records, 61)
    today = numbers.days(records, 1)[0]
    hour = numbers.summed(minutes[:-1])
    words = {str(standing): count for standing, count in Words(records).counts().items()}
    waiting = fleet.waiting(records)
    caps = fleet.caps(records, today.accounts())
    schedules = fleet.schedules(records)
    return Status(
        at=datetime.now(UTC),
        states=states,
        queued=queued,
        oldest_queued=oldest,
        workers=workers,
        waiting=waiting,
        running=[each for each in under_way if each.state == "running"][:MOST_SHOWN],
        batches=_batches(records, under_way),
        schedules=schedules,
        caps=caps,
        budgets=fleet.budgets(records, today.accounts()),
        words=words,
        staged_bytes=records.pieces.total(),
        minute=minutes[-2],
        hour=hour,
        today=today,
        day=numbers.summed(numbers.hours(records, 25)),
        troubles=troubles(
            records, workers, queued, waiting, words, schedules, numbers.summed(minutes).refused()
        ),
    )


def _under_way(records: Records) -> Iterator[Record]:
    """Jobs that run, or batches that wait; parts of batches are left out."""
    states: tuple[State, ...] = ("running", "queued", "waiting")
    for state in states:
        for record in records.listed(state, limit=fleet.MOST_LOOKED_AT):
            if record.kind == "pack":
                continue
            if state == "running" or record.kind in ("batch", "sync"):
                yield record


def _batches(records: Records, under_way: list[Record]) -> list[BatchStatus]:
    found = []
    for record in [each for each in under_way if each.kind in ("batch", "sync")][:MOST_SHOWN]:
        try:
            found.append(batch_status(records, record.id))
        except JobNotFound:  # it has just been forgotten
            continue
    return found


def _rates(found: numbers.Numbers) -> dict[str, Any]:
    return {
        "since": found.since,
        "seconds": round(found.seconds, 3),
        "submitted": found.submitted(),
        "jobs": [asdict(each) for each in found.jobs()],
        "items": [asdict(each) for each in found.items()],
        "bytes": found.moved_bytes(),
        "calls": found.calls(),
        "dollars": found.dollars(),
        "retries": [
            {"reason": reason, "code": code, "count": count}
            for (reason, code), count in found.retries().items()
        ],
        "recoveries": found.recoveries(),
        "refused": found.refused(),
        "waited_seconds_mean": round(found.waited().mean_seconds, 3),
        "ran_seconds_mean": round(found.ran().mean_seconds, 3),
    }


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
