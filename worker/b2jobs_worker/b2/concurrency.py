"""How many requests of one account a process has under way at once. There is no knob.

The number climbs (climb.py) with the throughput of all requests together. What B2 refuses for
load (503, 429, a timeout) takes it down at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from b2jobs_worker.b2.climb import Climb

FEWEST = 2
MOST = 64
START = 16
_BYTES_PER_UNIT = 262_144
_WINDOW_SECONDS = 0.02


class Concurrency:
    """The requests under way of one account, for all threads of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.cuts = 0
        """How often B2's refusals have taken the number down."""
        self._clock = clock
        self._climb = Climb(start=START, fewest=FEWEST, most=MOST)
        self._under_way = 0
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        self._waiting = 0
        self._begin_window()

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return self._climb.limit

    def enter(self, checkpoint: Callable[[], None]) -> None:
        """Wait for a place and take it.

        *checkpoint* is called while waiting, and what it raises ends the waiting.
        """
        with self._lock:
            if self._under_way >= self._climb.limit:
                self._saturated = True
                self._wait(checkpoint)
            self._under_way += 1

    def leave(self, bytes_count: int, *, overloaded: bool = False) -> None:
        """Give the place back. *overloaded*: B2 refused the request for load."""
        now = self._clock()
        with self._lock:
            self._under_way -= 1
            if self._waiting:
                self._free.notify()
            if overloaded:
                if self._climb.cut(now):
                    self.cuts += 1
                    self._begin_window(now)
                return
            self._count += 1
            self._units += 1 + bytes_count / _BYTES_PER_UNIT
            enough = self._count >= 2 * self._climb.limit or now - self._since >= 1.0
            if enough and now - self._since >= _WINDOW_SECONDS:
                self._judge(self._units / (now - self._since), now)
                self._begin_window(now)

    def _wait(self, checkpoint: Callable[[], None]) -> None:
        self._waiting += 1
        try:
            while self._under_way >= self._climb.limit:
                checkpoint()
                self._free.wait(0.25)
        finally:
            self._waiting -= 1

    def _begin_window(self, now: float | None = None) -> None:
        self._since = self._clock() if now is None else now
        self._units = 0.0
        self._count = 0
        self._saturated = False

    def _judge(self, rate: float, now: float) -> None:
        if not self._saturated:
            return  # nobody waited: the number was not what limited
        before = self._climb.limit
        self._climb.judge(rate, now)
        if self._climb.limit > before:
            self._free.notify_all()
