"""`/metrics`, as Prometheus reads it: the numbers of the whole fleet, from Redis.

Whichever console is asked, the answer is the same: scrape one of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from b2jobs import listing
from b2jobs.errors import B2JobsError
from b2jobs.records import Records
from b2jobs.requests import Priority
from b2jobs_console.pages.fleet import living
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
        return self.found


def families(records: Records) -> list[Metric]:
    """Every number, as it stands in Redis."""
    up = GaugeMetricFamily("b2jobs_up", "Whether the console can ask Redis.")
    try:
        found = [*_jobs(records), *_workers(records)]
    except B2JobsError:
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    return [up, *found]


def _jobs(records: Records) -> list[Metric]:
    jobs = GaugeMetricFamily(
        "b2jobs_jobs",
        "Jobs by state, as far as they are kept; parts of batches count too.",
        labels=["state"],
    )
    for state, count in records.counts().items():
        jobs.add_metric([state], count)
    queued = GaugeMetricFamily("b2jobs_queued_jobs", "Jobs in line.", labels=["priority"])
    for priority, count in listing.queued(records).items():
        queued.add_metric([priority], count)
    oldest = listing.oldest_queued(records)
    waited = GaugeMetricFamily(
        "b2jobs_oldest_queued_seconds", "For how long the job waits that is next in line."
    )
    waited.add_metric([], max(0.0, time.time() - oldest) if oldest else 0.0)
    batches = GaugeMetricFamily("b2jobs_open_batches", "Batches and syncs that have not ended.")
    batches.add_metric([], listing.open_batches(records))
    return [jobs, queued, waited, batches]


def _workers(records: Records) -> list[Metric]:
    workers = living(records)
    alive = GaugeMetricFamily(
        "b2jobs_workers", "Worker processes that live, by the priority they serve.",
        labels=["priority"],
    )  # fmt: skip
    for priority in get_args(Priority):
        serving = [each for each in workers if not each.silent and priority in each.priorities]
        alive.add_metric([priority], len(serving))
    silent = GaugeMetricFamily(
        "b2jobs_silent_workers", "Worker processes that fell silent within two minutes."
    )
    silent.add_metric([], sum(each.silent for each in workers))
    return [alive, silent]
