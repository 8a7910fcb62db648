"""Climbing a hill: the number of things at once that brings the most throughput.

While more at once bring more, more are let in (doubling at first, later a quarter at a time);
a step that brings nothing is taken back and tried again later. A refusal for load halves the
number, and so does, by a quarter, a throughput that falls away. Rates in, a number out: who
measures and who waits is somebody else's.
"""

from __future__ import annotations

GROWTH_THAT_COUNTS = 1.08
_DROP_THAT_COUNTS = 0.6
_HOLD_SECONDS = 3.0
_CUT_SECONDS = 1.0


class Climb:
    """`limit` is from *fewest* to *most*; it begins at *start*. The caller sees to locking."""

    def __init__(self, *, start: int, fewest: int, most: int) -> None:
        self.limit = start
        self._fewest = fewest
        self._most = most
        self._doubling = True
        self._before_step: int | None = None
        self._reference = 0.0
        self._hold_until = 0.0
        self._cut_at = float("-inf")

    def cut(self, now: float) -> bool:
        """B2 refused something for load; false when the number was halved a moment ago."""
        if now - self._cut_at < _CUT_SECONDS:
            return False
        self._cut_at = now
        self._doubling = False
        self._before_step = None
        self._reference = 0.0
        self._hold_until = now + _HOLD_SECONDS
        self._set(self.limit // 2)
        return True

    def judge(self, rate: float, now: float) -> None:
        """*rate* is what `limit` at once have brought, any unit, with work left over."""
        if self._before_step is not None:
            if rate >= self._reference * GROWTH_THAT_COUNTS:
                self._step_up(rate)
            else:
                self._set(self._before_step)
                self._before_step = None
                self._doubling = False
                self._hold_until = now + _HOLD_SECONDS
        elif self._reference and rate < self._reference * _DROP_THAT_COUNTS:
            self._reference = rate
            self._set(self.limit * 3 // 4)
            self._hold_until = now + _HOLD_SECONDS
        elif now >= self._hold_until:
            self._step_up(rate)

    def _step_up(self, rate: float) -> None:
        self._reference = rate
        self._before_step = None
        if self.limit < self._most:
            self._before_step = self.limit
            self._set(self.limit * 2 if self._doubling else self.limit * 5 // 4 + 1)

    def _set(self, limit: int) -> None:
        self.limit = max(self._fewest, min(self._most, limit))
