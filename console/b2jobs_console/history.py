"""What was counted, as charts over a range of time that one chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from b2jobs import listing, numbers
from b2jobs.errors import InvalidJob
from b2jobs.numbers import Numbers
from b2jobs.records import Records
from b2jobs_console.charts import Chart, Series

_STATES = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Range:
    """So many minutes, hours or days back, of which *step* are one bar."""

    name: str
    title: str
    read: Callable[[Records, int], list[Numbers]]
    count: int
    step: int = 1


RANGES = {
    each.name: each
    for each in (
        Range("hour", "in the last hour", numbers.minutes, 60, 2),
        Range("day", "in the last 24 hours", numbers.hours, 25),
        Range("week", "in the last 7 days", numbers.hours, 168, 4),
        Range("month", "in the last 31 days", numbers.days, 31),
    )
}
FIRST = "hour"


def chosen(name: str) -> Range:
    """The range *name*.

    Raises:
        InvalidJob: there is none.
    """
    if name not in RANGES:
        raise InvalidJob(f"There is no range {name!r}.", hint=f"Known are {', '.join(RANGES)}.")
    return RANGES[name]


def charts(records: Records, wanted: Range, parts: list[Numbers]) -> list[Chart]:
    """Jobs that ended, how many were open, bytes, how long they took, retries, and the cost.

    *parts*: what `wanted` reads.

    Raises:
        QueueUnavailable
    """
    starts = range(0, len(parts), wanted.step)
    found = [numbers.summed(parts[first : first + wanted.step]) for first in starts]
    moments = [each.since.timestamp() for each in found]

    def chart(title: str, values: dict[str, list[float]], unit: str = "") -> Chart:
        series = [Series(name, each) for name, each in values.items()]
        return Chart(f"{title}, {wanted.title}", moments, series, unit)

    made = [chart("Jobs that ended", {state: _ended(found, state) for state in _STATES})]
    series = [Series("open", _open(found, listing.jobs_open(records)))]
    title = f"Jobs queued, waiting or running, {wanted.title}"
    made.append(Chart(title, moments, series, is_level=True))
    moved = [each.moved_bytes() for each in found]
    made.append(
        chart(
            "Bytes to and from B2",
            {way: [float(each[way]) for each in moved] for way in ("up", "down")},
            "bytes",
        )
    )
    slow = [
        Series("waited", [each.waited().mean_seconds for each in found]),
        Series("took", [each.ran().mean_seconds for each in found]),
    ]
    title = f"How long a job waited and took, {wanted.title}"
    made.append(Chart(title, moments, slow, "seconds", is_level=True))
    tried = [float(sum(each.retries().values())) for each in found]
    made.append(chart("Tried again", {"retries": tried}))
    made.append(chart("What calls cost", {"calls": [each.dollars() for each in found]}, "dollars"))
    return made


def _ended(found: list[Numbers], state: str) -> list[float]:
    return [float(sum(job.count for job in each.jobs() if job.state == state)) for each in found]


def _open(found: list[Numbers], now: int) -> list[float]:
    """From how many there are now back: what came since is taken away, what ended is added."""
    depths = [float(max(0, now))]
    for each in reversed(found[1:]):
        came = sum(each.submitted().values())
        ended = sum(job.count for job in each.jobs())
        depths.append(max(0.0, depths[-1] - came + ended))
    return depths[::-1]
