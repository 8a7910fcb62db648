"""The first page: is anybody working, what waits and why, what failed, how it went."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from b2jobs import fleet, listing, numbers
from b2jobs.batches import BatchStatus
from b2jobs.errors import B2JobsError, Failure
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.schedules import Listed, Schedules
from b2jobs.troubles import Trouble, troubles
from b2jobs.words import Words
from b2jobs_console.charts import Chart, Series
from b2jobs_console.site import SITE, page

_STEPS, _STEP_SECONDS = 96, 900
_FAILED, _CODES, _RUNNING, _OPEN_BATCHES, _NEXT, _DAYS = 200, 10, 10, 5, 5, 31


@dataclass(frozen=True)
class Failed:
    """Jobs that failed today with one code; *job*: the latest of them that was found."""

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
    batches: list[tuple[Record, BatchStatus]] = field(default_factory=list)


async def overview(request: web.Request) -> web.Response:
    """`/`."""
    site = request.app[SITE]
    seen = await site.client.threads.run(look, site.client.client.records)
    for record in await site.client.threads.run(_open_batches, site.client.client.records):
        try:
            status = await site.client.threads.run(site.client.client.batch_job(record.id).status)
        except B2JobsError:  # it has expired meanwhile
            continue
        seen.batches.append((record, status))
    return page(request, "overview.html", seen=seen)


def look(records: Records) -> Overview:
    """Read all of it; what has no counter is counted among the latest only."""
    now = time.time()
    ended = _ended(records, now)
    workers = fleet.workers(records)
    running = listing.page(records, "running", limit=_RUNNING)
    minutes, days = numbers.minutes(records, 61), numbers.days(records, _DAYS)
    counts = {str(state): count for state, count in records.counts().items()}
    waiting = fleet.waiting(records)
    words = {str(standing): count for standing, count in Words(records).counts().items()}
    upcoming = fleet.schedules(records)
    scheduled = Schedules(records).listed()
    refused = numbers.summed(minutes).refused()
    return Overview(
        counts=counts,
        workers=workers,
        charts=[
            ended,
            _under_way(minutes, listing.jobs_open(records)),
            _moved(minutes[:-1]),
            _cost(days),
        ],
        day={each.name: int(sum(each.values)) for each in ended.series},
        waiting=waiting,
        failed=_failed(records, days[-1]),
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


def _ended(records: Records, now: float) -> Chart:
    end = (now // _STEP_SECONDS + 1) * _STEP_SECONDS
    moments = [end - n * _STEP_SECONDS for n in range(_STEPS, -1, -1)]
    found = listing.ended_between(records, moments)
    series = [Series(state, values) for state, values in found.items()]
    return Chart("Jobs that ended, in the last 24 hours", moments, series)


def _under_way(minutes: list[numbers.Numbers], now: int) -> Chart:
    """From how many there are now back to an hour ago: what came since is taken away, what ended
    is added."""
    depths = [max(0, now)]
    for minute in reversed(minutes[1:]):
        came = sum(minute.submitted().values())
        ended = sum(each.count for each in minute.jobs())
        depths.append(max(0, depths[-1] - came + ended))
    series = [Series("open", depths[::-1])]
    title = "Jobs queued, waiting or running, in the last hour"
    return Chart(title, _moments(minutes), series, is_level=True)


def _moved(minutes: list[numbers.Numbers]) -> Chart:
    series = [
        Series(way, [minute.moved_bytes()[way] for minute in minutes]) for way in ("up", "down")
    ]
    return Chart("Bytes to and from B2, in the last hour", _moments(minutes), series, "bytes")


def _cost(days: list[numbers.Numbers]) -> Chart:
    series = [Series("calls", [day.dollars() for day in days])]
    return Chart("What calls cost, by day", _moments(days), series, "dollars")


def _moments(found: list[numbers.Numbers]) -> list[float]:
    return [each.since.timestamp() for each in found]


def _open_batches(records: Records) -> list[Record]:
    found = listing.page(records, "batches", limit=_OPEN_BATCHES).records
    return [record for record in found if not record.has_ended]


def _failed(records: Records, today: numbers.Numbers) -> list[Failed]:
    """What failed today by code, with the latest example where one is among the last failures."""
    counts: Counter[str] = Counter()
    for each in today.jobs():
        if each.state == "failed":
            counts[each.code] += each.count
    latest: dict[str, tuple[str, datetime, Failure]] = {}
    for found in listing.latest_failures(records, _FAILED):
        latest.setdefault(found[2].code, found)
    return [Failed(code, count, *latest.get(code, ("", None, None)))
            for code, count in counts.most_common(_CODES)]  # fmt: skip
