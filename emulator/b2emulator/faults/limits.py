"""A rate limit as B2's: so many calls a second for the account, 429 above it."""

from __future__ import annotations

import math
import time

from b2emulator.errors import B2Error


class RateLimit:
    """A bucket of tokens that refills evenly; one second's worth may come at once."""

    def __init__(self) -> None:
        self.calls_per_second: float | None = None
        self._left = 0.0
        self._at = 0.0

    def set(self, calls_per_second: float | None) -> None:
        """None: no limit."""
        self.calls_per_second = calls_per_second
        self._left = calls_per_second or 0.0
        self._at = time.monotonic()

    def take(self) -> None:
        """One call. Raises 429 with Retry-After when there is none left."""
        rate = self.calls_per_second
        if rate is None:
            return
        now = time.monotonic()
        self._left = min(max(rate, 1.0), self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1.0:
            wait = max(1, math.ceil((1.0 - self._left) / rate))
            raise B2Error(
                *(429, "too_many_requests", "too many requests for this account"),
                retry_after_seconds=wait,
            )
        self._left -= 1.0
