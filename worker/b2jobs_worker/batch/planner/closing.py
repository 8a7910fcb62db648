"""An attempt that goes on although its batch was cancelled: to see its packs off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from b2jobs_worker.attempt import Interrupted
from b2jobs_worker.batch.ledger.store import Fenced


class Closing:
    """Implements `Fenced`: like *attempt*, but a cancellation does not interrupt it."""

    def __init__(self, attempt: Fenced) -> None:
        self._attempt = attempt
        self.job_id = attempt.job_id
        self.number = attempt.number
        self.journal = attempt.journal
        self.fence = attempt.fence

    def checkpoint(self) -> None:
        try:
            self._attempt.checkpoint()
        except Interrupted as interrupted:
            if interrupted.reason != "cancelled":
                raise

    def guard(self) -> None:
        try:
            self._attempt.guard()
        except Interrupted as interrupted:
            if interrupted.reason != "cancelled":
                raise

    def progress(self, phase: str, done_bytes: int, total_bytes: int | None = None) -> None:
        self._attempt.progress(phase, done_bytes, total_bytes)

    def on_interrupt(self, act: Callable[[], None]) -> AbstractContextManager[None]:
        return self._attempt.on_interrupt(act)
