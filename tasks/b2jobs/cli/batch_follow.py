"""Following a batch: a line that is drawn over on a terminal, or a JSON line a change."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import click

from b2jobs.batch_status import BatchStatus
from b2jobs.batches import BatchHandle
from b2jobs.cli import show
from b2jobs.cli.follow import StatusLine, going_on
from b2jobs.cli.session import Session
from b2jobs.errors import JobFailed
from b2jobs.handle import outcome, until
from b2jobs.record import Record
from b2jobs.requests import ENDED
from b2jobs.results import BatchResult

_RATE_SECONDS = 10.0


def finish(session: Session, handle: BatchHandle[Any], timeout: float | None) -> None:
    """Follow to the end and print what it came to.

    Raises:
        JobFailed, JobCancelled: what was done is printed first.
        WaitTimeout
    """
    pace = Pace()
    last: dict[str, Any] = {}
    line = StatusLine(sys.stderr)

    def look() -> BatchStatus | None:
        nonlocal last
        status = handle.status()
        pace.note(status)
        if session.json:
            now = status.as_json()
            if {**now, "seconds": 0} != last:
                last = {**now, "seconds": 0}
                show.line(now)
                sys.stdout.flush()
        else:
            line.draw(describe(status, pace))
        return status if status.state in ENDED else None

    with going_on(f"batch watch {handle.id}"), line:
        until(look, timeout, f"The batch {handle.id}")
    _end(session, handle)


def dry_run(record: Record) -> BatchResult | None:
    """What a dry run that has ended found; None of any other batch."""
    result = record.result or {}
    return BatchResult(**result) if result.get("status") == "dry_run" else None


def show_plan(result: BatchResult, refused: Sequence[str]) -> None:
    """Print what a dry run found: files and bytes by action, the cost, what cannot be done."""
    click.echo("A dry run: nothing was moved.")
    rows = [
        (action, f"{what['items']:,}", show.size(what["size_bytes"]))
        for action, what in result.plan.items()
        if isinstance(what, dict)
    ]
    show.listing(("ACTION", "FILES", "BYTES"), rows, "There is nothing to do.")
    known = {
        "sizes not known": result.plan.get("unknown_sizes"),
        "compared": result.compared,
        "refused": result.codes,
        "calls": result.calls,
        "dollars": result.dollars,
    }
    show.fields({name: value for name, value in known.items() if value})
    for line in result.planned:
        show.say(f"plan     {line}")
    for sample in refused:
        show.say(f"refused  {sample}")


def _end(session: Session, handle: BatchHandle[Any]) -> None:
    record = handle.record()
    planned = dry_run(record)
    if planned is not None and not session.json:
        show_plan(planned, handle.status().samples)
        return
    result = BatchResult(**record.result) if record.result else None
    if result is not None and not session.json:
        shown = result.model_dump(
            mode="json", exclude={"job", "kind", "attempts"}, exclude_defaults=True
        )
        show.fields({"batch": handle.id, **shown})
    elif result is not None and result.status == "dry_run":
        show.line(result.as_json())
    if not session.json:
        for sample in handle.status().samples[:20]:
            show.say(f"refused  {sample}", err=True)
    try:
        outcome(record)
    except JobFailed as failed:
        failed.job = handle.id
        raise


class Pace:
    """Files and bytes a second over the last ten seconds, and how long the rest takes."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def note(self, status: BatchStatus) -> None:
        now = time.monotonic()
        self._seen.append((now, status.finished_items, status.moved_bytes + status.moving_bytes))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()

    def rates(self) -> tuple[float, float]:
        """Files and bytes a second."""
        first, last = self._seen[0], self._seen[-1]
        seconds = max(last[0] - first[0], 1e-3)
        return (last[1] - first[1]) / seconds, max(0, last[2] - first[2]) / seconds

    def seconds_left(self, status: BatchStatus) -> float | None:
        """None while it is not known how much is left, or nothing moves."""
        files, volume = self.rates()
        total = status.total_items or (status.items if status.planned_all else None)
        if total is None or not (files or volume):
            return None
        by_files = (total - status.finished_items) / files if files else 0.0
        size = status.total_bytes or (status.size_bytes if status.planned_all else 0)
        left = max(0, size - status.moved_bytes - status.moving_bytes)
        return max(by_files, left / volume if volume and size else 0.0)


def describe(status: BatchStatus, pace: Pace) -> str:
    """A batch that goes on, in one line."""
    total = status.total_items or (status.items if status.planned_all else None)
    files = f"{status.finished_items:,} of {total:,}" if total else f"{status.finished_items:,}"
    parts = [f"{files} files", show.size(status.moved_bytes + status.moving_bytes)]
    rate, volume = pace.rates()
    if rate or volume:
        parts.append(f"{rate:,.0f} files/s {show.size(volume)}/s")
    left = pace.seconds_left(status)
    if left is not None:
        parts.append(_clock(left))
    if status.failed_items:
        parts.append(f"{status.failed_items:,} failed")
    if status.state in ("waiting", "queued") and status.reason:
        until = f" until {status.until}" if status.until else ""
        parts.append(f"{status.state}: {status.reason}{until}")
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"
