"""What a plan would move, call and cost, without moving anything."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

from b2jobs.items import Item, Planned, Refusal
from b2jobs.results import BatchResult
from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.batch.plan.source import Forecast, NotYet, PlanSource
from b2jobs_worker.batch.planner.desk import Desk
from b2jobs_worker.settings import current
from b2jobs_worker.transfer.download_large import FIRST_BYTES
from b2jobs_worker.transfer.spans import span_bytes

PART_BYTES = 100_000_000
_ONE_COPY_BYTES = 5_000_000_000
_LOOK_SECONDS = 0.2
_MOST_LINES = 1000
_MOST_SAMPLES = 20
NOTED_EVERY = 1000
MOVING = ("upload", "download", "copy")


def dry_run(
    desk: Desk, source: PlanSource, forecast: Forecast, state: dict[str, str]
) -> BatchResult:
    """Read the whole plan once and add it up. Killed, it goes on where it last took note."""
    tally = Tally(**json.loads(state.get("tally") or "{}"))
    for cursor in _whole_plan(desk, source, tally, state.get("cursor", "")):
        if cursor:
            desk.note(cursor=cursor, tally=json.dumps(asdict(tally)))
    desk.note(
        cursor="",
        tally="",
        refused=tally.items.get("refused", 0),
        samples=json.dumps(tally.samples),
    )
    calls = Counter(tally.calls)
    calls["c"] += forecast.listing_calls + int(desk.state().get("calls_c") or 0)
    plan: dict[str, Any] = {
        action: {"items": count, "size_bytes": tally.sizes.get(action, 0)}
        for action, count in sorted(tally.items.items())
    }
    if tally.unknown_sizes:
        plan["unknown_sizes"] = tally.unknown_sizes
    return BatchResult(
        job=desk.batch,
        kind=type(desk.request).kind,
        status="dry_run",
        items=sum(tally.items.values()),
        size_bytes=sum(tally.sizes.values()),
        codes=tally.codes,
        plan=plan,
        calls={name: calls[name] for name in "abc"},
        dollars=round(Prices(**current().prices).dollars(dict(calls)), 9),
        compared=dict(forecast.compared),
        planned=list(forecast.lines) or tally.lines,
    )


@dataclass
class Tally:
    """What has been added up so far, by action, code and class of call; the first refusals and
    the first removals."""

    items: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    unknown_sizes: int = 0
    samples: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, planned: Planned, if_exists: str | None) -> None:
        if isinstance(planned, Refusal):
            _count(self.items, "refused")
            _count(self.codes, planned.code)
            if len(self.samples) < _MOST_SAMPLES:
                self.samples.append(str(planned))
            return
        _count(self.items, planned.action)
        if planned.action == "delete" and len(self.lines) < _MOST_LINES:
            self.lines.append(f"delete {planned.destination}")
        _count(self.sizes, planned.action, planned.size or 0)
        self.unknown_sizes += planned.size is None and planned.action in MOVING
        for name, calls in calls_of(planned, if_exists).items():
            _count(self.calls, name, calls)


def _count(counts: dict[str, int], name: str, amount: int = 1) -> None:
    counts[name] = counts.get(name, 0) + amount


def _whole_plan(desk: Desk, source: PlanSource, tally: Tally, cursor: str) -> Iterator[str]:
    """Add every item, also of a plan that is still being fed; now and then its cursor."""
    while True:
        try:
            for number, (behind, planned) in enumerate(source.items(cursor), 1):
                cursor = behind
                desk.attempt.checkpoint()
                tally.add(planned, desk.orders.if_exists)
                if number % NOTED_EVERY == 0:
                    yield cursor
        except NotYet:
            yield cursor
            desk.attempt.checkpoint()
            time.sleep(_LOOK_SECONDS)
        else:
            return


def calls_of(item: Item, if_exists: str | None) -> Counter[str]:
    """The calls an item takes when nothing goes wrong, by class; upload URLs are reused.

    A file that was listed, and has the size of what is there, counts as the same.
    """
    calls: Counter[str] = Counter()
    if_exists = item.options.get("if_exists", if_exists)
    looks_first = if_exists in ("skip", "fail")
    size = item.size or 0
    listed = item.options.get("listed")
    is_there = listed is not None and (if_exists == "fail" or listed[1] == item.size)
    match item.action:
        case "upload" if is_there:
            pass
        case "copy" if is_there:
            calls["b"] += 1
        case "upload":
            parts = ceil(size / PART_BYTES)
            calls["a"] += 1 if parts <= 1 else parts + 2
            calls["b"] += looks_first
        case "download":
            calls["b"] += 1 + ceil(max(0, size - FIRST_BYTES) / span_bytes(size))
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
