"""What a plan would move, call and cost, without moving anything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING

from b2jobs.results import BatchResult
from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.batch.ledger.item import Item, Planned, Refusal
from b2jobs_worker.batch.plan.source import Forecast, NotYet, PlanSource

if TYPE_CHECKING:
    from b2jobs_worker.batch.planner.step import Visit

PART_BYTES = 100_000_000
_ONE_COPY_BYTES = 5_000_000_000
_LOOK_SECONDS = 0.2


def dry_run(visit: Visit, source: PlanSource, forecast: Forecast) -> BatchResult:
    """Read the whole plan once and add it up. Nothing is persisted: killed, it begins anew."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    calls: Counter[str] = Counter({"a": 0, "b": 0, "c": forecast.listing_calls})
    codes: Counter[str] = Counter()
    unknown = 0
    for planned in _whole_plan(visit, source):
        if isinstance(planned, Refusal):
            counts["refused"] += 1
            codes[planned.code] += 1
            continue
        counts[planned.action] += 1
        sizes[planned.action] += planned.size or 0
        unknown += planned.size is None and planned.action in ("upload", "download", "copy")
        calls.update(calls_of(planned, visit.orders.if_exists))
    if str(getattr(visit.request, "source", "")).startswith("b2://"):
        calls["c"] += max(1, ceil(sum(counts.values()) / 1000))  # its listing
    plan = {
        action: {"items": count, "size_bytes": sizes[action]}
        for action, count in sorted(counts.items())
    }
    return BatchResult(
        job=visit.attempt.job_id,
        kind=type(visit.request).kind,
        status="dry_run",
        items=sum(counts.values()),
        size_bytes=sum(sizes.values()),
        codes=dict(codes),
        plan={**plan, "unknown_sizes": unknown} if unknown else plan,
        calls=dict(calls),
        dollars=round(Prices().dollars(dict(calls)), 9),
        compared=dict(forecast.compared),
        planned=list(forecast.lines),
    )


def _whole_plan(visit: Visit, source: PlanSource) -> Iterator[Planned]:
    """Every item, also of a plan that is still being fed."""
    cursor = ""
    while True:
        try:
            for behind, planned in source.items(cursor):
                cursor = behind
                visit.attempt.checkpoint()
                yield planned
        except NotYet:
            visit.attempt.checkpoint()
            time.sleep(_LOOK_SECONDS)
        else:
            return


def calls_of(item: Item, if_exists: str | None) -> Counter[str]:
    """The calls an item takes when nothing goes wrong, by class; upload URLs are reused."""
    calls: Counter[str] = Counter()
    looks_first = item.options.get("if_exists", if_exists) in ("skip", "fail")
    size = item.size or 0
    match item.action:
        case "upload":
            parts = ceil(size / PART_BYTES)
            calls["a"] += 1 if parts <= 1 else parts + 2
            calls["b"] += looks_first
        case "download":
            calls["b"] += 1
        case "copy":
            calls["b"] += 1 + looks_first
            calls["c"] += 1 if size < _ONE_COPY_BYTES else ceil(size / PART_BYTES)
            calls["a"] += 0 if size < _ONE_COPY_BYTES else 2
        case "delete":
            calls["a"] += 1
            calls["c"] += item.options.get("versions", "latest") in ("latest", "all")
        case "hide":
            calls["a"] += 1
    return calls
