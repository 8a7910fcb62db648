"""Follow a job to its end: quietly, or with a line that redraws itself on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from b2jobs.cli import show
from b2jobs.cli.exits import complain
from b2jobs.cli.session import Session
from b2jobs.errors import JobCancelled, JobFailed
from b2jobs.printable import printable

if TYPE_CHECKING:  # `--help` and completion need none of it
    from b2jobs.handle import Handle
    from b2jobs.record import Record
    from b2jobs.results import Result

_PATIENCE_SECONDS = 3.0
_BAR_WIDTH = 24


def submit(
    session: Session, kind: str, *, wait: bool, timeout: float | None, **arguments: Any
) -> None:
    """Submit a job with the *arguments* that were given, then follow it or print its id."""
    given = {name: value for name, value in arguments.items() if value is not None}
    handle = session.client.ask(kind, **given)
    if wait or timeout is not None:
        finish(session, handle, timeout)
    else:
        show.queued(session, handle.id)


def finish(session: Session, handle: Handle, timeout: float | None) -> Result:
    """Follow the job to its end, print its result and return it. Ctrl-C leaves its id.

    Raises:
        JobFailed, JobCancelled: with --json the end is printed first.
        WaitTimeout
    """
    try:
        with going_on(f"job wait {handle.id}"):
            result = follow(handle, timeout, line=StatusLine(sys.stderr))
    except (JobFailed, JobCancelled):
        if session.json:
            show.ended(handle.record())
        raise
    show.answer(session, result)
    return result


@contextmanager
def going_on(command: str) -> Iterator[None]:
    """While a job is followed: Ctrl-C leaves the *command* that follows it on."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"The job goes on: b2jobs {command}")
        raise


def follow(
    handle: Handle,
    timeout: float | None,
    *,
    line: StatusLine,
    check: Callable[[], None] = lambda: None,
) -> Result:
    """Wait for the end of the job, keeping *line* up to date; its result.

    *check* is called between two looks and raises when waiting has no sense any more.

    Raises:
        JobFailed, JobCancelled, WaitTimeout
    """
    from b2jobs.handle import outcome, until

    began = time.monotonic()
    warned = False

    def look() -> Record | None:
        nonlocal warned
        check()
        record = handle.record()
        if record.has_ended:
            return record
        reason = "" if record.state == "running" else handle.reason()
        line.draw(describe(record, reason))
        patient = time.monotonic() - began <= _PATIENCE_SECONDS
        if reason == "no_worker" and not warned and not patient:
            warned = True
            line.clear()
            complain(
                f"No live worker serves the priority {record.priority!r}; still waiting. "
                "Start one with `b2jobs worker`. [no_worker]"
            )
        return None

    with line:
        return outcome(until(look, timeout, f"The job {handle.id}"))


class StatusLine:
    """One line on a terminal that is drawn over; on anything else it writes nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._active = stream.isatty()
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def draw(self, text: str) -> None:
        text = printable(text)
        if self._active and text != self._shown:
            self._stream.write(f"\r\x1b[2K{text}")
            self._stream.flush()
            self._shown = text

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._shown = ""


def describe(record: Record, reason: str = "") -> str:
    """A job that goes on, in one line: its phase with a bar, or why it is not running."""
    if record.state != "running":
        until = f" until {_clock(record.until)}" if record.until else ""
        code = f" after {record.failure.code}" if record.failure else ""
        return f"{record.state}: {reason or record.reason}{code}{until}"
    progress = record.progress
    done, total = int(progress.get("done") or 0), int(progress.get("total") or 0)
    phase = str(progress.get("phase") or "running")
    if not total:
        return phase if not done else f"{phase} {show.size(done)}"
    share = min(1.0, done / total)
    filled = round(share * _BAR_WIDTH)
    rate = float(progress.get("rate") or 0)
    speed = f"  {show.size(rate)}/s  {_left((total - done) / rate)}" if rate else ""
    bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
    return f"{phase} [{bar}] {share:4.0%}  {show.size(done)} of {show.size(total)}{speed}"


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"


def _clock(moment: datetime) -> str:
    moment = moment.astimezone()
    today = datetime.now(UTC).astimezone().date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"
