"""The first page: is anybody working, what waits and why, what failed, how it went."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from b2jobs import account_state, fleet, listing, numbers
from b2jobs.account_state import AccountState
from b2jobs.batch_status import BatchStatus
from b2jobs.errors import B2JobsError, Failure
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.schedules import Listed, Schedules
from b2jobs.troubles import Trouble, troubles
from b2jobs.words import Words
from b2jobs_console import history
from b2jobs_console.charts import Chart
from b2jobs_console.site import SITE, can_sign, page

_FAILED, _CODES, _RUNNING, _OPEN_BATCHES, _NEXT, _DAYS = 200, 10, 10, 5, 5, 31


@dataclass(frozen=True)
class Failed:
    """Jobs that failed in 24 hours with one code; *job*: the latest of them that was found."""

    code: str
    count: int
    job: str = ""
    ended: datetime | None = None
    failure: Failure | None = None


@dataclass
class Overview:
    """All that the first page shows.

    hour, today: what was counted in the last 60 full minutes, and today; month: dollars since
    its first day.
    """

    counts: dict[str, int]
    workers: list[fleet.Worker]
    charts: list[Chart]
    day: dict[str, int]
    waiting: list[fleet.Waiting]
    failed: list[Failed]
    running: list[Record]
    is_more: bool
    schedules: list[Listed]
    oldest_queued: float | None
    troubles: list[Trouble]
    hour: numbers.Numbers
    today: numbers.Numbers
    month: float
    may_sign: bool
    held: list[AccountState]
    batches: list[tuple[Record, BatchStatus]] = field(default_factory=list)


async def overview(request: web.Request) -> web.Response:
    """`/`."""
    site = request.app[SITE]
    wanted = history.chosen(request.query.get("range", history.FIRST))
    seen = await site.client.threads.run(look, site.client.client.records, wanted)
    for record in await site.client.threads.run(_open_batches, site.client.client.records):
        try:
            status = await site.client.threads.run(site.client.client.batch_job(record.id).status)
        except B2JobsError:  # it has expired meanwhile
            continue
        seen.batches.append((record, status))
    return page(request, "overview.html", seen=seen, range=wanted, ranges=history.RANGES)


def look(records: Records, wanted: history.Range) -> Overview:
    """Read all of it; what has no counter is counted among the latest only."""
    now = time.time()
    workers = fleet.workers(records)
    running = listing.page(records, "running", limit=_RUNNING)
    minutes, days = numbers.minutes(records, 61), numbers.days(records, _DAYS)
    known: dict[object, list[numbers.Numbers]] = {numbers.minutes: minutes[1:], numbers.days: days}
    parts = known.get(wanted.read) or wanted.read(records, wanted.count)
    hours = parts[-25:] if wanted.read is numbers.hours else numbers.hours(records, 25)
    counts = {str(state): count for state, count in records.counts().items()}
    waiting = fleet.waiting(records)
    words = {str(standing): count for standing, count in Words(records).counts().items()}
    upcoming = fleet.schedules(records)
    scheduled = Schedules(records).listed()
    refused = numbers.summed(minutes).refused()
    return Overview(
        counts=counts,
        workers=workers,
        charts=history.charts(records, wanted, parts),
        day=_ended(records, now),
        may_sign=can_sign(records),
        held=account_state.held(records, days[-1].accounts()),
        waiting=waiting,
        failed=_failed(records, numbers.summed(hours)),
        running=running.records,
        is_more=bool(running.after),
        schedules=sorted(scheduled, key=lambda each: each.status.next or float("inf"))[:_NEXT],
        oldest_queued=listing.oldest_queued(records),
        troubles=troubles(
            records, workers, listing.queued(records), waiting, words, upcoming, refused
        ),
        hour=numbers.summed(minutes[:-1]),
        today=days[-1],
        month=sum(day.dollars() for day in days if day.since.month == days[-1].since.month),
    )


def _ended(records: Records, now: float) -> dict[str, int]:
    """How many jobs ended in the last 24 hours, by state."""
    found = listing.ended_between(records, [now - 86400, now + 60])
    return {state: sum(counts) for state, counts in found.items()}


def _open_batches(records: Records) -> list[Record]:
    found = listing.page(records, "batches", limit=_OPEN_BATCHES).records
    return [record for record in found if not record.has_ended]


def _failed(records: Records, day: numbers.Numbers) -> list[Failed]:
    """What failed in 24 hours by code, with an example where one is among the last failures."""
    counts: Counter[str] = Counter()
    for each in day.jobs():
        if each.state == "failed":
            counts[each.code] += each.count
    latest: dict[str, tuple[str, datetime, Failure]] = {}
    for found in listing.latest_failures(records, _FAILED):
        latest.setdefault(found[2].code, found)
    return [Failed(code, count, *latest.get(code, ("", None, None)))
            for code, count in counts.most_common(_CODES)]  # fmt: skip
