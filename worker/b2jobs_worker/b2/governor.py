"""Limits that hold for all callers of an account: pauses B2 asked for, and rates.

The port is what the engine asks; `LocalGovernor` answers for one process, and
`RedisGovernor` (redis_governor.py) for the fleet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from b2jobs.errors import JobError, PassingError, Wait, WaitReason

SHORT_PAUSE_SECONDS = 2.0
"""Up to this long a slot waits; a longer pause ends the attempt, and the job waits instead."""


class Governor(Protocol):
    """All methods may be called from any thread."""

    def admit(self, account: str, checkpoint: Callable[[], None]) -> None:
        """Return when a request of *account* may be sent.

        Waits up to SHORT_PAUSE_SECONDS, calling *checkpoint* meanwhile.

        Raises:
            PassingError: the account is paused for longer, with the wait that is left.
        """

    def moved(self, account: str, bytes_count: int, *, checkpoint: Callable[[], None]) -> bool:
        """Count bytes that arrived or are about to be sent; returns when it is their time.

        False where nothing limits bytes now.
        """

    def pause(self, account: str, error: JobError) -> None:
        """Nobody sends for *account* until what *error* waits for is over."""


@dataclass(frozen=True)
class Pause:
    """An account that is not to be used until *until* (in the clock of who keeps it)."""

    code: str
    reason: WaitReason
    until: float

    def error(self, left: float) -> PassingError:
        return PassingError(
            self.code,
            "B2 has asked for a pause of this account's requests."
            if self.reason == "rate_limited"
            else "The account has reached a cap.",
            wait=Wait(self.reason, left),
        )


class LocalGovernor:
    """Pauses of one process; no rates."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._pauses: dict[str, Pause] = {}
        self._lock = threading.Lock()

    def admit(self, account: str, checkpoint: Callable[[], None]) -> None:
        while pause := self._pauses.get(account):
            left = pause.until - self._clock()
            if left <= 0:
                with self._lock:
                    if self._pauses.get(account) is pause:
                        del self._pauses[account]
                return
            if left > SHORT_PAUSE_SECONDS:
                raise pause.error(left)
            checkpoint()
            self._sleep(min(left, 0.1))

    def moved(self, account: str, bytes_count: int, *, checkpoint: Callable[[], None]) -> bool:
        """There is no rate for one process."""
        del account, bytes_count, checkpoint
        return False

    def pause(self, account: str, error: JobError) -> None:
        if error.wait is None or not error.wait.seconds:
            return
        until = self._clock() + error.wait.seconds
        with self._lock:
            before = self._pauses.get(account)
            if before is None or before.until < until:
                self._pauses[account] = Pause(error.code, error.wait.reason, until)
