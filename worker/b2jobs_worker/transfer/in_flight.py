"""How many parts or ranges of one large file are under way at once.

The number follows the line: it begins with a few and climbs (b2/climb.py) while more bring
noticeably more bytes a second, which is as long as a part's round trip, its wait for an answer
and what one connection can carry leave the line partly empty. What one step brings is measured
from the moment all of that many are moving, so that opening a connection counts against no
number. B2's refusals for load halve it.

All large files of a process share `MOST` at once, equally.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from b2jobs_worker.b2.climb import Climb
from b2jobs_worker.b2.concurrency import MOST

START = 4
PARTS_START = 8
"""Of an upload, which learns only part by part how fast it is."""
FEWEST = 2
_BUSY_SHARE = 0.6
_LEAST_SECONDS = 0.1


class InFlight:
    """The parts of one file that are moving. For many threads.

    sample_bytes: how much each of them moves, at the least, before their number is judged.
    share: the most that this file may have now.
    refusals: how often B2 has refused the account something for load, so far.
    """

    def __init__(
        self,
        climb: Climb,
        *,
        sample_bytes: int,
        share: Callable[[], int] = lambda: MOST,
        refusals: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._climb = climb
        self._sample_bytes = sample_bytes
        self._share = share
        self._refusals = refusals
        self._clock = clock
        self._lock = threading.Lock()
        self._moving = 0
        self._window: float | None = None
        self._seen = refusals()
        self._begin_step(clock())

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        with self._lock:
            self._look_for_refusals()
            return min(self._climb.limit, self._share())

    def began(self) -> float:
        """One more is moving: its connection is open. The answer belongs to `ended`."""
        now = self._clock()
        with self._lock:
            self._count(now, 1)
            if self._window is None and self._moving >= self._climb.limit:
                self._window = self._counted = now
        return now

    def ended(self, began: float, count: int) -> None:
        """What *began* has moved *count* bytes by now; 0 where it failed."""
        now = self._clock()
        with self._lock:
            self._count(now, -1)
            self._look_for_refusals()
            if began < self._step or self._window is None or not count:
                return
            self._bytes += count
            self._seconds += now - began
            enough = self._bytes >= self._sample_bytes * self._climb.limit
            if enough and now - self._window >= _LEAST_SECONDS:
                self._judge(now, now - self._window)

    def refused(self) -> None:
        """Somebody other than B2, a store, refused something for load."""
        with self._lock:
            self._cut()

    def _judge(self, now: float, seconds: float) -> None:
        # As many as were moving on average, times what one of them moves in a second.
        moving = self._area / seconds
        before = self._climb.limit
        if moving >= _BUSY_SHARE * before:  # else their number is not what limits
            self._climb.judge(moving * self._bytes / self._seconds, now)
        if self._climb.limit == before:
            self._begin_window(now)
        else:
            self._begin_step(now)

    def _look_for_refusals(self) -> None:
        refusals = self._refusals()
        if refusals != self._seen:
            self._seen = refusals
            self._cut()

    def _cut(self) -> None:
        now = self._clock()
        if self._climb.cut(now):
            self._begin_step(now)

    def _begin_step(self, now: float) -> None:
        """The number has changed: it is judged once so many are moving."""
        self._step = now
        self._begin_window(None)

    def _begin_window(self, now: float | None) -> None:
        self._window = now
        self._counted = 0.0 if now is None else now
        self._area = 0.0
        self._bytes = 0
        self._seconds = 0.0

    def _count(self, now: float, more: int) -> None:
        if self._window is not None:
            self._area += self._moving * (now - self._counted)
            self._counted = now
        self._moving += more


class InFlights:
    """Those of all large files of a process.

    fixed: so many at once for each file instead, 0 to follow the line.
    """

    def __init__(self, fixed: int = 0) -> None:
        self._fixed = fixed
        self._files = 0
        self.came_to: dict[str, int] = {}
        """Where the last file on each line ended."""
        self._lock = threading.Lock()

    @contextmanager
    def of_one(
        self,
        line: str,
        *,
        sample_bytes: int,
        start: int = START,
        refusals: Callable[[], int] = lambda: 0,
    ) -> Iterator[InFlight]:
        """For one file that moves on *line*, any name for where from and where to.

        The next file on the same line begins with half of what this one came to.
        """
        if self._fixed:
            climb = Climb(start=self._fixed, fewest=self._fixed, most=self._fixed)
        else:
            start = max(start, self.came_to.get(line, 0) // 2)
            climb = Climb(start=start, fewest=FEWEST, most=MOST)
        with self._lock:
            self._files += 1
        try:
            yield InFlight(climb, sample_bytes=sample_bytes, share=self._share, refusals=refusals)
        finally:
            with self._lock:
                self._files -= 1
                self.came_to[line] = climb.limit

    def _share(self) -> int:
        return self._fixed or max(FEWEST, MOST // max(self._files, 1))
