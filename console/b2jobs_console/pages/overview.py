"""The first page: is anybody working, what waits and why, what failed, how it went."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from b2jobs import listing
from b2jobs.batches import BatchStatus
from b2jobs.errors import B2JobsError
from b2jobs.records import Record, Records
from b2jobs.schedules import Listed, Schedules
from b2jobs_console.charts import Chart, Series
from b2jobs_console.pages.fleet import living
from b2jobs_console.site import SITE, page

_STEPS, _STEP_SECONDS = 96, 900
_FAILED, _WAITING, _RUNNING, _OPEN_BATCHES, _NEXT = 1000, 500, 10, 5, 5
DAY = 86400


@dataclass(frozen=True)
class Why:
    """Jobs that wait for one reason; *oldest* is the one that was submitted first of those seen."""

    reason: str
    count: int
    oldest: Record


@dataclass
class Overview:
    """All that the first page shows."""

    counts: dict[str, int]
    workers: int
    silent: list[str]
    ended: Chart
    day: dict[str, int]
    why: list[Why]
    failed: list[tuple[str, int, Record]]
    running: list[Record]
    is_more: bool
    batches: list[tuple[Record, BatchStatus]] = field(default_factory=list)
    schedules: list[Listed] = field(default_factory=list)
    oldest_queued: float | None = None

    @property
    def troubles(self) -> list[tuple[str, str]]:
        """What needs a person: a sentence, and where to look."""
        found = []
        if not self.workers:
            found.append(("No worker is alive: nothing is done until one starts.", "/workers"))
        if self.silent:
            found.append((f"{len(self.silent)} worker processes have fallen silent.", "/workers"))
        for why in self.why:
            if why.reason in ("credentials", "cap", "no_worker") and self.workers:
                place = "/jobs?view=waiting" if why.reason != "no_worker" else "/jobs?view=queued"
                found.append((f"{why.count:,} jobs wait: {why.reason.replace('_', ' ')}.", place))
        if self.day["failed"]:
            found.append(
                (f"{self.day['failed']:,} jobs failed in the last 24 hours.", "/jobs?view=failed")
            )
        return found


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
    end = (now // _STEP_SECONDS + 1) * _STEP_SECONDS
    moments = [end - n * _STEP_SECONDS for n in range(_STEPS, -1, -1)]
    ended = listing.ended_between(records, moments)
    workers = living(records)
    running = listing.page(records, "running", limit=_RUNNING)
    failed = [
        record
        for record in listing.page(records, "failed", limit=_FAILED).records
        if record.ended and record.ended.timestamp() >= now - DAY
    ]
    scheduled = Schedules(records).listed()
    return Overview(
        counts={str(state): count for state, count in records.counts().items()},
        workers=sum(not worker.silent for worker in workers),
        silent=[worker.name for worker in workers if worker.silent],
        ended=Chart(
            "Jobs that ended, in the last 24 hours",
            moments,
            [Series(state, values) for state, values in ended.items()],
        ),
        day={state: sum(values) for state, values in ended.items()},
        why=_why(records),
        failed=_by_code(failed),
        running=running.records,
        is_more=bool(running.after),
        schedules=sorted(scheduled, key=lambda each: each.status.next or float("inf"))[:_NEXT],
        oldest_queued=listing.oldest_queued(records),
    )


def _open_batches(records: Records) -> list[Record]:
    found = listing.page(records, "batches", limit=_OPEN_BATCHES).records
    return [record for record in found if not record.has_ended]


def _why(records: Records) -> list[Why]:
    waiting = [
        *listing.page(records, "waiting", limit=_WAITING).records,
        *listing.page(records, "queued", limit=_WAITING).records,
    ]
    by_priority: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    oldest: dict[str, Record] = {}
    for record in waiting:
        reason = record.reason
        if record.state == "queued":
            if record.priority not in by_priority:
                by_priority[record.priority] = records.waiting_for(record)
            reason = by_priority[record.priority]
        reasons[reason] += 1
        first = oldest.get(reason)
        if first is None or (record.created and first.created and record.created < first.created):
            oldest[reason] = record
    return [Why(reason, count, oldest[reason]) for reason, count in reasons.most_common()]


def _by_code(failed: list[Record]) -> list[tuple[str, int, Record]]:
    counts = Counter(record.failure.code for record in failed if record.failure)
    latest: dict[str, Record] = {}
    for record in failed:
        if record.failure:
            latest.setdefault(record.failure.code, record)
    return [(code, count, latest[code]) for code, count in counts.most_common(10)]
