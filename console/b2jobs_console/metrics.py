"""`/metrics`, as Prometheus reads it: the numbers of the whole fleet, from Redis.

Whichever console is asked, the answer is the same: scrape one of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import get_args

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from b2jobs import fleet, listing, numbers
from b2jobs.errors import B2JobsError
from b2jobs.printable import printable
from b2jobs.records import Records
from b2jobs.requests import Priority
from b2jobs.words import Words
from b2jobs_console.site import SITE


async def metrics(request: web.Request) -> web.Response:
    """The numbers now. Without Redis `b2jobs_up` is 0, and nothing else is said."""
    site = request.app[SITE]
    records = site.client.client.records
    registry = CollectorRegistry()
    registry.register(Fleet(await site.client.threads.run(families, records)))
    return web.Response(
        body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


@dataclass(frozen=True, eq=False)  # prometheus_client keeps it in a dict
class Fleet(Collector):
    """What has been read, for prometheus_client to print."""

    found: list[Metric]

    def collect(self) -> Iterable[Metric]:
        for metric in self.found:
            metric.samples = [each._replace(labels=_shown(each.labels)) for each in metric.samples]
            yield metric


def _shown(labels: dict[str, str]) -> dict[str, str]:
    return {name: printable(value) for name, value in labels.items()}


def families(records: Records) -> list[Metric]:
    """Every number, as it stands in Redis."""
    up = GaugeMetricFamily("b2jobs_up", "Whether the console can ask Redis.")
    try:
        found = [*_jobs(records), *_workers(records), *_budgets(records), *_counted(records)]
    except B2JobsError:
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    return [up, *found]


def _jobs(records: Records) -> list[Metric]:
    jobs = _gauge("jobs", "Jobs by state, as long as they are kept; parts of batches too.", "state")
    for state, count in records.counts().items():
        jobs.add_metric([state], count)
    queued = _gauge("queued_jobs", "Jobs in line.", "priority")
    for priority, waiting in listing.queued(records).items():
        queued.add_metric([priority], waiting)
    oldest = listing.oldest_queued(records)
    waited = _gauge("oldest_queued_seconds", "For how long the job waits that is next in line.")
    waited.add_metric([], max(0.0, time.time() - oldest) if oldest else 0.0)
    held = _gauge("waiting_jobs", "Jobs that wait, of the first thousand that are due.", "reason")
    for reason, number in _by_reason(records).items():
        held.add_metric([reason], number)
    batches = _gauge("open_batches", "Batches and syncs that have not ended.")
    batches.add_metric([], listing.open_batches(records))
    staged = _gauge("staged_bytes", "Bytes that producers handed over and that are in Redis.")
    staged.add_metric([], records.pieces.total())
    return [jobs, queued, waited, held, batches, staged]


def _by_reason(records: Records) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in fleet.waiting(records):
        found[each.reason] += each.count
    return found


def _budgets(records: Records) -> list[Metric]:
    used = _gauge("budget_used", "Taken today (UTC) of a budget.", "account", "unit")
    most = _gauge("budget_limit", "What a budget has a day.", "account", "unit")
    for budget in fleet.budgets(records, numbers.days(records, 1)[0].accounts()):
        for unit, limit in budget.most.items():
            most.add_metric([budget.account, unit], limit)
            used.add_metric([budget.account, unit], budget.used.get(unit, 0))
    return [used, most]


def _workers(records: Records) -> list[Metric]:
    workers = fleet.workers(records)
    alive = _gauge("workers", "Worker processes that live, by a priority they serve.", "priority")
    for priority in get_args(Priority):
        alive.add_metric([priority], sum(priority in each.priorities for each in workers))
    slots = _gauge("slots", "Jobs that the living workers run at a time.")
    slots.add_metric([], sum(each.slots for each in workers))
    busy = _gauge("busy_slots", "Slots in which a job runs.")
    busy.add_metric([], sum(each.busy for each in workers))
    memory = _gauge("workers_memory_bytes", "Memory of the living workers.")
    memory.add_metric([], sum(each.memory_bytes or 0 for each in workers))
    words = _gauge("words", "Words about ended jobs that have not been delivered.", "standing")
    for standing, count in Words(records).counts().items():
        words.add_metric([standing], count)
    return [alive, slots, busy, memory, words]


def _counted(records: Records) -> list[Metric]:
    """What has been counted since ever; none of it gets less."""
    found = numbers.totals(records)
    submitted = _counter("submitted", "Jobs that were accepted.", "kind")
    for kind, count in found.submitted().items():
        submitted.add_metric([kind], count)
    ended = _counter("ended", "Jobs that ended.", "kind", "state", "code")
    for each in found.jobs():
        ended.add_metric([each.kind, each.state, each.code], each.count)
    items = _counter("items", "Items of batches and syncs that ended.", "action", "status", "code")
    for each in found.items():
        items.add_metric([each.kind, each.state, each.code], each.count)
    again = _counter("retries", "Attempts that are made again.", "reason", "code")
    for (reason, code), count in found.retries().items():
        again.add_metric([reason, code], count)
    lost = _counter("recoveries", "Jobs taken from a worker that showed no life.")
    lost.add_metric([], found.recoveries())
    refused = _counter("refused", "What had no good signature or seal.", "what")
    for what, count in found.refused().items():
        refused.add_metric([what], count)
    return [submitted, ended, items, again, lost, refused, *_accounts(found), *_histograms(found)]


def _accounts(found: numbers.Numbers) -> list[Metric]:
    calls = _counter("calls", "Calls of B2 by price class.", "account", "class")
    moved = _counter("bytes", "Bytes to (up) and from (down) B2.", "account", "direction")
    dollars = _counter("dollars", "What the calls cost, without the free allowance.", "account")
    for account in found.accounts():
        for name, count in found.calls(account).items():
            calls.add_metric([account, name], count)
        for way, count in found.moved_bytes(account).items():
            moved.add_metric([account, way], count)
        dollars.add_metric([account], found.dollars(account))
    return [calls, moved, dollars]


def _histograms(found: numbers.Numbers) -> list[Metric]:
    waited = HistogramMetricFamily(
        "b2jobs_wait_seconds", "From submitting to the first attempt.", labels=["kind"]
    )
    ran = HistogramMetricFamily(
        "b2jobs_run_seconds", "From the first attempt to the end.", labels=["kind"]
    )
    for kind in found.kinds():
        for family, histogram in ((waited, found.waited(kind)), (ran, found.ran(kind))):
            bounds = [*(f"{bound:g}" for bound in numbers.BOUNDS_SECONDS), "+Inf"]
            buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
            family.add_metric([kind], buckets, histogram.seconds)
    return [waited, ran]


def _gauge(name: str, said: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"b2jobs_{name}", said, labels=labels)


def _counter(name: str, said: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"b2jobs_{name}", said, labels=labels)
