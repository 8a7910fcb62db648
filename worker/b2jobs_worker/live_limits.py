"""The limits that hold now: set by command, else by the clock and the config file as it stands."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from b2jobs.connection import within
from b2jobs.errors import OperatorError, QueueUnavailable
from b2jobs.fleet_limit import FleetLimit
from b2jobs.rates import Rates
from b2jobs_worker.budgets import Budget
from b2jobs_worker.settings import Settings, load

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
ASK_SECONDS = 1.0
_Signature = tuple[int, int, int]


class LiveLimits:
    """What *settings* say, and the config file at *path* since it changed. Thread-safe.

    The file is looked at, and the clock asked, four times a second. What a changed file cannot
    be read for is logged once; the limits stay what they were.
    """

    def __init__(
        self,
        settings: Settings,
        path: Path | None = None,
        *,
        read: Callable[[], Settings] = load,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        changed: Callable[[], None] = lambda: None,
        fleet: Callable[[], FleetLimit | None] = lambda: None,
    ) -> None:
        """*changed* is called when the file was read again; *fleet* says what was set by command,
        which goes before the file."""
        self._fleet = fleet
        self._set: FleetLimit | None = None
        self._asked_at = float("-inf")
        self._changed = changed
        self._path = path
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._signature = self._seen()
        self._use(settings)

    def rates(self) -> Rates:
        """Most bytes and requests a second now."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._look()
        return self._rates

    def budget(self, account: str) -> Budget | None:
        """What *account* may use in a day."""
        self.rates()
        return self._settings.budget(account)

    def told(self) -> dict[str, str]:
        """The limits now, and until when, for people; nothing where none are set."""
        held, until = self.rates(), self._until
        if held == Rates() and until is None:
            return {}
        end = {"until": until.isoformat(timespec="seconds")} if until else {}
        return {"now": str(held), **end}

    def _look(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # somebody looks: until then what was known holds
        try:
            if time.monotonic() - self._looked_at < LOOK_SECONDS:
                return
            self._ask()
            seen = self._seen()
            if seen != self._signature:
                self._signature = seen
                self._read_again()
            if self._until is not None and self._clock() >= self._until:
                self._judge()
            self._looked_at = time.monotonic()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        """Learn what was set by command, once a second; while Redis is away that stays."""
        if time.monotonic() - self._asked_at < ASK_SECONDS:
            return
        try:
            with within(ASK_SECONDS):
                found = self._fleet()
        except QueueUnavailable:
            self._asked_at = time.monotonic() + 5 * ASK_SECONDS
            return
        self._asked_at = time.monotonic()
        if found != self._set:
            self._set = found
            self._judge()
            logger.info("limits by command: %s", found.rates if found else "lifted")

    def _read_again(self) -> None:
        try:
            self._use(self._read())
        except OperatorError as error:
            logger.warning("the limits stay as they were: %s %s", error.message, error.hint)
        else:
            logger.info("limits from the changed config file: %s", self._rates)
            self._changed()

    def _use(self, settings: Settings) -> None:
        self._settings = settings
        self._table = settings.timetable()
        self._judge()

    def _judge(self) -> None:
        now = self._clock()
        found = self._set
        if found is not None and found.until is not None and found.until <= now.timestamp():
            found = self._set = None
        if found is not None:
            self._rates = found.rates
            self._until = datetime.fromtimestamp(found.until, UTC) if found.until else None
        else:
            self._rates = self._table.at(now)
            self._until = self._table.next_change(now)

    def _seen(self) -> _Signature | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:  # it is being replaced, or gone: what it said still counts
            return getattr(self, "_signature", None)
        return status.st_mtime_ns, status.st_ino, status.st_size
