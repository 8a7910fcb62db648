"""How many requests of one account a process has under way at once. There is no knob.

A hill is climbed: while more requests at once bring more throughput, more are let in
(doubling at first); a step that brings nothing is taken back and tried again later. What
B2 refuses for load (503, 429, a timeout) takes the number down at once, and so does a
throughput that falls while latency rises.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FEWEST = 2
MOST = 64
START = 16
_BYTES_PER_UNIT = 262_144
_GROWTH_THAT_COUNTS = 1.08
_DROP_THAT_COUNTS = 0.6
_HOLD_SECONDS = 3.0
_CUT_SECONDS = 1.0
_WINDOW_SECONDS = 0.02


class Concurrency:
    """The requests under way of one account, for all threads of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit = START
        self._under_way = 0
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        self._waiting = 0
        self._doubling = True
        self._before_step: int | None = None
        self._reference = 0.0
        self._hold_until = 0.0
        self._cut_at = float("-inf")
        self._begin_window()

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return self._limit

    def enter(self, checkpoint: Callable[[], None]) -> None:
        """Wait for a place and take it.

        *checkpoint* is called while waiting, and what it raises ends the waiting.
        """
        with self._lock:
            if self._under_way >= self._limit:
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
                self._cut(now)
                return
            self._count += 1
            self._units += 1 + bytes_count / _BYTES_PER_UNIT
            enough = self._count >= 2 * self._limit or now - self._since >= 1.0
            if enough and now - self._since >= _WINDOW_SECONDS:
                self._judge(self._units / (now - self._since), now)
                self._begin_window(now)

    def _wait(self, checkpoint: Callable[[], None]) -> None:
        self._waiting += 1
        try:
            while self._under_way >= self._limit:
                checkpoint()
                self._free.wait(0.25)
        finally:
            self._waiting -= 1

    def _begin_window(self, now: float | None = None) -> None:
        self._since = self._clock() if now is None else now
        self._units = 0.0
        self._count = 0
        self._saturated = False

    def _cut(self, now: float) -> None:
        if now - self._cut_at < _CUT_SECONDS:
            return
        self._cut_at = now
        self._doubling = False
        self._before_step = None
        self._reference = 0.0
        self._hold_until = now + _HOLD_SECONDS
        self._set(self._limit // 2)
        self._begin_window(now)

    def _judge(self, rate: float, now: float) -> None:
        if not self._saturated:
            return  # nobody waited: the number was not what limited
        if self._before_step is not None:
            if rate >= self._reference * _GROWTH_THAT_COUNTS:
                self._step_up(rate)
            else:
                self._set(self._before_step)
                self._before_step = None
                self._doubling = False
                self._hold_until = now + _HOLD_SECONDS
        elif self._reference and rate < self._reference * _DROP_THAT_COUNTS:
            self._reference = rate
            self._set(self._limit * 3 // 4)
            self._hold_until = now + _HOLD_SECONDS
        elif now >= self._hold_until:
            self._step_up(rate)

    def _step_up(self, rate: float) -> None:
        self._reference = rate
        self._before_step = None
        if self._limit < MOST:
            self._before_step = self._limit
            self._set(self._limit * 2 if self._doubling else self._limit * 5 // 4 + 1)

    def _set(self, limit: int) -> None:
        grown = limit > self._limit
        self._limit = max(FEWEST, min(MOST, limit))
        if grown:
            self._free.notify_all()
